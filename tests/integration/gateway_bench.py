"""A simulated building, a gateway and what a test needs to talk to both through Kafka."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition

from agents.gateways.log import utc_now
from schemas.codecs import Codecs
from schemas.commands import Command, Proposal, command_id
from schemas.errors import BuildingError
from schemas.records import Bus, CommandResult, Kind, Position, Slot
from streams.producer import Producer
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import COMMANDS, DEAD_LETTERS, EFFECTS, ROOM_EVENTS, Topic
from tests.processes import Running, free_port, role_part

_BROKER_S = 30.0
LINES = {Bus.knx: "knx-4", Bus.zwave: "zwave-1"}


class Watch:
    """Everything appended to a topic since the watch began."""

    def __init__(self, settings: Settings, codecs: Codecs, topic: Topic) -> None:
        self._codecs = codecs
        config = {**settings.librdkafka, "group.id": f"watch-{uuid.uuid4()}", "enable.auto.commit": False}
        self._consumer, self._meter = Consumer(config), Consumer(config)
        self._ends = [TopicPartition(topic.name, partition, OFFSET_END) for partition in range(topic.partitions)]
        self._next = self._end()
        self._consumer.assign([TopicPartition(topic.name, partition, offset) for partition, offset in self._next.items()])
        self.records: list[tuple[bytes | None, Any]] = []

    def look(self) -> list[tuple[bytes | None, Any]]:
        """Everything appended up to this call, and what came in while it was fetched."""
        end = self._end()
        self._take()
        while any(self._next[partition] < offset for partition, offset in end.items()):
            self._take()
        return self.records

    def _end(self) -> dict[int, int]:
        """The offset after the last record of each partition. Asked by the client that fetches, it would wait behind a fetch."""
        deadline = time.monotonic() + _BROKER_S
        while True:
            try:
                found = self._meter.offsets_for_times(self._ends, timeout=_BROKER_S)
            except KafkaException:  # it is away, or back so lately that this client has not heard of the topic again
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                assert all(place.error is None and place.offset >= 0 for place in found), found
                return {place.partition: place.offset for place in found}

    def _take(self) -> None:
        for message in self._consumer.consume(1000, timeout=0.05):
            partition, offset = message.partition(), message.offset()
            assert message.error() is None and partition is not None and offset is not None, message.error()
            self._next[partition] = offset + 1
            try:
                self.records.append((message.key(), self._codecs.decode(message.value())))
            except BuildingError:
                self.records.append((message.key(), message.value()))

    def close(self) -> None:
        self._consumer.close()
        self._meter.close()


class Bench:
    """The building under test."""

    def __init__(self, settings: Settings, codecs: Codecs) -> None:
        self.settings, self.codecs = settings, codecs
        self.producer = Producer(settings)
        self.events, self.effects, self.dead = (Watch(settings, codecs, topic) for topic in (ROOM_EVENTS, EFFECTS, DEAD_LETTERS))
        self.running: dict[str, Running] = {}
        self._log, self._offsets = f"test-{uuid.uuid4()}", itertools.count()

    def start(self, role: str, name: str | None = None) -> Running:
        """Start a role's process, again or, by another `name`, once more."""
        running = self.launch(role, name)
        running.wait_ready()
        return running

    def launch(self, role: str, name: str | None = None) -> Running:
        """As `start`, without waiting."""
        label = name or role
        part = role_part(role, self.settings, label=f"{label}-{self.settings.simulator_port}")
        self.running[label] = Running(part, self.settings.home / "logs")
        self.running[label].launch()
        return self.running[label]

    async def close(self) -> None:
        for running in reversed(self.running.values()):
            running.stop()
        for watch in (self.events, self.effects, self.dead):
            watch.close()
        await self.producer.close()

    def command(
        self, device_id: int, kind: Kind, target_pct: float, room_id: str = "10", expires_at: datetime | None = None
    ) -> Command:
        cause = Position(self._log, 0, next(self._offsets))
        now = utc_now()
        winner = Proposal(Slot.manual, "test", target_pct, "a test asks", now)
        return Command(
            command_id=command_id(cause, device_id, 0), room_id=room_id, device_id=device_id, kind=kind, target_pct=target_pct,
            issued_at=now, expires_at=expires_at or now + timedelta(seconds=120), cause=cause, policy_revision=1, winner=winner,
        )  # fmt: skip

    async def send(self, command: Command, bus: Bus = Bus.knx, line_id: str | None = None) -> Command:
        await self.producer.send(COMMANDS[bus].name, line_id or LINES[bus], self.codecs.encode(command))
        return command

    def results(self, command: Command) -> list[tuple[bytes | None, CommandResult]]:
        """The results of a command in the rooms' logs, with their keys."""
        return [
            (key, record)
            for key, record in self.events.look()
            if isinstance(record, CommandResult) and record.command_id == command.command_id
        ]

    async def result(self, command: Command, within_s: float = 40) -> CommandResult:
        await wait(lambda: self.results(command), f"a result of {command.kind} {command.target_pct}", within_s)
        key, result = self.results(command)[0]
        assert key == command.room_id.encode()
        return result

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request to the simulator, past the gateway."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.settings.simulator_port)
        writer.write(msgspec.json.encode(request) + b"\n")
        answer: dict[str, Any] = msgspec.json.decode(await reader.readline())
        writer.close()
        return answer

    async def counts(self, device_id: int) -> tuple[int, int]:
        """Telegrams a device got, and how many changed its target."""
        count = (await self.ask({"op": "counts"}))["counts"][str(device_id)]
        return count["telegrams"], count["changes"]


async def wait(condition: Callable[[], object], what: str, within_s: float = 30) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"after {within_s:.0f} s still not: {what}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def bench(
    stack: Settings,
    *roles: str,
    speed: float = 1.0,
    routing: bool = False,
    lines: Path | None = None,
    **fields: Any,
) -> AsyncIterator[Bench]:
    """A bench with these roles running, on a simulator of its own at `speed`; its KNX devices in process or by `routing`.

    `lines`: KNX lines of the test's own instead; `fields`: more settings.
    """
    settings = msgspec.structs.replace(
        stack, simulator_port=free_port(), simulator_knx_port=free_port() if routing else None, simulator_speed=speed,
        knx_lines_file=lines, **fields,
    )  # fmt: skip
    built = Bench(settings, await register_all(settings.registry))
    try:
        for role in roles:
            await asyncio.to_thread(built.launch(role).wait_ready)  # what the role talks to may live in this loop
        yield built
    except BaseException:
        for name, running in built.running.items():
            print(f"--- {name}:\n{running.tail()}")
        raise
    finally:
        await built.close()
