"""PURE: a log lived through again without its building: rooms wake themselves, and every command is done as it is sent.

What the log holds of the building's own answers (ticks, command results, actuators' reports) answered the commands of that day.
Under another policy other commands are sent, so both lives of a comparison leave those out and get ideal answers instead: a tick
at the instant the room asked for, a result at the instant of the command.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agents.rules.devices import ACTUATES
from agents.rules.fold import LoggedEvent
from agents.rules.room import Outcome, blank, step, time_of
from schemas.codecs import DEFAULT_POLICY
from schemas.commands import Command
from schemas.records import (
    Clock,
    CommandResult,
    DeviceChanged,
    Kind,
    Policy,
    PolicyChanged,
    Position,
    Reading,
    ResultStatus,
    RoomEvent,
    Tick,
)
from schemas.rows import OccupancyState, Room

LOG = "lived again"
_REPORTS = frozenset(ACTUATES.values())
Altered = Callable[[Policy], Policy]


def answered(
    room: Room, room_id: str, event: RoomEvent, next_position: Callable[[], Position], logged_at: datetime
) -> Iterator[Outcome]:  # fmt: skip
    """Fold an event, then the answers to the commands that follow from it: each is done as it is sent."""
    waiting = deque([event])
    while waiting:
        outcome = step(room, room_id, waiting.popleft(), next_position(), logged_at)
        room = outcome.room
        for command in outcome.commands:
            waiting.append(CommandResult(command.command_id, command.device_id, ResultStatus.done, room.now_at, command.target_pct))
        yield outcome


class Presence(Struct):
    """Spans in which somebody was there, and their sum up to `last_at`."""

    spans: list[tuple[datetime, datetime]] = []
    since_at: datetime | None = None
    last_at: datetime | None = None

    def turn(self, at: datetime, *, there: bool) -> None:
        """From `at` on somebody is there, or nobody (known)."""
        if there and self.since_at is None:
            self.since_at = at
        elif not there and self.since_at is not None:
            if at > self.since_at:
                self.spans.append((self.since_at, at))
            self.since_at = None
        self.last_at = at if self.last_at is None else max(at, self.last_at)

    def end(self, at: datetime) -> None:
        """Close what is open."""
        self.turn(at, there=False)

    @property
    def total(self) -> timedelta:
        """Length of all closed spans."""
        return sum((until - since for since, until in self.spans), timedelta())


class Life(Struct):
    """One room's life: its row at the end, commands, events folded, and when it was occupied."""

    room_id: str
    room: Room | None = None
    began_at: datetime | None = None
    commands: list[Command] = []
    events: int = 0
    rejected: int = 0
    occupied: Presence = msgspec.field(default_factory=Presence)
    reference: Presence = msgspec.field(default_factory=Presence)
    """What a recording says of people; no rule reads it."""

    def forget_before(self, since: datetime) -> None:
        """Leave out what was before the span asked for."""
        self.commands = [command for command in self.commands if command.issued_at >= since]
        for presence in (self.occupied, self.reference):
            presence.spans = [(max(begun, since), ended) for begun, ended in presence.spans if ended > since]
        self.began_at = since if self.began_at is None else max(since, self.began_at)


class Lives:
    """Every room of a log, lived event by event; `rooms` as they stood before, each policy altered on its way."""

    def __init__(self, rooms: Mapping[str, Room], altered: Altered = lambda policy: policy) -> None:
        self._rooms, self._altered = rooms, altered
        self._living: dict[str, _Living] = {}

    def take(self, log: Iterable[LoggedEvent]) -> None:
        """Live on through these events."""
        for logged in log:
            living = self._living.get(logged.room_id)
            if living is None:
                room = self._rooms.get(logged.room_id)
                living = self._living[logged.room_id] = _Living(logged.room_id, room, self._altered)
            living.take(logged)

    def end(self) -> dict[str, Life]:
        """What came of each room."""
        return {room_id: living.end() for room_id, living in sorted(self._living.items())}


class _Living:
    def __init__(self, room_id: str, room: Room | None, altered: Altered) -> None:
        self._altered = altered
        self._offset = 0
        self._room = None if room is None else replace(room, policy=altered(room.policy))
        self._life = Life(room_id)

    def take(self, logged: LoggedEvent) -> None:
        event = logged.event
        match event:
            case Tick() | CommandResult():
                return
            case Reading(kind=kind) if kind in _REPORTS:
                return
            case PolicyChanged(policy=policy):
                event = PolicyChanged(self._altered(policy))
        if self._room is None:
            if not isinstance(event, DeviceChanged | PolicyChanged):
                self._life.rejected += 1
                return
            self._room = replace(blank(self._position(), logged.logged_at), policy=self._altered(DEFAULT_POLICY))
        now = time_of(self._room, event, logged.logged_at)
        self._wake(now)
        self._step(event, logged.logged_at)
        if isinstance(event, Reading) and event.kind is Kind.occupancy_reference:
            self._life.reference.turn(event.at, there=event.value > 0)
        if self._life.began_at is None and isinstance(event, Reading):
            self._life.began_at = now

    def end(self) -> Life:
        life, room = self._life, self._room
        life.room = room
        if room is not None:
            life.occupied.end(room.now_at)
            if life.reference.last_at is not None:
                life.reference.end(life.reference.last_at)
        return life

    def _wake(self, now: datetime) -> None:
        if self._life.began_at is None and self._room is not None and self._room.policy.clock is Clock.recorded:
            return  # a recorded room stands in 1970 until its recording begins
        while self._room is not None and self._room.wake_at is not None and self._room.wake_at <= now:
            self._step(Tick(self._room.wake_at), self._room.wake_at)

    def _step(self, event: RoomEvent, logged_at: datetime) -> None:
        """Fold an event, and the answers to the commands that follow from it."""
        assert self._room is not None
        for outcome in answered(self._room, self._life.room_id, event, self._position, logged_at):
            was, self._room = self._room, outcome.room
            self._life.events += 1
            self._life.rejected += outcome.refused is not None
            people = outcome.room.occupancy
            if people is not was.occupancy:
                self._life.occupied.turn(people.light_since_at, there=people.light is OccupancyState.occupied)
            self._life.commands += outcome.commands

    def _position(self) -> Position:
        self._offset += 1
        return Position(LOG, 0, self._offset)
