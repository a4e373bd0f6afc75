"""The role `history`: every room event and command into PostgreSQL, with its exact bytes, and a daily snapshot of the room rows.

Its own consumer group. An offset is committed only after PostgreSQL has committed; what comes again is recognised by its
position. While PostgreSQL is away the batches wait, the group stays joined, nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Callable
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
from confluent_kafka import KafkaException
from msgspec import Struct

from agents.history_rows import COMMANDS, ROOM_EVENTS, Raw, Row, Table, command_row, room_event_row
from agents.history_store import Allowance, Store, keep_snapshot, rooms_in_snapshot
from schemas.codecs import HEADER, Codecs
from schemas.errors import BuildingError, RegistryUnavailable, Undecodable, UnknownSchema
from schemas.rows import Room
from streams import topics
from streams.app import App, create_app, run
from streams.compacted import last_values
from streams.database import connection
from streams.decoding import decode
from streams.lane import Batch, Lane
from streams.notify import notify
from streams.producer import log_id
from streams.registry import register_all
from streams.settings import Settings

_YIELD_EVERY = 1_000  # records decoded before the event loop gets a turn: the group's heartbeats pass through it
_ROWS_IN_HAND = 50_000  # decoded and not yet saved: a day's backlog must not fill the memory
_REGISTRY_PAUSE_S = 2.0
_SNAPSHOT_CHECK_S = 60.0
_logger = logging.getLogger(__name__)

RowOf = Callable[[Raw, Struct | None], Row]
KEPT: tuple[tuple[topics.Topic, Table, RowOf], ...] = (
    (topics.ROOM_EVENTS, ROOM_EVENTS, room_event_row),
    (topics.COMMANDS_KNX, COMMANDS, command_row),
    (topics.COMMANDS_ZWAVE, COMMANDS, command_row),
    (topics.COMMANDS_RECORDED, COMMANDS, command_row),
)
"""What is kept: the topic, its table, and how a record becomes a row."""


def main(settings: Settings) -> None:
    """Run the role until it is told to stop."""
    run(build(settings))


def build(settings: Settings) -> App:
    """The role's app: a lane and an agent for each topic kept, the writer, and the daily snapshot."""
    app = create_app("history", settings)
    historian = Historian(settings)
    for topic, table, row_of in KEPT:
        _add_agent(app, historian, topic, table, row_of)
    app.task(historian.store.run)
    app.task(historian.keep_snapshots)
    app.on_rebalance_complete.connect(_say_ready, weak=False)
    return app


def _say_ready(*_: Any, **__: Any) -> None:
    notify(ready=True)


def _add_agent(app: App, historian: Historian, topic: topics.Topic, table: Table, row_of: RowOf) -> None:
    lane = Lane(app, topic.name)

    async def keep(batches: AsyncIterable[Batch]) -> None:
        async for batch in batches:
            if batch.stale:
                batch.drop()
                continue
            batch.save(historian.keep(batch, table, row_of))

    app.agent(lane.channel, name=f"history-{topic.name}")(keep)


class Historian:
    """Turns batches of Kafka records into saved rows, and once a day the rooms' rows into a snapshot."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.store = Store(settings.database, lambda status: notify(status=status))
        self._allowance = Allowance(_ROWS_IN_HAND)
        self._codecs: Codecs | None = None
        self._registering = asyncio.Lock()
        self._log_ids: dict[str, str] = {}
        self._schemas_kept: set[int] = set()

    async def keep(self, batch: Batch, table: Table, row_of: RowOf) -> None:
        """Return once every record of the batch is in PostgreSQL."""
        async with self._allowance.take(len(batch.records)):
            await self._keep(batch, table, row_of)

    async def _keep(self, batch: Batch, table: Table, row_of: RowOf) -> None:
        codecs = await self._get_codecs()
        topic = batch.tp.topic
        if topic not in self._log_ids:
            self._log_ids[topic] = await log_id(self._settings, topic)
        rows: list[Row] = []
        schemas: dict[int, str] = {}
        for record in batch.records:
            raw = Raw(self._log_ids[topic], batch.tp.partition, record.offset, record.timestamp, record.key, record.value)
            rows.append(row_of(raw, await self._decode(codecs, record.value, schemas)))
            if len(rows) % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        await self.store.save(table, rows, schemas)
        self._schemas_kept |= schemas.keys()

    async def _decode(self, codecs: Codecs, value: bytes | None, schemas: dict[int, str]) -> Any:
        """The record, or None for what nobody can decode: its bytes are kept, and the rooms role has a dead letter about it."""
        try:
            record = await decode(self._settings.registry, codecs, value)
        except (Undecodable, UnknownSchema):
            return None
        schema_id = int.from_bytes((value or b"")[1:HEADER], "big")
        if schema_id not in self._schemas_kept:
            schemas[schema_id] = codecs.schema_json(schema_id)
        return record

    async def _get_codecs(self) -> Codecs:
        async with self._registering:  # every partition's first batch asks
            while self._codecs is None:
                try:
                    self._codecs = await register_all(self._settings.registry)
                    notify(status="")
                except RegistryUnavailable as error:
                    notify(status=f"waiting for the schema registry: {error}")
                    await asyncio.sleep(_REGISTRY_PAUSE_S)
        return self._codecs

    async def keep_snapshots(self) -> None:
        """Take each UTC day's snapshot as soon as it is missing: at the first start, then after every midnight."""
        while True:
            try:
                await self.take_snapshot(datetime.now(UTC).date())
            except (BuildingError, KafkaException, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _logger.warning("no snapshot of the rooms yet: %s", error)
            await asyncio.sleep(_SNAPSHOT_CHECK_S)

    async def take_snapshot(self, day: date) -> int:
        """Keep each room's row as it is now, unless the day has its snapshot; how many rooms were kept.

        The last row of a key is right even if it should be an older one of a worker that lost its partition: a row stands
        for its own position, and the events after that position lead on from it.
        """
        async with connection(self._settings.database) as db:
            if await rooms_in_snapshot(db, day):
                return 0
            codecs = await self._get_codecs()
            rows: dict[str, tuple[Room, bytes]] = {}
            schemas: dict[int, str] = {}
            for key, value in (await asyncio.to_thread(last_values, self._settings, topics.TABLE_ROOMS)).items():
                row = await self._decode(codecs, value, schemas)
                if isinstance(row, Room):
                    rows[key.decode(errors="backslashreplace")] = (row, value)
            await keep_snapshot(db, day, rows, schemas)
        return len(rows)
