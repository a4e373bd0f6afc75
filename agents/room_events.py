"""The rooms' log as the fold takes it: records decoded and stamped, the unusable ones set aside with their reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from agents.rules.fold import FoldOutcome, LoggedEvent, Reject, fold_batch
from schemas.errors import SchemaNotCached, Undecodable, UnknownSchema
from schemas.records import Clock, DeadLetter, Position
from schemas.rows import AveragesRow, Room
from streams.keys import partition_of
from streams.lane import LoggedRecord
from streams.topics import COMMANDS, ROOM_EVENTS

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Decode = Callable[[bytes | None], Any]
Learn = Callable[[bytes | None], Awaitable[Any]]


class Source(Struct, frozen=True):
    """A partition of the rooms' log."""

    log_id: str
    partition: int


class Misplaced(Undecodable):
    """A key whose room lives in another partition: its producer does not place keys by murmur2."""

    reason = "misplaced"


def stamp(milliseconds: int) -> datetime:
    """Kafka's time of a record."""
    return EPOCH + timedelta(milliseconds=milliseconds)


@lru_cache(maxsize=65_536)
def _room_of(key: bytes | None, partition: int) -> str:
    """The room id in a key. Raises `Undecodable`."""
    try:
        room_id = (key or b"").decode()
    except UnicodeDecodeError:
        raise Undecodable("the key is not UTF-8") from None
    if not room_id:
        raise Undecodable("no room id for a key")
    if (expected := partition_of(room_id, ROOM_EVENTS.partitions)) != partition:
        raise Misplaced(f"room {room_id!r} belongs to partition {expected}")
    return room_id


async def read_events(
    records: Iterable[LoggedRecord], partition: int, decode: Decode, learn: Learn
) -> tuple[list[LoggedEvent], list[Reject]]:
    """Decode records in order. `decode` is the quick way; `learn` is asked where it raises `SchemaNotCached`."""
    events: list[LoggedEvent] = []
    rejects: list[Reject] = []
    logged_ms, logged_at = -1, EPOCH
    for record in records:
        if record.timestamp != logged_ms:
            logged_ms = record.timestamp
            logged_at = stamp(logged_ms)
        try:
            room_id = _room_of(record.key, partition)
            try:
                event = decode(record.value)
            except SchemaNotCached:
                event = await learn(record.value)
            if type(event) not in ROOM_EVENTS.records:
                raise Undecodable(f"a {type(event).__name__} has no place in the rooms' log")
        except (Undecodable, UnknownSchema) as error:
            rejects.append(Reject(record.offset, error.reason, str(error)))
        else:
            events.append(LoggedEvent(room_id, record.offset, logged_at, event))
    return events, rejects


def fold_all(
    rooms: Mapping[str, Room], averages: Mapping[str, AveragesRow], source: Source, events: Sequence[LoggedEvent]
) -> tuple[FoldOutcome, list[tuple[int, Exception]]]:
    """Fold a batch; where an event breaks the fold, leave out that event alone and tell its offset and error."""
    try:
        return fold_batch(rooms, averages, source.log_id, source.partition, events), []
    except Exception:
        return _fold_singly({**rooms}, {**averages}, source, events)


def _fold_singly(
    rooms: dict[str, Room], averages: dict[str, AveragesRow], source: Source, events: Sequence[LoggedEvent]
) -> tuple[FoldOutcome, list[tuple[int, Exception]]]:
    total, broken = FoldOutcome({}, {}, {}, {}, [], []), []
    for event in events:
        try:
            one = fold_batch(rooms, averages, source.log_id, source.partition, [event])
        except Exception as error:
            broken.append((event.offset, error))
            total.rejects.append(Reject(event.offset, "fold_failed", repr(error)))
            continue
        rooms.update(one.rooms)
        averages.update(one.averages)
        total.rooms.update(one.rooms)
        total.occupancy.update(one.occupancy)
        total.actuation.update(one.actuation)
        total.averages.update(one.averages)
        total.commands += one.commands
        total.rejects += one.rejects
    return total, broken


def alarm_of(room: Room) -> datetime | None:
    """When the rooms role must wake a room; never a recorded one, whose feeder sends its ticks: "due" there is no time of ours."""
    return None if room.policy.clock is Clock.recorded else room.wake_at


def undeliverable(outcome: FoldOutcome) -> list[Reject]:
    """Commands no topic carries, as rejects of the events that caused them."""
    return [
        Reject(each.command.cause.offset, "unknown_bus", f"device {each.command.device_id} hangs on bus {each.bus}")
        for each in outcome.commands
        if each.bus not in COMMANDS
    ]


def dead_letters(
    records: Sequence[LoggedRecord], source: Source, rejects: Iterable[Reject]
) -> list[tuple[bytes | None, DeadLetter]]:
    """Key and letter for each record set aside, in the order of the log."""
    by_offset = {record.offset: record for record in records}
    letters = []
    for reject in sorted(rejects, key=lambda each: each.offset):
        record = by_offset[reject.offset]
        position = Position(source.log_id, source.partition, record.offset)
        letter = DeadLetter(
            reject.reason, reject.detail, ROOM_EVENTS.name, position, stamp(record.timestamp), record.key, record.value
        )
        letters.append((record.key, letter))
    return letters
