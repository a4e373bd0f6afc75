"""A room is a fold over its log: `step` is the whole of it. No clock, no I/O, no randomness."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from agents.rules import occupancy, windows
from agents.rules.averages import AVERAGED, BUCKET, closed_by, file_reading
from agents.rules.blinds import is_humid
from agents.rules.climate import is_frosty, is_hot
from agents.rules.decide import decide
from agents.rules.devices import change_device
from agents.rules.intents import refusal_of_intent, with_intent, with_result
from agents.rules.lamps import after_report, daylight_flags
from agents.rules.plausibility import JUDGED, Refusal, judged, possible, refusal, refusal_of_result
from agents.rules.sensing import mean_of, temperatures_c
from schemas.codecs import DEFAULT_POLICY
from schemas.commands import Command
from schemas.policy import fault
from schemas.records import (
    Clock,
    CommandResult,
    DeviceChanged,
    Intent,
    Kind,
    PolicyChanged,
    Position,
    Reading,
    RoomEvent,
    Tick,
)
from schemas.rows import Actuator, Bucket, Parked, Plausibility, Room, Sensed

PARKED_MOST = 64
"""Readings a room keeps for devices it does not know yet; more are set aside."""
_BEFORE_RECORDING = datetime(1970, 1, 1, tzinfo=UTC)


class Outcome(Struct, frozen=True, gc=False):
    """What an event made of a room: its next state, commands to send, buckets that closed, and why it was set aside, if it was."""

    room: Room
    commands: tuple[Command, ...] = ()
    closed: tuple[Bucket, ...] = ()
    refused: Refusal | None = None


def blank(position: Position, now: datetime) -> Room:
    """A room nothing is known of, standing before its first event."""
    before = Position(position.log_id, position.partition, position.offset - 1)
    return Room(
        position=before, now_at=now, wake_at=None, policy=DEFAULT_POLICY, devices=(), departed={}, sensed=(), parked=(), buckets=(),
        occupancy=occupancy.unknown_since(before, now), day=None, humid=None, dark=None, bright=None, lamp_settling_until_at=None,
        actuation_position=before, actuators=(), readings=0, late=0, rejected=0,
    )  # fmt: skip


def applied(room: Room, position: Position) -> bool:
    """Whether the room has this event already. Another log is new from its first event on."""
    at = room.position
    return at.log_id == position.log_id and at.partition == position.partition and position.offset <= at.offset


def step(room: Room, room_id: str, event: RoomEvent, position: Position, now: datetime) -> Outcome:
    """Fold one event. `now` is the broker's stamp of a live room; the room's own time never goes back.

    An event at or below the room's position changes nothing at all; one that cannot be used moves the position and says why.
    """
    if applied(room, position):
        return Outcome(room)
    logged_at, now = now, time_of(room, event, now)
    match event:
        case Reading():
            return _reading(room, room_id, event, position, logged_at, now)
        case Tick(wake_at=wake_at):
            if wake_at != room.wake_at:
                return Outcome(replace(room, position=position))
            return _decided(room, room_id, event, position, max(now, wake_at))
        case Intent():
            refused = refusal_of_intent(room, event, now)
            if refused:
                return _refuse(room, position, refused)
            return _decided(with_intent(room, event, position, now), room_id, event, position, now)
        case CommandResult():
            refused = refusal_of_result(event)
            if refused:
                return _refuse(room, position, refused)
            return _decided(with_result(room, event, position, now), room_id, event, position, now)
        case DeviceChanged():
            changed = change_device(room, event, position, now)
            return _decided(_unparked(changed, event.device_id, position, now), room_id, event, position, now)
        case PolicyChanged(policy=policy):
            why = fault(policy)
            if why:
                return _refuse(room, position, Refusal("bad_policy", why))
            if policy.revision <= room.policy.revision:
                return _decided(room, room_id, event, position, now)
            if policy.clock is not room.policy.clock:
                now = logged_at if policy.clock is not Clock.recorded else _BEFORE_RECORDING
                room = _restarted(room, position, now)
            return _decided(_judged_anew(replace(room, policy=policy), now), room_id, event, position, now)


def _refuse(room: Room, position: Position, refused: Refusal) -> Outcome:
    return Outcome(replace(room, position=position, rejected=room.rejected + 1), refused=refused)


def _decided(room: Room, room_id: str, event: RoomEvent, position: Position, now: datetime) -> Outcome:
    """Close what is due and let the rules decide."""
    closed = closed_by(room.buckets, now) if room.buckets else ()
    buckets = tuple(b for b in room.buckets if b not in closed) if closed else room.buckets
    decision = decide(replace(room, position=position, now_at=now, buckets=buckets), room_id, type(event).__name__)
    return Outcome(decision.room, decision.commands, closed)


def _reading(room: Room, room_id: str, reading: Reading, position: Position, logged_at: datetime, now: datetime) -> Outcome:
    device_id = reading.device_id
    refused = refusal(reading, logged_at)
    if refused is None and not _knows(room, device_id):
        left_at = room.departed.get(str(device_id))
        if left_at is not None:
            return _refuse(room, position, Refusal("device_left", f"device {device_id} left room {room_id} (revision {left_at})"))
        if len(room.parked) < PARKED_MOST:
            return Outcome(replace(room, position=position, parked=(*room.parked, Parked(position, logged_at, reading))))
        refused = Refusal("unknown_device", f"device {device_id} is not in room {room_id}, which has parked {PARKED_MOST} readings")
    if refused:
        return _refuse(_flagged(room, reading, now), position, refused)

    was = room
    room = _absorbed(room, reading, position, now, now)
    closed: tuple[Bucket, ...] = ()
    if now.minute // 5 != was.now_at.minute // 5 or now - was.now_at >= BUCKET:  # else none can have closed since the last event
        closed = closed_by(room.buckets, now)
        if closed:
            room = replace(room, buckets=tuple([bucket for bucket in room.buckets if bucket not in closed]))
    if (was.wake_at is not None and now < was.wake_at) and not _asks_to_decide(was, room):
        return Outcome(room, closed=closed)
    decision = decide(room, room_id, "Reading")
    return Outcome(decision.room, decision.commands, closed)


def _absorbed(room: Room, reading: Reading, position: Position, stamped_at: datetime, now: datetime) -> Room:
    """The room with one reading counted: last values, its bucket, and what it means. `stamped_at` dates its staleness.

    One older than its device's last (out of order) counts in its bucket only; one that is implausible beside it not even there.
    """
    kind, sensed = reading.kind, room.sensed
    index, newest = len(sensed), True
    entry = None
    for number, was in enumerate(sensed):
        if was.kind is kind and was.device_id == reading.device_id:
            index, newest = number, reading.at >= was.at
            if newest and kind in JUDGED:
                entry = judged(was, reading, room.policy, stamped_at)
            break
    if newest:
        if entry is None:
            entry = Sensed(reading.device_id, kind, reading.value, reading.at, stamped_at)
        sensed = (*sensed[:index], entry, *sensed[index + 1 :])
    if entry is not None and entry.flag is not Plausibility.plausible:
        room = replace(room, position=position, now_at=now, sensed=sensed, suspect=room.suspect + 1)
    else:
        buckets, late = room.buckets, room.late
        if kind in AVERAGED:
            filed = file_reading(buckets, reading, now)
            buckets, late = filed.buckets, late + filed.late
        room = replace(room, position=position, now_at=now, buckets=buckets, late=late, sensed=sensed, readings=room.readings + 1)
    meaning = _MEANING.get(kind)
    return meaning(room, entry, position, now) if entry is not None and meaning is not None else room


def _flagged(room: Room, reading: Reading, now: datetime) -> Room:
    """The room with a sensor flagged for a value that cannot be; what it said before counts until it is stale."""
    sensed = tuple(
        replace(s, flag=Plausibility.out_of_range, flagged_at=now)
        if s.device_id == reading.device_id and s.kind is reading.kind and not possible(reading)
        else s
        for s in room.sensed
    )
    return replace(room, sensed=sensed)


def _knows(room: Room, device_id: int) -> bool:
    return device_id in [device.device_id for device in room.devices]


def _unparked(room: Room, device_id: int, position: Position, now: datetime) -> Room:
    """The room once it knows a device: what it had parked of it is counted."""
    if not _knows(room, device_id):
        return room
    waiting = [p for p in room.parked if p.reading.device_id == device_id]
    if not waiting:
        return room
    room = replace(room, parked=tuple(p for p in room.parked if p.reading.device_id != device_id))
    for parked in waiting:
        room = _absorbed(room, parked.reading, position, min(parked.logged_at, now), now)
    return room


def time_of(room: Room, event: RoomEvent, logged_at: datetime) -> datetime:
    """The room's `now` at an event: the broker's stamp, or in a recorded room the event's own time; never going back."""
    if room.policy.clock is not Clock.recorded:
        return max(logged_at, room.now_at)
    match event:
        case Reading(at=at) | Intent(at=at) | CommandResult(at=at) | Tick(wake_at=at):
            return max(at, room.now_at)
        case _:
            return room.now_at


