"""The stand: real services, the roles as processes, the counting bus; and what a drill may do to them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from agents.building import difference
from agents.carrying import read_building, read_topics
from agents.directory import fill
from infra.provision import provision
from schemas.codecs import Codecs
from schemas.records import Reading
from streams.database import connection
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import COMMANDS_KNX, ROOM_EVENTS, Topic
from streams.worker import ROLES
from tests.conftest import Services, start_services, stop_services, test_settings
from tests.faults.drills import ledger
from tests.faults.drills.books import Books, Page, Place, joined
from tests.faults.drills.field import Field
from tests.faults.drills.load import Order
from tests.faults.drills.plan import POLICY, Plan, devices, sensor
from tests.faults.drills.topics import Tail
from tests.folding import committed
from tests.processes import ROOT, Running, free_port, role_part, wait_until

ROLE_NAMES = tuple(name for name in ("rooms", "history", "directory", "knx", "api") if name in ROLES)
_SOWN_S, _SETTLE_S, _LOOK_S, _RESTART_S = 60.0, 150.0, 0.3, 0.5
_REST_S = POLICY["vacancy_timeout_heating_s"] + 2.0
"""Nothing for so long is rest: a room whose load has stopped still moves its valve when its time-out is over."""


class NotSettled(AssertionError):
    """The building did not come to rest: something is still waiting, or lost."""


class Stand:
    """A running building of `plan`. `notes` are what a drill wants told; `newer` are schema ids of later versions, by manner."""

    def __init__(self, plan: Plan, services: Services, codecs: Codecs, field: Field) -> None:
        self.plan, self.services, self.field, self.codecs = plan, services, field, codecs
        self.settings = services.settings
        self.roles: dict[str, Running] = {}
        self.killed: set[str] = set()
        self.ended: list[str] = []
        self._starting: set[str] = set()
        self.newer: dict[str, int] = {}
        self.notes: list[str] = []
        self.faults: list[str] = []
        """Promises of a drill's own that were not kept."""
        self.moments: dict[str, float] = {}
        """Moments within the disturbance (seconds) whose own recovery is told as a note of this name."""
        self.books = Books(self.settings, codecs)
        self.chance = random.Random()
        self._earlier: Page | None = None
        self._load: subprocess.Popen[str] | None = None
        self._ledger = self.settings.home / "ledger"

    def launch(self, name: str, label: str | None = None, settings: Settings | None = None) -> None:
        """Start a role, or one that was killed again, without waiting for it."""
        running = self.roles.get(label or name)
        if running is None:
            part = role_part(name, settings or self.settings, label=label)
            running = self.roles[label or name] = Running(part, self.settings.home / "logs")
        running.launch()
        self._starting.add(label or name)

    async def ready(self) -> None:
        """Wait until every role that was started says that it serves."""
        for name in list(self._starting):
            await asyncio.to_thread(self.roles[name].wait_ready)
            self._starting.discard(name)

    async def kill(self, name: str) -> None:
        """kill -9; `supervise` starts it again."""
        self.killed.add(name)
        await asyncio.to_thread(self.roles[name].kill)
        while name in self.killed:  # noqa: ASYNC110  # a condition with nobody to set an event
            await asyncio.sleep(_LOOK_S / 3)

    async def supervise(self) -> None:
        """Start again, after the supervisor's shortest pause, every role that has ended; `ended` names those nobody killed."""
        while True:
            for name, running in list(self.roles.items()):
                if running.process is not None and running.process.poll() is not None:
                    await asyncio.sleep(_RESTART_S)
                    if name not in self.killed:
                        self.ended.append(name)
                    self.launch(name)
                    self.killed.discard(name)
            await asyncio.sleep(_LOOK_S / 3)

    def sow(self) -> None:
        """Start the load's process."""
        self._ledger.write_bytes(b"")
        command = [sys.executable, "-m", "tests.faults.drills.load"]
        with (self.settings.home / "logs" / "load.log").open("a") as log:
            self._load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
        reading_id = int.from_bytes(self._reading_header()[1:], "big")
        order = Order(self.plan, self.settings.librdkafka, reading_id, self.newer, str(self._ledger))
        self.tell_load(msgspec.json.encode(order).decode())

    async def sown(self) -> None:
        """Wait until Kafka has acknowledged something to the load."""
        await asyncio.to_thread(wait_until, self.ledger, "Kafka has acknowledged something to the load", _SOWN_S)

    def tell_load(self, line: str) -> None:
        """Set the load's manner."""
        assert self._load is not None and self._load.stdin is not None
        self._load.stdin.write(line + "\n")
        self._load.stdin.flush()

    async def reap(self) -> list[ledger.Entry]:
        """End the load; everything Kafka acknowledged to it."""
        load, self._load = self._load, None
        assert load is not None
        told, _ = await asyncio.to_thread(load.communicate, timeout=330)
        assert told, f"the load ended with {load.returncode}: {(self.settings.home / 'logs' / 'load.log').read_text()[-2000:]}"
        said = json.loads(told)
        assert not said["failed"], said
        entries = self.ledger()
        assert len(entries) == said["acknowledged"]
        return entries

    def ledger(self) -> list[ledger.Entry]:
        """What the load has had acknowledged so far."""
        return list(ledger.read(self._ledger))

    def _reading_header(self) -> bytes:
        from datetime import UTC, datetime

        from schemas.records import Kind

        return self.codecs.encode(Reading(1, Kind.motion, 0.0, datetime.now(UTC)))[:5]

    async def settle(self, rest_s: float = _REST_S) -> Page:
        """Wait until every role has done everything there is to do, for `rest_s`, then turn the page of the books."""
        deadline = time.monotonic() + _SETTLE_S
        before: Any = None
        since = time.monotonic()
        while True:
            state, waiting = await asyncio.to_thread(self._state)
            if waiting or state != before:
                since = time.monotonic()
            elif time.monotonic() - since >= rest_s:
                break
            if time.monotonic() > deadline:
                late = (self.roles[name] for name in self.roles if any(told.startswith(f"{name}:") for told in waiting))
                logs = "".join(f"\n--- {role.part.name}, {role.read_statuses()[-3:]}:\n{role.tail(8000)}" for role in late)
                raise NotSettled(f"after {_SETTLE_S:.0f} s still waiting: {waiting or 'events keep coming'}{logs}")
            before = state
            await asyncio.sleep(_LOOK_S)
        return await self.books.turn()

    def _state(self) -> tuple[Any, list[str]]:
        """The topics' ends, and who is behind them."""
        waiting = []
        ends = {topic.name: Tail(self.settings, topic).ends() for topic in (ROOM_EVENTS, COMMANDS_KNX)}
        followers: tuple[tuple[str, Topic], ...] = (
            ("rooms", ROOM_EVENTS), ("history", ROOM_EVENTS), ("history", COMMANDS_KNX), ("knx", COMMANDS_KNX),
        )  # fmt: skip
        for role, topic in followers:
            done = committed(self.settings, f"atrium-{role}", topic)
            behind = sum(max(0, end - done[p]) for p, end in ends[topic.name].items())
            ahead = [p for p, end in ends[topic.name].items() if done[p] > end]
            if behind or ahead:
                waiting.append(f"{role}: {behind} of {topic.name}" + (f", beyond the end of partitions {ahead}" if ahead else ""))
        return ends, waiting

    async def turn_page(self) -> None:
        """In the middle of a drill: wait until all is folded, so that the log may go; what came before counts too."""
        self._earlier = await self.settle()

    def take_earlier(self, page: Page) -> Page:
        """The drill's whole page."""
        earlier, self._earlier = self._earlier, None
        return page if earlier is None else joined(earlier, page)

    async def retire(self, name: str) -> None:
        """Stop a role that only one drill needed."""
        running = self.roles.pop(name, None)
        if running is not None:
            await asyncio.to_thread(running.stop)

    async def rename(self, number: int, name: str) -> None:
        """Give a room's sensor another name, in the database."""
        async with connection(self.settings.database) as db:
            await db.execute("UPDATE building.devices SET name = $1 WHERE device_id = $2", name, sensor(number))

    async def names_differ(self) -> bool:
        """Whether any device, room or policy is not in Kafka as the database has it."""
        async with connection(self.settings.database) as db:
            building = await read_building(db)
        return bool(difference(building, await read_topics(self.settings, self.codecs)))

    async def kept(self, page: Page) -> set[Place]:
        """Which positions of the rooms' log PostgreSQL holds."""
        async with connection(self.settings.database) as db:
            rows = await db.fetch(
                'SELECT log_id, partition, "offset" FROM history.room_events WHERE log_id = ANY($1)',
                list({log_id for log_id, _, _ in page.places}),
            )
        return {(row[0], row[1], row[2]) for row in rows}

    async def kept_commands(self) -> set[str]:
        """Which command ids PostgreSQL holds."""
        async with connection(self.settings.database) as db:
            return {row[0] for row in await db.fetch("SELECT DISTINCT command_id FROM history.commands")}

    async def health(self) -> tuple[int, dict[str, Any]]:
        """What the API's /health/ready says; 0 when nobody answers."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://127.0.0.1:{self.settings.api_port}/health/ready") as answer,
            ):
                return answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            return 0, {}

    async def stop(self) -> None:
        """End everything that was started."""
        if self._load is not None:
            self._load.kill()
            self._load.wait()
        for running in reversed(self.roles.values()):
            await asyncio.to_thread(running.stop)
        self.field.stop()


@asynccontextmanager
async def stand(plan: Plan, home: Path) -> AsyncIterator[Stand]:
    """A building started, its rooms introduced by the database, its roles ready."""
    settings = msgspec.structs.replace(test_settings(home), simulator_port=free_port())
    services = await asyncio.to_thread(start_services, msgspec.structs.replace(settings, simulator_enabled=False))
    try:
        services.settings = msgspec.structs.replace(services.settings, simulator_port=settings.simulator_port)
        await provision(services.settings)
        await introduce(services.settings, plan)
        field = Field(plan, settings.simulator_port or 0)
        field.start()
        built = Stand(plan, services, await register_all(services.settings.registry), field)
        try:
            for name in ROLE_NAMES:
                built.launch(name)
            await built.ready()
            supervising = asyncio.create_task(built.supervise())
            try:
                yield built
            finally:
                supervising.cancel()
                await asyncio.wait({supervising})
        finally:
            await built.stop()
    finally:
        await asyncio.to_thread(stop_services, services.running)


async def introduce(settings: Settings, plan: Plan) -> None:
    """Write rooms, devices and policies into the database and let the directory carry them into the stream."""
    everything = [device for number in range(plan.rooms) for device in devices(number)]
    async with connection(settings.database) as db, db.transaction():
        await db.executemany(
            "INSERT INTO building.rooms (room_id, number, floor, name) VALUES ($1, $2, 1, $1)",
            [(room_id, number) for number, room_id in enumerate(plan.room_ids)],
        )
        await db.executemany(
            "INSERT INTO building.policies (room_id, document) VALUES ($1, $2)",
            [(room_id, json.dumps(plan.policy)) for room_id in plan.room_ids],
        )
        await db.executemany(
            "INSERT INTO building.devices (device_id, name, room_id, role, bus, line_id, knx_floor, knx_bloc, zwave_node)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            [
                (d.device_id, d.name, d.room_id, d.role.value, d.bus.value, d.line_id, d.knx_floor, d.knx_bloc, d.zwave_node)
                for d in everything
            ],
        )
    await fill(settings)


def memory_and_cores() -> str:
    """The machine's shape, for the record."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{os.cpu_count()} cores, {pages / 2**30:.0f} GB"
