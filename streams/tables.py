"""The tables of the role `rooms`: Faust tables whose rows are Structs and whose changelogs are public Avro topics.

Faust recovers and shows them; it does not write them. The rows role writes row batches by `send_rows` and, once Kafka has
acknowledged them, `put`s the same rows here, so that a table never knows more than its changelog.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import aiokafka
import faust
from msgspec import Struct

from schemas.codecs import Codecs
from schemas.errors import Undecodable, UnknownSchema
from schemas.records import Position
from schemas.rows import ActuationRow, AveragesRow, OccupancyRow, Room
from streams.decoding import decode
from streams.lane import LoggedRecord
from streams.positions import Row, peek_position, position_of, supersedes
from streams.topics import TABLE_ACTUATION, TABLE_AVERAGES, TABLE_OCCUPANCY, TABLE_ROOMS, Topic

if TYPE_CHECKING:
    from streams.app import App

R = TypeVar("R", bound=Row)
RAW: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
"""Keeps Faust from decoding keys and values: bytes for a type alone would still go through its JSON."""
_logger = logging.getLogger(__name__)


class RowTable(faust.Table[str, Any], Generic[R]):
    """One table: room id to row. `rows` is the plain dict under it, with the partitions this worker owns."""

    def __init__(self, app: App, topic: Topic, codecs: Codecs, registry: str) -> None:
        super().__init__(
            app, name=topic.name.rpartition(".")[2], partitions=topic.partitions,
            changelog_topic=app.topic(topic.name, partitions=topic.partitions, **RAW),
            key_type=bytes, value_type=bytes,
        )  # fmt: skip
        self.changelog = topic.name
        self.record = cast("type[R]", topic.records[0])
        self.lowered: set[str] = set()
        """Keys whose last row in the changelog is lower than the one recovered: a zombie wrote it, the owner writes it anew."""
        self._codecs = codecs
        self._registry = registry
        app.restores[topic.name] = self
        app.tables.add(self)

    @property
    def rows(self) -> dict[str, R]:
        """Every row this worker holds."""
        return cast("dict[str, R]", self.data.data)

    @property
    def _partitions(self) -> dict[str, int]:
        """Faust forgets by this, after a rebalance, the rows of partitions it lost."""
        return cast("Any", self.data)._key_partition  # type: ignore[no-any-return]  # noqa: SLF001 - pinned

    def partition(self, key: str) -> int | None:
        """The partition a held row belongs to."""
        return self._partitions.get(key)

    def put(self, partition: int, key: str, row: R) -> None:
        """Set a row that Kafka has acknowledged."""
        self.rows[key] = row
        self._partitions[key] = partition

    def apply_changelog_batch(self, batch: Any) -> None:
        """Do nothing: `restore` has taken the rows already, and Faust's buffer would put older ones over them."""

    async def restore(self, partition: int, records: Sequence[LoggedRecord]) -> None:
        """Take changelog records, in order: per key the highest position of a log wins, whoever wrote last."""
        winners: dict[str, bytes | R] = {}
        positions: dict[str, Position] = {}
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            if record.value is None:
                places: tuple[dict[str, Any], ...] = (winners, positions, self.rows, self._partitions)
                for place in places:
                    place.pop(key, None)
                self.lowered.discard(key)
                continue
            peeked = await self._peek(record.value, f"{self.changelog}/{partition}/{record.offset}")
            if peeked is None:
                continue
            position, found = peeked
            held = positions.get(key)
            if held is None and key in self.rows:
                held = position_of(self.rows[key])
            if held is None or supersedes(position, held):
                winners[key], positions[key] = found, position
                self.lowered.discard(key)
            else:
                self.lowered.add(key)
        for key, row in winners.items():
            try:
                self.put(partition, key, self._codecs.decode(row) if isinstance(row, bytes) else row)
            except Undecodable:
                _logger.exception("row of %r in %s/%d skipped", key, self.changelog, partition)

    async def _peek(self, data: bytes, where: str) -> tuple[Position, bytes | R] | None:
        """Position and row, the row still as bytes where they are ours; None for bytes nobody can use."""
        try:
            if self._codecs.writes(self.record, data):
                return peek_position(data), data
            row = await decode(self._registry, self._codecs, data)
            return position_of(row), row
        except (Undecodable, UnknownSchema, IndexError, UnicodeDecodeError) as error:
            _logger.error("row skipped at %s: %r", where, error)
            return None


class Tables(Struct, frozen=True):
    """The four tables."""

    rooms: RowTable[Room]
    occupancy: RowTable[OccupancyRow]
    averages: RowTable[AveragesRow]
    actuation: RowTable[ActuationRow]

    @property
    def all(self) -> tuple[RowTable[Any], ...]:
        """In the order of writing: the rooms' rows last, for they are the state."""
        return (self.occupancy, self.averages, self.actuation, self.rooms)


def declare_tables(app: App, codecs: Codecs, registry: str) -> Tables:
    """The building's tables, recovered and shown by this app."""
    return Tables(
        rooms=RowTable(app, TABLE_ROOMS, codecs, registry),
        occupancy=RowTable(app, TABLE_OCCUPANCY, codecs, registry),
        averages=RowTable(app, TABLE_AVERAGES, codecs, registry),
        actuation=RowTable(app, TABLE_ACTUATION, codecs, registry),
    )


def kafka_producer(app: App) -> aiokafka.AIOKafkaProducer:
    """The app's own fenced aiokafka producer."""
    return app.producer._producer  # type: ignore[attr-defined]  # noqa: SLF001 - pinned


async def send_rows(app: App, topic: str, partition: int, rows: Iterable[tuple[bytes, bytes | None]]) -> list[asyncio.Future[Any]]:
    """Hand rows to Kafka as whole record batches; the futures end when each batch is acknowledged. None deletes a row."""
    producer = kafka_producer(app)
    batch, sent = producer.create_batch(), []
    for key, value in rows:
        if batch.append(key=key, value=value, timestamp=None) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    if batch.record_count():
        batch.close()
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    return sent
