"""A gateway: joins one bus to the log. Commands of its lines go to the driver, what the driver reports goes to the rooms."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from confluent_kafka import KafkaException

from agents.gateways.actuate import Reported, actuate
from agents.gateways.decide import Next, decide, refusal_of
from agents.gateways.devices import Devices
from agents.gateways.drivers.base import BusUnavailable, Driver, Hand, Report
from agents.gateways.effects import Effects
from agents.gateways.log import Log, utc_now
from agents.gateways.metrics import Metrics
from agents.gateways.queues import Job, Queues
from agents.gateways.resend import Resend
from schemas.commands import Command
from schemas.errors import RegistryUnavailable, Undecodable, UnknownSchema
from schemas.records import Bus, CommandResult, DeadLetter, Device, Intent, IntentAction, Position, Reading
from streams.decoding import decode
from streams.keys import partition_of
from streams.notify import notify
from streams.producer import Producer, log_id
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import COMMANDS, DEAD_LETTERS, ROOM_EVENTS

_STRANGE_DEVICE_S = 3.0
_RETRY_S, _HEALTH_S = 1.0, 0.5
_METRICS_EVERY_S = 5.0
_MOST_READINGS_UNDER_WAY = 500
_logger = logging.getLogger(__name__)


class Event(Protocol):
    """What Faust hands over of one record."""

    message: Any

    def ack(self) -> bool:
        """Say that the record is dealt with: its offset may be committed."""


class Gateway:
    """One bus. `run` serves until cancelled; `take` takes one record of the command topic; `release` gives the lines back."""

    def __init__(
        self, bus: Bus, driver: Driver, settings: Settings, owner: Callable[[], bool], on_bug: Callable[[BaseException], None]
    ) -> None:
        self._bus, self._driver, self._settings, self._owner = bus, driver, settings, owner
        self._queues = Queues(self._work, on_bug)
        self._reported = Reported()
        self._loaded, self._set_up = asyncio.Event(), asyncio.Event()
        self._devices_changed = asyncio.Event()
        self._effects_stale = True
        self._generation = 0
        self._told: str | None = None
        self._trouble: str | None = None
        self._owned: frozenset[int] | None = None
        self._bus_up = False
        self._metrics = Metrics()

    async def run(self) -> None:
        """Connect to registry, Kafka and bus, then serve until cancelled."""
        self._codecs = await self._until_there(lambda: register_all(self._settings.registry))
        topic = COMMANDS[self._bus].name
        self._log_id = await self._until_there(lambda: log_id(self._settings, topic))
        producer = Producer(self._settings)
        self._log = Log(producer, self._codecs, self._owner)
        self._effects = Effects(self._settings, self._codecs, self._log)
        self._devices = Devices(self._settings, self._codecs, self._devices_changed.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                for service in (
                    self._devices.follow(self._loaded),
                    self._keep_bus(),
                    self._read_bus(tasks),
                    self._tell_health(),
                    self._tell_metrics(),
                    Resend(self._driver, self._queues.busy, self._log.as_owner).run(self._ours, self._effects.last),
                ):
                    tasks.create_task(service)
        finally:
            await self._queues.drop()
            await self._driver.stop()
            await producer.close()

    def consuming(self, partitions: Iterable[int]) -> None:
        """These partitions of the command topic are ours, and with them the lines whose commands they hold."""
        self._owned = frozenset(partitions)
        self._devices_changed.set()

    async def release(self) -> None:
        """Partitions were taken away: stop where we stand. Whoever gets them sees in building.effects what was begun."""
        self._effects_stale = True
        self._generation += 1
        await self._queues.drop()

    async def take(self, event: Event) -> None:
        """Queue the command in a record for its device; a record that is none goes to the dead letters."""
        await self._set_up.wait()
        generation = self._generation
        if self._effects_stale:
            self._effects_stale = False
            await self._until_there(self._effects.load)
        message = event.message
        try:
            command = await decode(self._settings.registry, self._codecs, message.value)
            if not isinstance(command, Command):
                raise Undecodable(f"{type(command).__name__} is not a Command")
        except (Undecodable, UnknownSchema) as error:
            await self._set_aside(message, error)
            event.ack()
            return
        if generation == self._generation:  # else its partition was taken away meanwhile, and it will be delivered again
            self._queues.put(Job(command, (message.key or b"").decode(errors="replace"), event.ack))

    async def _set_aside(self, message: Any, error: Undecodable | UnknownSchema) -> None:
        letter = DeadLetter(
            reason=error.reason, detail=str(error), topic=message.topic,
            position=Position(self._log_id, message.partition, message.offset),
            at=datetime.fromtimestamp(round(message.timestamp * 1000) / 1000, UTC), key=message.key, value=message.value,
        )  # fmt: skip
        _logger.warning("dead letter: %s/%d/%d: %s", message.topic, message.partition, message.offset, error)
        await self._log.append(DEAD_LETTERS, message.key, letter)

    async def _work(self, job: Job, newer: asyncio.Event) -> None:
        """One command from its turn to its result in the room's log."""
        command = job.command

        def fits(device: Device | None) -> bool:
            return refusal_of(command, self._bus, job.line_id, device) is None

        device = await self._devices.wait_for(command.device_id, fits, _STRANGE_DEVICE_S)
        verdict = decide(
            command, bus=self._bus, line_id=job.line_id, device=device, effect=self._effects.last(command.device_id),
            newer_waits=newer.is_set(), now=utc_now(),
        )  # fmt: skip
        status, reported, reason = verdict.status, verdict.reported_pct, verdict.reason
        if verdict.next is not Next.answer and device is not None:
            ended = await actuate(
                command,
                device,
                verdict.next,
                driver=self._driver,
                effects=self._effects,
                reported=self._reported,
                newer=newer,
                as_owner=self._log.as_owner,
            )
            status, reported, reason = ended.status, ended.reported_pct, ended.reason
            self._metrics.count(ended)
        result = CommandResult(command.command_id, command.device_id, status, utc_now(), reported, reason)
        await self._log.append(ROOM_EVENTS, command.room_id, result)
        job.ack()
        _logger.info("device %d %s %g %%: %s %s", command.device_id, command.kind, command.target_pct, status, reason)

    async def _keep_bus(self) -> None:
        """Connect the driver with the devices of our lines, and again when these change."""
        await self._loaded.wait()
        self._set_up.set()
        while True:
            await self._devices_changed.wait()
            self._devices_changed.clear()
            if self._owned is None:
                continue
            await self._until_there(lambda: self._driver.start(self._ours()))
            self._bus_up = True

    def _ours(self) -> list[Device]:
        """The devices of our bus on the lines we own: another process may own the others."""
        owned, partitions = self._owned or (), COMMANDS[self._bus].partitions
        return [d for d in self._devices.all() if d.bus is self._bus and partition_of(d.line_id, partitions) in owned]

    async def _read_bus(self, tasks: asyncio.TaskGroup) -> None:
        """Send what the devices report to their rooms' logs, in the order it came."""
        room = asyncio.Semaphore(_MOST_READINGS_UNDER_WAY)
        while True:
            said = await self._driver.reports()
            if isinstance(said, Report):
                await self._reported.note(said.device_id, said.kind, said.value)
            device = self._devices.get(said.device_id)
            if device is not None:
                await room.acquire()
                tasks.create_task(self._send(said, device)).add_done_callback(lambda _: room.release())

    async def _send(self, said: Report | Hand, device: Device) -> None:
        event: Reading | Intent
        if isinstance(said, Report):
            event = Reading(said.device_id, said.kind, said.value, said.at)
        else:
            event = Intent(IntentAction.set, said.kind, said.at, said.value_pct, said.device_id, source=said.source)
            _logger.info("device %d %s %g %%: by hand, %s", said.device_id, said.kind, said.value_pct, said.source)
        await self._log.append(ROOM_EVENTS, device.room_id, event)

    async def _tell_health(self) -> None:
        """Tell the supervisor when we serve, and what is wrong whenever that changes."""
        ready = False
        while True:
            trouble = self._trouble or self._driver.health or self._log.trouble
            if trouble != self._told:
                notify(status=trouble or "")
                self._told = trouble
            if not ready and self._trouble is None and self._log.trouble is None and self._bus_up:
                notify(ready=True)
                ready = True
            await asyncio.sleep(_HEALTH_S if ready else _HEALTH_S / 10)

    async def _tell_metrics(self) -> None:
        while True:
            notify(metrics={**self._driver.metrics, **self._metrics.told(self._queues.waiting)})
            await asyncio.sleep(_METRICS_EVERY_S)

    async def _until_there(self, attempt: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Try until what is needed is there; meanwhile health says what is missing."""
        while True:
            try:
                found = await attempt()
            except (BusUnavailable, RegistryUnavailable, KafkaException, TimeoutError) as error:
                self._trouble = f"waiting: {error}"
                notify(status=self._trouble)
                _logger.warning("%s", self._trouble)
                await asyncio.sleep(_RETRY_S)
            else:
                self._trouble = None
                return found
