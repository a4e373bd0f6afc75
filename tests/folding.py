"""The rooms' log written, folded offline without Kafka or Faust's help, and compared with what the live role made of it."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from msgspec import Struct

from agents.room_events import read_events
from agents.rules.fold import FoldOutcome, Reject, fold_batch
from schemas.codecs import Codecs
from schemas.commands import Command
from schemas.errors import SchemaNotCached, Undecodable
from schemas.records import Bus, Device, DeviceChanged, DeviceRole, Kind, Reading, RoomEvent, Tick
from streams import topics
from streams.compacted import read_to_end
from streams.decoding import decode
from streams.keys import partition_of
from streams.positions import position_of
from streams.producer import log_id
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import (
    COMMANDS,
    DEAD_LETTERS,
    ROOM_EVENTS,
    ROOM_PARTITIONS,
    Topic,
)
from tests.processes import wait_until

GROUP = "atrium-rooms"
TABLES = {topic.name.rpartition(".")[2]: topic for topic in topics.TABLES}
_PARTITIONS = range(ROOM_PARTITIONS)


class Fold(Struct):
    """What a log comes to: per table the row bytes by room id, command bytes by id, rejects by (partition, offset)."""

    tables: dict[str, dict[str, bytes]]
    commands: dict[str, bytes]
    rejects: dict[tuple[int, int], str]


def codecs_of(settings: Settings) -> Codecs:
    return asyncio.run(register_all(settings.registry))


def fold_offline(settings: Settings, ends: dict[int, int] | None = None) -> Fold:
    """Fold the topic as it lies in Kafka: each partition in one go, up to `ends` (exclusive)."""
    codecs = codecs_of(settings)
    topic_id = asyncio.run(log_id(settings, ROOM_EVENTS.name))
    by_partition = defaultdict(list)
    for message in read_to_end(settings, ROOM_EVENTS):
        if ends is None or message.offset() < ends.get(message.partition(), 0):
            by_partition[message.partition()].append(
                SimpleNamespace(key=message.key(), value=message.value(), offset=message.offset(), timestamp=message.timestamp()[1])
            )
    fold = Fold({name: {} for name in TABLES}, {}, {})
    for partition, records in by_partition.items():
        events, unusable = asyncio.run(
            read_events(records, partition, codecs.decode, lambda data: decode(settings.registry, codecs, data))
        )
        outcome = fold_batch({}, {}, topic_id, partition, events)
        _collect(fold, codecs, partition, outcome, unusable)
    return fold


def _collect(fold: Fold, codecs: Codecs, partition: int, outcome: FoldOutcome, unusable: Sequence[Reject]) -> None:
    for name in TABLES:
        fold.tables[name].update({room_id: codecs.encode(row) for room_id, row in getattr(outcome, name).items()})
    for each in outcome.commands:
        assert each.command.command_id not in fold.commands, "the fold gave one id to two commands"
        fold.commands[each.command.command_id] = codecs.encode(each.command)
    for reject in (*unusable, *outcome.rejects):
        fold.rejects[partition, reject.offset] = reject.reason


def read_live(settings: Settings) -> Fold:
    """What the role left in Kafka; of each key the row of the highest position, whenever it was written."""
    codecs = codecs_of(settings)
    fold = Fold({name: {} for name in TABLES}, {}, {})
    for name, topic in TABLES.items():
        highest: dict[str, int] = {}
        for message in read_to_end(settings, topic):
            room_id = message.key().decode()
            assert message.partition() == partition_of(room_id, ROOM_PARTITIONS)
            if message.value() is None:
                highest.pop(room_id, None)
                fold.tables[name].pop(room_id, None)
                continue
            try:
                offset = position_of(codecs.decode(message.value())).offset
            except Undecodable:
                continue  # a test put it there; were a row of the role's own lost so, its key would be missing
            if offset >= highest.get(room_id, -1):
                highest[room_id] = offset
                fold.tables[name][room_id] = message.value()
    ours = asyncio.run(log_id(settings, ROOM_EVENTS.name))
    for topic in COMMANDS.values():
        for message in read_to_end(settings, topic):
            try:
                command = codecs.decode(message.value())
            except (Undecodable, SchemaNotCached):
                continue  # a test of the gateways put it there, as it did commands of logs that never were
            if not isinstance(command, Command) or command.cause.log_id != ours:
                continue
            command_id = command.command_id
            assert fold.commands.setdefault(command_id, message.value()) == message.value(), f"{command_id} has two contents"
    for message in read_to_end(settings, DEAD_LETTERS):
        letter = codecs.decode(message.value())
        if letter.topic == ROOM_EVENTS.name:
            fold.rejects[letter.position.partition, letter.position.offset] = letter.reason
    return fold


def assert_live_equals_offline(settings: Settings) -> Fold:
    """Call with every worker stopped in order: compares all that was committed, byte for byte."""
    ends = committed(settings)
    offline, live = fold_offline(settings, ends), read_live(settings)
    for name in TABLES:
        assert live.tables[name].keys() == offline.tables[name].keys(), name
        differing = [room_id for room_id, row in offline.tables[name].items() if live.tables[name][room_id] != row]
        assert not differing, f"{len(differing)} rows of {name} differ from the offline fold, e.g. of room {differing[0]}"
    assert live.commands == offline.commands
    assert live.rejects == offline.rejects
    return offline


def committed(settings: Settings, group: str = GROUP, topic: Topic = ROOM_EVENTS) -> dict[int, int]:
    """Committed offset per partition of the topic; 0 where there is none."""
    consumer = Consumer({**settings.librdkafka, "group.id": group})
    try:
        places = consumer.committed([TopicPartition(topic.name, p) for p in range(topic.partitions)], timeout=20)
        return {place.partition: max(place.offset, 0) for place in places}
    finally:
        consumer.close()


def log_ends(settings: Settings, topic: Topic = ROOM_EVENTS) -> dict[int, int]:
    consumer = Consumer({**settings.librdkafka, "group.id": "atrium-test-ends"})
    try:
        return {p: consumer.get_watermark_offsets(TopicPartition(topic.name, p), timeout=20)[1] for p in range(topic.partitions)}
    finally:
        consumer.close()


def wait_caught_up(settings: Settings, within_s: float = 120.0) -> None:
    """Wait until the role has committed everything that is in the log now."""
    ends = log_ends(settings)
    wait_until(
        lambda: all(offset >= ends[partition] for partition, offset in committed(settings).items()),
        "the rooms role has committed the log's end", within_s, 0.3,
    )  # fmt: skip


@contextmanager
def stamped_by_writer(settings: Settings, load: Load) -> Iterator[None]:
    """For a while the log keeps its writers' times, so that a test need not wait for minutes to pass."""
    _stamp(settings, "CreateTime")
    try:
        wait_until(lambda: _probe(load) == TIMESTAMP_CREATE_TIME, "the log keeps its writers' times")
        yield
    finally:
        _stamp(settings, "LogAppendTime")
        wait_until(lambda: _probe(load) == TIMESTAMP_LOG_APPEND_TIME, "the log stamps again")


