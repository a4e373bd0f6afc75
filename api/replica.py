"""The building in memory: every row of every table and every record of the directory. Pure; `api.follower` feeds it from Kafka.

Lives on one event loop and is touched by nothing else, so it needs no lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from schemas.records import Beacon, Device, Policy, Position, RoomInfo
from schemas.rows import ActuationRow, AveragesRow, OccupancyRow, Room
from streams import topics
from streams.positions import position_of

FOLLOWED = (*topics.TABLES, topics.ROOMS, topics.DEVICES, topics.BEACONS, topics.POLICIES)
"""The topics a replica is made of."""
_RECORDS = {topic.name: topic.records for topic in FOLLOWED}
STALLED_AFTER = timedelta(seconds=10)
"""Events waiting and none folded for this long: the fold is taken to be down."""

BeaconKey = tuple[str, int, int]
log = logging.getLogger(__name__)


class Change(Struct, frozen=True):
    """One record of a followed topic; `record` None is a tombstone."""

    topic: str
    key: str
    record: Any


class LogState(Struct, frozen=True):
    """The rooms' log as Kafka tells it: per partition its first offset, its end, and what the group `atrium-rooms` committed."""

    begins: Mapping[int, int]
    ends: Mapping[int, int]
    committed: Mapping[int, int]
    log_id: str | None = None