def _restarted(room: Room, position: Position, now: datetime) -> Room:
    """A room whose clock is exchanged begins anew with its devices: instants of the two clocks do not compare."""
    return replace(
        blank(position, now),
        policy=room.policy,
        devices=room.devices,
        departed=room.departed,
        actuators=tuple(Actuator(a.device_id, a.kind) for a in room.actuators),
        readings=room.readings,
        late=room.late,
        rejected=room.rejected,
    )


def _judged_anew(room: Room, now: datetime) -> Room:
    """The room with what its sensors say held against a new policy's limits: the next reading may be minutes away."""
    known = temperatures_c(room, now)
    room = replace(
        room,
        humid=is_humid(room.humid, mean_of(room, Kind.humidity_pct, now), room.policy),
        frost=is_frosty(room.frost, known, room.policy),
        hot=is_hot(room.hot, known, room.policy),
    )
    return daylight_flags(room, mean_of(room, Kind.illuminance_lx, now), now)


def _moved(room: Room, _: Sensed, position: Position, now: datetime) -> Room:
    people = occupancy.on_motion(room.occupancy, room.sensed, room.policy, position, now)
    if people is room.occupancy:
        return room
    due = [at for at in (room.wake_at, occupancy.next_change_at(people, room.policy)) if at is not None]
    return replace(room, occupancy=people, wake_at=min(due, default=None))


