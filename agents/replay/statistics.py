"""PURE: a room's hours, counted while its log is folded: what the rules took as a reading, and when they held it occupied."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from agents.rules.fold import LoggedEvent
from agents.rules.room import applied, blank, step
from schemas.records import DeviceChanged, Kind, PolicyChanged, Position, Reading, RoomEvent
from schemas.rows import OccupancyState, Room

HOUR = timedelta(hours=1)


class Numbers(Struct):
    """One kind's readings in one hour, in the unit the kind names."""

    low: float
    high: float
    total: float
    count: int

    def add(self, value: float) -> None:
        """Count one reading."""
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.total += value
        self.count += 1


class People(Struct):
    """Seconds of one hour in which somebody was there, and in which it was known whether."""

    occupied_s: float = 0.0
    known_s: float = 0.0


class Hours:
    """Counts one room on from where it stands (`room`; None: from its beginning)."""

    def __init__(self, room_id: str, room: Room | None) -> None:
        self._room_id = room_id
        self.room = room
        self.readings: dict[tuple[Kind, datetime], Numbers] = {}
        self.people: dict[datetime, People] = {}

    def take(self, log_id: str, partition: int, events: Iterable[LoggedEvent]) -> None:
        """Fold events of the room, as `agents.rules.fold` does."""
        for logged in events:
            was, position = self.room, Position(log_id, partition, logged.offset)
            if was is None:
                if not isinstance(logged.event, DeviceChanged | PolicyChanged):
                    continue
                was = blank(position, logged.logged_at)
            elif applied(was, position):
                continue
            self.room = step(was, self._room_id, logged.event, position, logged.logged_at).room
            self._count(was, self.room, logged.event)

    def _count(self, was: Room, room: Room, event: RoomEvent) -> None:
        for reading in _counted(was, room, event):
            at = min(reading.at, room.now_at)
            key = (reading.kind, hour_of(at))
            numbers = self.readings.get(key)
            if numbers is None:
                self.readings[key] = Numbers(reading.value, reading.value, reading.value, 1)
            else:
                numbers.add(reading.value)
        before, after = was.occupancy.light, room.occupancy.light
        if before is after:
            self._pass(before, was.now_at, room.now_at)
        else:
            turned_at = min(max(room.occupancy.light_since_at, was.now_at), room.now_at)
            self._pass(before, was.now_at, turned_at)
            self._pass(after, turned_at, room.now_at)

    def _pass(self, state: OccupancyState, since: datetime, until: datetime) -> None:
        if state is OccupancyState.unknown:
            return
        while since < until:
            hour_at = hour_of(since)
            end = min(until, hour_at + HOUR)
            people = self.people.setdefault(hour_at, People())
            seconds = (end - since).total_seconds()
            people.known_s += seconds
            if state is OccupancyState.occupied:
                people.occupied_s += seconds
            since = end


def hour_of(at: datetime) -> datetime:
    """Start of the hour (UTC)."""
    return at.replace(minute=0, second=0, microsecond=0)


def _counted(was: Room, room: Room, event: RoomEvent) -> list[Reading]:
    """The readings this event made count: its own, or those parked for a device that came."""
    if room.readings == was.readings:
        return []
    if isinstance(event, Reading):
        return [event]
    if isinstance(event, DeviceChanged):
        return [parked.reading for parked in was.parked if parked.reading.device_id == event.device_id]
    return []
