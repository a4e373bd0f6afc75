"""PURE: what the building is, as the database and as the compacted topics have it, and what to write so that they agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from enum import IntEnum
from typing import TypeVar

import msgspec
from msgspec import Struct

from schemas.codecs import DEFAULT_POLICY
from schemas.policy import Document, effective
from schemas.records import Beacon, Device, DeviceChanged, Policy, PolicyChanged, RoomInfo
from streams.topics import BEACONS, DEVICES, POLICIES, ROOM_EVENTS, ROOMS, Topic

R = TypeVar("R", RoomInfo, Beacon, Device, Policy)


class Building(Struct, frozen=True):
    """Rooms, beacons, devices, policies by their topic's key. A policy of None is there but unusable: the last good one stays."""

    rooms: Mapping[str, RoomInfo] = {}
    beacons: Mapping[str, Beacon] = {}
    devices: Mapping[str, Device] = {}
    policies: Mapping[str, Policy | None] = {}

    def records(self) -> Iterator[tuple[Topic, str, RoomInfo | Beacon | Device | Policy]]:
        """Every usable record with its topic and key."""
        for topic, table in ((ROOMS, self.rooms), (BEACONS, self.beacons), (DEVICES, self.devices)):
            for key, record in table.items():
                yield topic, key, record
        for key, policy in self.policies.items():
            if policy is not None:
                yield POLICIES, key, policy


class Phase(IntEnum):
    """What must be in Kafka before what: devices leave, then all else in the rooms' logs, then what remembers it was told."""

    leave = 0
    tell = 1
    publish = 2


class Write(Struct, frozen=True):
    """One record to append; None is a compacted topic's tombstone."""

    topic: Topic
    key: str
    record: Struct | None

    @property
    def phase(self) -> Phase:
        """When it may be written: rooms' logs share no order, so a device leaves one before another hears of it."""
        if self.topic is not ROOM_EVENTS:
            return Phase.publish
        return Phase.leave if isinstance(self.record, DeviceChanged) and self.record.device is None else Phase.tell


def beacon_key(beacon: Beacon) -> str:
    """Key in building.beacons."""
    return f"{beacon.uuid}/{beacon.major}/{beacon.minor}"


class Layer(Struct, frozen=True):
    """A policy document of the building, a floor or a room, and its revision."""

    revision: int
    document: Document


def policy_of(room_id: str, layers: Sequence[Layer]) -> Policy:
    """The default policy with the documents' fields in their place, the room's own last. Raises `BadPolicy`."""
    revision = max(layer.revision for layer in layers)
    return effective(f"policy of room {room_id}", revision, [layer.document for layer in layers])


def outdated(database: Building, topics: Building) -> set[tuple[str, str]]:
    """(topic name, key) of rows that differ from what Kafka has without being newer, as after a restored backup: to be renewed."""
    published = {(topic.name, key): record for topic, key, record in topics.records()}
    return {
        (topic.name, key)
        for topic, key, record in database.records()
        if (old := published.get((topic.name, key))) is not None and record != old and record.revision <= old.revision
    }


def difference(database: Building, topics: Building, anew: Set[str] = frozenset()) -> list[Write]:
    """What to append, in this order, so that Kafka says what the database says; nothing when it does already.

    Devices whose key is in `anew` leave before they enter, so that their room forgets what they reported before.

    The rooms' logs come first and the compacted topics, which remember what was told, last: a crash in between repeats
    records whose revisions the rooms already know. A row's revision is even; the odd ones beside it are for its leaving.
    """
    return [
        *_device_events(database.devices, topics.devices, anew),
        *_policy_events(database.policies, topics.policies),
        *_compacted(ROOMS, database.rooms, topics.rooms),
        *_compacted(BEACONS, database.beacons, topics.beacons),
        *_compacted(DEVICES, database.devices, topics.devices),
        *_compacted(POLICIES, database.policies, topics.policies),
    ]


def _device_events(database: Mapping[str, Device], topics: Mapping[str, Device], anew: Set[str]) -> Iterator[Write]:
    """A device leaves its old room before it enters the new."""
    for key, old in topics.items():
        new = database.get(key)
        if new is None:
            yield Write(ROOM_EVENTS, old.room_id, DeviceChanged(old.device_id, old.revision + 1))
        elif new.revision > old.revision and (new.room_id != old.room_id or key in anew):
            yield Write(ROOM_EVENTS, old.room_id, DeviceChanged(old.device_id, new.revision - 1))
    for key, new in database.items():
        if _is_news(new, topics.get(key)):
            yield Write(ROOM_EVENTS, new.room_id, DeviceChanged(new.device_id, new.revision, new))


def _policy_events(database: Mapping[str, Policy | None], topics: Mapping[str, Policy | None]) -> Iterator[Write]:
    for room_id, new in database.items():
        if new is not None and _is_news(new, topics.get(room_id)):
            yield Write(ROOM_EVENTS, room_id, PolicyChanged(new))
    for room_id, old in topics.items():
        if old is not None and room_id not in database:  # the room falls back to the defaults
            yield Write(ROOM_EVENTS, room_id, PolicyChanged(msgspec.structs.replace(DEFAULT_POLICY, revision=old.revision + 1)))


def _compacted(topic: Topic, database: Mapping[str, R | None], topics: Mapping[str, R | None]) -> Iterator[Write]:
    for key, new in database.items():
        if new is not None and _is_news(new, topics.get(key)):
            yield Write(topic, key, new)
    for key in topics:
        if key not in database:
            yield Write(topic, key, None)


def _is_news(new: RoomInfo | Beacon | Device | Policy, old: RoomInfo | Beacon | Device | Policy | None) -> bool:
    return old is None or new.revision > old.revision