def _dampened(room: Room, _: Sensed, __: Position, now: datetime) -> Room:
    humid = is_humid(room.humid, mean_of(room, Kind.humidity_pct, now), room.policy)
    return room if humid is room.humid else replace(room, humid=humid)


def _lit(room: Room, _: Sensed, __: Position, now: datetime) -> Room:
    return daylight_flags(room, mean_of(room, Kind.illuminance_lx, now), now)


def _warmed(room: Room, entry: Sensed, _: Position, now: datetime) -> Room:
    policy, plausible = room.policy, entry.flag is Plausibility.plausible
    mild = plausible and policy.frost_below_c <= entry.value <= policy.overheat_above_c
    if not (mild and room.frost is False and room.hot is False):  # one mild sensor makes neither of it
        known = temperatures_c(room, now)
        room = replace(room, frost=is_frosty(room.frost, known, policy), hot=is_hot(room.hot, known, policy))
    return windows.after_temperature(room, entry, now) if plausible else room


def _aired(room: Room, _: Sensed, __: Position, now: datetime) -> Room:
    return windows.after_contact(room, now)


_MEANING: dict[Kind, Callable[[Room, Sensed, Position, datetime], Room]] = {
    Kind.motion: _moved,
    Kind.humidity_pct: _dampened,
    Kind.illuminance_lx: _lit,
    Kind.temperature_c: _warmed,
    Kind.window_open: _aired,
    Kind.closed_pct: after_report,
    Kind.valve_pct: after_report,
    Kind.level_pct: after_report,
}
"""What the newest value of a kind means for occupancy, humidity, darkness or an actuator; other kinds mean nothing to the rules."""


def _asks_to_decide(was: Room, room: Room) -> bool:
    """Whether a rule's input changed; a mere refresh, or an edge of motion within occupancy, is not worth deciding again."""
    before, after = was.occupancy, room.occupancy
    return (
        room.humid is not was.humid
        or room.dark is not was.dark
        or room.bright is not was.bright
        or room.frost is not was.frost
        or room.hot is not was.hot
        or room.window is not was.window
        or (after is not before and (after.light is not before.light or after.heating is not before.heating))
    )
