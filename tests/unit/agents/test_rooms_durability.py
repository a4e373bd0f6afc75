"""In which order the rooms role makes a batch durable: a crash anywhere in between must repeat it, never lose it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from faust.types import TP

from agents.rooms import RoomsRole
from schemas.codecs import PUBLIC, Codecs
from schemas.records import Kind, Reading, RoomEvent
from streams.keys import partition_of
from streams.lane import Batch
from streams.settings import Settings
from streams.topics import (
    COMMANDS_KNX,
    COMMANDS_ZWAVE,
    DEAD_LETTERS,
    ROOM_EVENTS,
    ROOM_PARTITIONS,
    TABLE_ACTUATION,
    TABLE_AVERAGES,
    TABLE_OCCUPANCY,
    TABLE_ROOMS,
    TABLES,
)
from tests.stories import NOON, SENSOR, introductions

CODECS = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=1)})
PARTITION = TP(ROOM_EVENTS.name, partition_of("2", ROOM_PARTITIONS))
GENERATION = 7
STEPS = [
    {COMMANDS_KNX.name, COMMANDS_ZWAVE.name, DEAD_LETTERS.name},
    {TABLE_OCCUPANCY.name, TABLE_AVERAGES.name, TABLE_ACTUATION.name},
    {TABLE_ROOMS.name},
]
"""The topics of each step. The offset may be committed when all three are acknowledged."""


class RowBatch(list[tuple[bytes, bytes | None]]):
    """aiokafka's batch builder, as far as rows are packed by it."""

    def append(self, *, key: bytes, value: bytes | None, timestamp: int | None) -> object:  # type: ignore[override]
        super().append((key, value))
        return timestamp or self

    def record_count(self) -> int:
        return len(self)

    def close(self) -> None:
        pass


class RecordingProducer:
    """Notes what it is given by topic, and acknowledges nothing until it is told to."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[asyncio.Future[None]]] = {}

    async def send(self, topic: str, *, value: bytes, key: bytes | None) -> asyncio.Future[None]:
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(topic, []).append(sent)
        return sent

    def create_batch(self) -> RowBatch:
        return RowBatch()

    async def send_batch(self, batch: RowBatch, topic: str, *, partition: int) -> asyncio.Future[None]:
        assert partition == PARTITION.partition
        return await self.send(topic, value=b"", key=None)

    async def asked(self) -> set[str]:
        """The topics that wait for their acknowledgement once the role does nothing more of itself."""
        for _ in range(50):
            await asyncio.sleep(0)
        return set(self.waiting)

    def acknowledge(self, *, refusing: str = "") -> None:
        """Answer everything that waits; a record to the topic `refusing` is refused for good."""
        waiting, self.waiting = self.waiting, {}
        for topic, sent in waiting.items():
            for future in sent:
                future.set_exception(MessageSizeTooLargeError()) if topic == refusing else future.set_result(None)


class Worker:
    """The role with its real lane and tables, in generation 7, with a producer that can be looked at and no Kafka."""

    def __init__(self, home: Path) -> None:
        settings = Settings(home=home, kafka_bootstrap_servers="127.0.0.1:9", schema_registry_url="http://127.0.0.1:9")
        self.role = RoomsRole(settings, CODECS)
        self.role.log_id = "log-1"
        self.producer = RecordingProducer()
        self.lane_done: dict[TP, int] = {}
        self.crashes: list[BaseException] = []
        app = self.role.app
        app.producer = SimpleNamespace(_producer=self.producer)
        app.consumer = SimpleNamespace(flow_active=True, lane_done=self.lane_done)
        app.consumer_generation_id = GENERATION
        app.crash = self._crash  # type: ignore[method-assign]

    async def _crash(self, reason: BaseException) -> None:
        self.crashes.append(reason)

    async def fold(self, *events: RoomEvent | bytes) -> Batch:
        """Fold one batch, a record a minute; what comes of it is being saved."""
        records = [
            SimpleNamespace(
                key=b"2", value=event if isinstance(event, bytes) else CODECS.encode(event), offset=100 + minute,
                timestamp=round((NOON + timedelta(minutes=minute)).timestamp() * 1000),
            )
            for minute, event in enumerate(events)
        ]  # fmt: skip
        batch = Batch(self.role.lane, PARTITION, records, GENERATION)

        async def batches() -> Any:
            yield batch

        await self.role.fold(batches())
        return batch

    @property
    def held(self) -> set[str]:
        """The tables that have a row of the room."""
        return {table.changelog for table in self.role.tables.all if "2" in table.rows}


def a_full_batch() -> list[RoomEvent | bytes]:
    """Something for every topic: commands on both buses, a dead letter, and a row for each table."""

    def reads(minute: int, kind: Kind, value: float) -> Reading:
        return Reading(SENSOR, kind, value, NOON + timedelta(minutes=minute))

    later = [b"", *[reads(minute, Kind.temperature_c, 20.5) for minute in range(7, 20)]]
    return [*introductions(), reads(4, Kind.illuminance_lx, 5), reads(5, Kind.motion, 1), *later]


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


async def test_commands_and_dead_letters_then_projections_then_rooms_rows_then_the_offset(worker: Worker) -> None:
    events = a_full_batch()
    batch = await worker.fold(*events)
    for step in STEPS:
        assert await worker.producer.asked() == step
        assert worker.lane_done == {}, "nothing may be committed yet"
        assert worker.held == set(), "a table never knows more than its changelog"
        worker.producer.acknowledge()
    assert await worker.producer.asked() == set()
    assert batch.flight.done()
    assert worker.lane_done == {PARTITION: 100 + len(events)}
    assert worker.held == {topic.name for topic in TABLES}
    assert worker.crashes == []


@pytest.mark.parametrize("refused", sorted(set.union(*STEPS)))
async def test_a_record_that_kafka_refuses_ends_the_worker_with_nothing_to_commit(worker: Worker, refused: str) -> None:
    batch = await worker.fold(*a_full_batch())
    while refused not in await worker.producer.asked():
        worker.producer.acknowledge()
    worker.producer.acknowledge(refusing=refused)
    assert await worker.producer.asked() == set(), "nothing of a later step is sent"
    assert batch.flight.done()
    assert worker.lane_done == {}
    assert worker.held == set()
    assert worker.role.lane.failed
    assert [type(error) for error in worker.crashes] == [MessageSizeTooLargeError]
