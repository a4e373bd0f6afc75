"""The role `rooms`: folds the rooms' log into tables and commands. Plumbing only; what a room does is in agents/rules.

A batch is made durable in this order, each send acknowledged before the next begins: commands and dead letters, the projections,
the `rooms` rows, then the offset. A crash anywhere in between repeats the batch, and the fold repeats the very same outcome.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from faust.types import TP

from agents.room_events import Source, alarm_of, dead_letters, fold_all, read_events, undeliverable
from agents.rules.fold import FoldOutcome
from schemas.codecs import Codecs
from schemas.errors import RegistryUnavailable
from schemas.records import DeadLetter, Tick
from streams.alarms import Alarms
from streams.app import App, create_app, run
from streams.decoding import decode
from streams.delivery import until_acknowledged
from streams.lane import Batch, Lane
from streams.notify import notify
from streams.positions import is_beyond, rebased
from streams.producer import log_id
from streams.pulse import Fenced
from streams.registry import register_until_done
from streams.settings import Settings
from streams.tables import RowTable, declare_tables, kafka_producer, send_rows
from streams.topics import COMMANDS, DEAD_LETTERS, ROOM_EVENTS

_IDLE_S = 1.0
_logger = logging.getLogger(__name__)


class RoomsRole:
    """One worker of the role: its app, lane, tables and alarms."""

    def __init__(self, settings: Settings, codecs: Codecs) -> None:
        self.settings = settings
        self.codecs = codecs
        self.app: App = create_app("rooms", settings, web_port=settings.rooms_web_port)
        self.tables = declare_tables(self.app, codecs, settings.registry)
        self.lane = Lane(self.app, ROOM_EVENTS.name, shut_at_first=True)
        self.alarms = Alarms()
        self.log_id = ""
        self.app.agent(self.lane.channel, name="rooms")(self.fold)
        self.app.task(self.ring)
        self.app.on_partitions_revoked.connect(self._on_revoked)
        self.app.on_rebalance_complete.connect(self._on_recovered)

    async def fold(self, batches: Any) -> None:
        """Fold each batch over the tables as Kafka has them and save what came of it."""
        async for batch in batches:
            if batch.stale:
                batch.drop()
                continue
            source = Source(self.log_id, batch.tp.partition)
            try:
                events, unusable = await read_events(
                    batch.records, batch.tp.partition, self.codecs.decode, partial(self._learn, batch)
                )
            except RegistryUnavailable:
                batch.drop()
                continue
            outcome, broken = fold_all(self.tables.rooms.rows, self.tables.averages.rows, source, events)
            for offset, error in broken:
                _logger.error("the fold failed on %s/%d, set aside", source, offset, exc_info=error)
            letters = dead_letters(batch.records, source, [*unusable, *outcome.rejects, *undeliverable(outcome)])
            batch.save(self._save(batch, outcome, letters))

    async def _learn(self, batch: Batch, data: bytes | None) -> Any:
        return await decode(self.settings.registry, self.codecs, data, lambda: batch.stale)

    async def _save(self, batch: Batch, outcome: FoldOutcome, letters: Sequence[tuple[bytes | None, DeadLetter]]) -> None:
        partition = batch.tp.partition
        messages: list[tuple[str, bytes | None, bytes]] = [
            (COMMANDS[each.bus].name, each.line_id.encode(), self.codecs.encode(each.command))
            for each in outcome.commands
            if each.bus in COMMANDS
        ]
        messages += [(DEAD_LETTERS.name, key, self.codecs.encode(letter)) for key, letter in letters]
        if messages:
            await until_acknowledged(partial(self._send, messages), lambda: batch.stale)
        changed: dict[RowTable[Any], dict[str, Any]] = {
            self.tables.occupancy: outcome.occupancy,
            self.tables.averages: outcome.averages,
            self.tables.actuation: outcome.actuation,
        }
        await self._write(partition, changed, batch)
        await self._write(partition, {self.tables.rooms: outcome.rooms}, batch)
        for table, rows in (*changed.items(), (self.tables.rooms, outcome.rooms)):
            for room_id, row in rows.items():
                table.put(partition, room_id, row)
        for room_id, room in outcome.rooms.items():
            self.alarms.set(room_id, alarm_of(room))

    async def _send(self, messages: Sequence[tuple[str, bytes | None, bytes]]) -> list[asyncio.Future[Any]]:
        producer = kafka_producer(self.app)
        return [await producer.send(topic, value=value, key=key) for topic, key, value in messages]

    async def _write(self, partition: int, changed: dict[RowTable[Any], dict[str, Any]], batch: Batch) -> None:
        encoded = [
            (table.changelog, [(room_id.encode(), self.codecs.encode(row)) for room_id, row in rows.items()])
            for table, rows in changed.items()
            if rows
        ]

        async def send() -> list[asyncio.Future[Any]]:
            return [sent for topic, rows in encoded for sent in await send_rows(self.app, topic, partition, rows)]

        if encoded:
            await until_acknowledged(send, lambda: batch.stale)

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        self.alarms.clear()

    async def _on_recovered(self, *_: Any, **__: Any) -> None:
        self.lane.attend(self._prepare(self.app.consumer_generation_id))

    async def _prepare(self, generation: int) -> None:
        """After every assignment: whose log it is, rows to write anew, alarms to set; then the lane opens."""

        def stale() -> bool:
            return self.lane.failed or generation != self.app.consumer_generation_id

        owned = {tp.partition: tp for tp in self.app.consumer.assignment() if tp.topic == ROOM_EVENTS.name}
        self.log_id, ends = await self._describe_log(owned.values())
        for partition, tp in owned.items():
            for table in self.tables.all:
                await self._mend(table, partition, ends[tp], stale)
        for room_id, room in self.tables.rooms.rows.items():
            if self.tables.rooms.partition(room_id) in owned:
                self.alarms.set(room_id, alarm_of(room))
        await self.lane.open(generation)
        _logger.info("folding log %s, partitions %s, %d rooms", self.log_id, sorted(owned), len(self.tables.rooms.rows))
        notify(ready=True, status="")

    async def _mend(self, table: RowTable[Any], partition: int, end: int, stale: Any) -> None:
        """Write anew the rows a zombie lowered, and re-base those that stand beyond the log's end."""
        again: list[tuple[bytes, bytes | None]] = []
        for room_id, row in list(table.rows.items()):
            if table.partition(room_id) != partition:
                continue
            if is_beyond(row, self.log_id, end):
                _logger.error("%s of room %s stands beyond the log's end %d: records were lost; re-based", table.name, room_id, end)
                table.put(partition, room_id, rebased(row, self.log_id, end))
                again.append((room_id.encode(), None))  # without it the lost position would win the next recovery
            elif room_id not in table.lowered:
                continue
            again.append((room_id.encode(), self.codecs.encode(table.rows[room_id])))
        if again:
            await until_acknowledged(lambda: send_rows(self.app, table.changelog, partition, again), stale)
        table.lowered.difference_update(key.decode() for key, _ in again)

    async def _describe_log(self, tps: Iterable[TP]) -> tuple[str, Mapping[TP, int]]:
        """The log's id and, per partition, the next offset to be written."""
        while True:
            try:
                return await log_id(self.settings, ROOM_EVENTS.name), await self.app.consumer.highwaters(*tps)
            except (KafkaException, KafkaError, TimeoutError) as error:
                notify(status=f"waiting for Kafka: {error!r}")
                await asyncio.sleep(_IDLE_S)

    async def ring(self) -> None:
        """Append a room's Tick to its log when it is due, once."""
        while not self.app.should_stop:
            due = self.alarms.take_due(datetime.now(UTC))
            for room_id, wake_at in due:
                await self._tick(room_id, wake_at)
            await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        next_at = self.alarms.next_at()
        if next_at is None:
            return _IDLE_S / 4
        return min(max((next_at - datetime.now(UTC)).total_seconds(), 0.01), _IDLE_S / 4)

    async def _tick(self, room_id: str, wake_at: datetime) -> None:
        tick = self.codecs.encode(Tick(wake_at))
        try:
            await (await kafka_producer(self.app).send(ROOM_EVENTS.name, value=tick, key=room_id.encode()))
        except (KafkaError, Fenced) as error:
            _logger.warning("tick of room %s not sent, again soon: %r", room_id, error)
            self.alarms.put_back(room_id, wake_at)
            await asyncio.sleep(_IDLE_S)


def main(settings: Settings) -> None:
    """Run the role until it is told to stop."""
    codecs = asyncio.run(register_until_done(settings.registry))
    gc.set_threshold(50_000, 20, 20)  # a fetch is tens of thousands of records at once, none of them garbage yet
    run(RoomsRole(settings, codecs).app)