def _stamp(settings: Settings, how: str) -> None:
    entry = ConfigEntry("message.timestamp.type", how, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, ROOM_EVENTS.name, incremental_configs=[entry])
    admin = AdminClient(dict(settings.librdkafka))  # kept until the answer is there
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(20)


def _probe(load: Load) -> int:
    """How a record written now is stamped: a tick for nobody, so old that it moves no room's clock."""
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    load.write(load.room_ids[0], Tick(long_ago), long_ago)
    load.flush()
    return load.last_stamp_type


def group_members(settings: Settings) -> int:
    """How many workers share the rooms' log by the coordinator's count."""
    admin = AdminClient(dict(settings.librdkafka))
    return len(admin.describe_consumer_groups([GROUP])[GROUP].result(10).members)


class Load:
    """Writes rooms with four devices each and then plausible readings, the same for the same seed."""

    def __init__(self, settings: Settings, codecs: Codecs, rooms: int, seed: int, prefix: str = "load") -> None:
        self.codecs = codecs
        self.rng = random.Random(seed)
        self.room_ids = [f"{prefix}-{seed}-{number}" for number in range(rooms)]
        self.producer = Producer({
            **settings.librdkafka, "partitioner": "murmur2_random", "enable.idempotence": True, "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000, "compression.type": "lz4",
        })  # fmt: skip
        self.failed: list[object] = []
        self.last_stamp_type = TIMESTAMP_NOT_AVAILABLE

    def introduce(self, stamp: datetime | None = None) -> None:
        """Put the devices into the rooms."""
        for number, room_id in enumerate(self.room_ids):
            for device_id, role, bus in self._devices(number):
                device = Device(device_id, 1, f"{role} {device_id}", room_id, role, bus, f"{bus}-load")
                self.write(room_id, DeviceChanged(device_id, 1, device), stamp)
        self.flush()

    def _devices(self, number: int) -> list[tuple[int, DeviceRole, Bus]]:
        first = 10_000 + 4 * number
        roles = (DeviceRole.multisensor, DeviceRole.radiator_valve, DeviceRole.blind, DeviceRole.dimmer)
        return [
            (first + i, role, Bus.knx if role in (DeviceRole.radiator_valve, DeviceRole.blind) else Bus.zwave)
            for i, role in enumerate(roles)
        ]

    def read(self, count: int) -> None:
        """Append readings of random rooms; people come and go often enough to move valves."""
        rng = self.rng
        for _ in range(count):
            number = rng.randrange(len(self.room_ids))
            kind, value = rng.choice((
                (Kind.temperature_c, round(rng.uniform(17, 25), 1)), (Kind.humidity_pct, round(rng.uniform(30, 60), 1)),
                (Kind.illuminance_lx, float(rng.randrange(0, 400))), (Kind.motion, float(rng.random() < 0.5)),
            ))  # fmt: skip
            self.write(self.room_ids[number], Reading(10_000 + 4 * number, kind, value, datetime.now(UTC)))

    def live(self, count: int) -> None:
        """Append readings as a building sends them: every value drifts, and somebody comes or goes in one motion reading of 60."""
        rng, state = self.rng, [[21.0, 42.0, 150.0, 0.0] for _ in self.room_ids]
        drifts = ((Kind.temperature_c, 0.1, 17, 25), (Kind.humidity_pct, 0.5, 30, 60), (Kind.illuminance_lx, 5.0, 0, 400))
        for _ in range(count):
            number, which = rng.randrange(len(self.room_ids)), rng.randrange(4)
            values = state[number]
            if which < len(drifts):
                kind, step, low, high = drifts[which]
                values[which] = round(min(max(values[which] + rng.uniform(-step, step), low), high), 1)
            else:
                kind, values[which] = Kind.motion, values[which] if rng.random() > 1 / 60 else 1.0 - values[which]
            self.write(self.room_ids[number], Reading(10_000 + 4 * number, kind, values[which], datetime.now(UTC)))

    def reading_header(self) -> bytes:
        """The wire header every reading begins with."""
        return self.codecs.encode(Reading(1, Kind.motion, 0.0, self.now()))[:5]

    def now(self) -> datetime:
        return datetime.now(UTC)

    def write(self, room_id: str | bytes, event: RoomEvent | bytes, stamp: datetime | None = None) -> None:
        """Append one event; `stamp` counts only inside `stamped_by_writer`."""
        options = {} if stamp is None else {"timestamp": int(stamp.timestamp() * 1000)}
        value = event if isinstance(event, bytes) else self.codecs.encode(event)
        while True:
            try:
                self.producer.produce(ROOM_EVENTS.name, value, room_id, on_delivery=self._delivered, **options)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def _delivered(self, error: object, message: Any) -> None:
        self.last_stamp_type = message.timestamp()[0]
        if error is not None:
            self.failed.append(error)

    def flush(self) -> None:
        """Wait until everything is acknowledged."""
        assert self.producer.flush(120) == 0
        assert not self.failed, self.failed[:3]