class Replica:
    """Per key the row of the highest position (a table may hold an older row after a newer one, written by a stopped worker)."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.occupancy: dict[str, OccupancyRow] = {}
        self.averages: dict[str, AveragesRow] = {}
        self.actuation: dict[str, ActuationRow] = {}
        self.infos: dict[str, RoomInfo] = {}
        self.devices: dict[int, Device] = {}
        self.beacons: dict[BeaconKey, Beacon] = {}
        self.policies: dict[str, Policy] = {}
        self.watchers: list[Callable[[frozenset[str]], None]] = []
        self.partitions_left: int | None = None
        self.trouble: str | None = None
        self.lag: int | None = None
        self._done = -1
        self._moved_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._beyond_end: set[tuple[str, str]] = set()
        self._tables: dict[str, dict[str, Any]] = {
            topics.TABLE_ROOMS.name: self.rooms,
            topics.TABLE_OCCUPANCY.name: self.occupancy,
            topics.TABLE_AVERAGES.name: self.averages,
            topics.TABLE_ACTUATION.name: self.actuation,
        }

    def apply(self, changes: Iterable[Change]) -> frozenset[str]:
        """Take records in, in their topic's order. Returns the rooms that look different now and tells the watchers.

        A record that is not of its topic's kind and a key that names nothing are logged and passed over.
        """
        touched: set[str] = set()
        for change in changes:
            if (unusable := _unusable(change)) is not None:
                log.warning("skipped a record of %s: %s", change.topic, unusable)
            elif change.topic in self._tables:
                touched |= self._apply_row(change)
            else:
                touched |= self._apply_directory(change)
        rooms = frozenset(touched)
        if rooms:
            for watcher in self.watchers:
                watcher(rooms)
        return rooms

    def _apply_row(self, change: Change) -> set[str]:
        table = self._tables[change.topic]
        if change.record is None:
            return {change.key} if table.pop(change.key, None) is not None else set()
        old = table.get(change.key)
        if old is not None and (change.topic, change.key) not in self._beyond_end:
            before, after = position_of(old), position_of(change.record)
            if before.log_id == after.log_id and after.offset < before.offset:
                return set()
        self._beyond_end.discard((change.topic, change.key))
        table[change.key] = change.record
        return {change.key}

    def _apply_directory(self, change: Change) -> set[str]:
        if change.topic == topics.ROOMS.name:
            old_room = _put(self.infos, change.key, change.record)
            return {change.key} if old_room != change.record else set()
        if change.topic == topics.DEVICES.name:
            old = _put(self.devices, int(change.key), change.record)
            return {device.room_id for device in (old, change.record) if device is not None}
        if change.topic == topics.BEACONS.name:
            _put(self.beacons, _beacon_key_of(change.key), change.record)
        elif change.topic == topics.POLICIES.name:
            _put(self.policies, change.key, change.record)
        return set()

    def measure(self, log: LogState, now: datetime) -> None:
        """Compare with the rooms' log. Call it after everything read before the look at the log has been applied."""
        applied = dict.fromkeys(log.ends, 0)
        self._beyond_end.clear()
        for topic, table in self._tables.items():
            for key, row in table.items():
                position = position_of(row)
                end = log.ends.get(position.partition, 0)
                if log.log_id is not None and position.log_id != log.log_id:
                    continue
                if position.offset >= end:  # the log lost records: whatever the fold writes next is right
                    self._beyond_end.add((topic, key))
                elif position.partition in applied:
                    applied[position.partition] = max(applied[position.partition], position.offset + 1)
        reached = {
            partition: max(applied[partition], log.begins.get(partition, 0), log.committed.get(partition, 0))
            for partition in log.ends
        }
        self.lag = sum(max(0, end - reached[partition]) for partition, end in log.ends.items())
        done = sum(reached.values())
        if self.lag == 0 or done != self._done or self._moved_at is None:
            self._moved_at = now
        self._done, self._looked_at = done, now

    @property
    def caught_up(self) -> bool:
        """Whether every followed partition has been read to the end it had at the start."""
        return self.partitions_left == 0

    @property
    def stalled(self) -> timedelta:
        """For how long events have waited in the rooms' log without one being folded."""
        if self._moved_at is None or self._looked_at is None:
            return timedelta(0)
        return self._looked_at - self._moved_at

    def reasons(self) -> list[str]:
        """What is wrong, for people; empty when all is well."""
        found = []
        if self.partitions_left is None:
            found.append("the replica has not begun to read Kafka")
        elif self.partitions_left:
            found.append(f"the replica is still reading: {self.partitions_left} partitions to go")
        if self.trouble:
            found.append(self.trouble)
        if self.stalled >= STALLED_AFTER:
            found.append(f"the rooms role folds nothing for {self.stalled.total_seconds():.0f} s while {self.lag} events wait")
        if self._beyond_end:
            keys = sorted({key for _, key in self._beyond_end})
            found.append(f"the rooms' log lost records: rooms {', '.join(keys)} stand beyond its end")
        return found

    def reached(self, room_id: str, position: Position) -> bool:
        """Whether the room's row contains the event at `position`."""
        row = self.rooms.get(room_id)
        return row is not None and row.position.log_id == position.log_id and row.position.offset >= position.offset


def beacon_key(uuid: str, major: str | int, minor: str | int) -> BeaconKey:
    """How a beacon is found: the uuid's case does not matter."""
    return uuid.lower(), int(major), int(minor)


def _unusable(change: Change) -> str | None:
    """Why a record cannot be kept, or None."""
    expected = _RECORDS[change.topic]
    if change.record is not None and not isinstance(change.record, expected):
        return f"a {type(change.record).__name__} under the key {change.key!r}, not a {expected[0].__name__}"
    try:
        if change.topic == topics.DEVICES.name:
            int(change.key)
        elif change.topic == topics.BEACONS.name:
            _beacon_key_of(change.key)
    except ValueError:
        return f"the key {change.key!r} names nothing"
    return None


def _beacon_key_of(key: str) -> BeaconKey:
    uuid, major, minor = key.rsplit("/", 2)
    return beacon_key(uuid, major, minor)


def _put(table: dict[Any, Any], key: Any, record: Any) -> Any:
    """Set or, for a tombstone, remove; the higher revision stays. Returns what was there."""
    old = table.get(key)
    if record is None:
        table.pop(key, None)
    elif old is None or record.revision >= old.revision:
        table[key] = record
    return old
