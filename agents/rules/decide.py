"""The room decides: time's effects, every actuator's arbitration, and when to look again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from agents.rules import following, leases, occupancy, schedule, windows
from agents.rules.arbitration import DWELL, arbitrate, dwell_ends_at
from agents.rules.policy import is_day, next_boundary, numbers
from agents.rules.rulebook import ask
from schemas.commands import Command, command_id
from schemas.records import Kind
from schemas.rows import Actuator, Room

_GO_STALE = (Kind.humidity_pct, Kind.illuminance_lx, Kind.temperature_c)


class Decision(Struct, frozen=True):
    """The room after deciding, and the commands that follow."""

    room: Room
    commands: tuple[Command, ...]


def decide(room: Room, room_id: str, event: str) -> Decision:
    """Let the rules decide at `room.now_at`, for the event of this type at `room.position`."""
    now, policy = room.now_at, room.policy
    room = _aged(room, now)
    commands: list[Command] = []
    actuators = []
    for was in room.actuators:
        verdict = arbitrate(was, ask(room, was), numbers(policy, was.kind), now)
        actuator, target = verdict.actuator, verdict.send_pct
        attempt = 1
        if target is None and following.repeats(actuator, now):
            target, attempt = actuator.desired_pct, actuator.attempts + 1
        if target is not None:
            command = _command(room, room_id, actuator, target, len(commands), event, attempt)
            commands.append(command)
            actuator = following.commanded(was, actuator, command)
        actuators.append(actuator)
    if any(new is not old for new, old in zip(actuators, room.actuators, strict=True)):
        room = replace(room, actuators=tuple(actuators), actuation_position=room.position)
    if any(command.kind is Kind.level_pct for command in commands):  # the sensor is blind until the lamp has answered and settled
        room = replace(room, lamp_settling_until_at=now + timedelta(seconds=policy.command_ttl_s))
    return Decision(replace(room, wake_at=_wake_at(room, now)), tuple(commands))


def _aged(room: Room, now: datetime) -> Room:
    """What time alone changes: occupancy, silent sensors, windows, local day, leases, commands nobody answered."""
    policy = room.policy
    stale_at = now - timedelta(seconds=policy.reading_stale_s)
    fresh = {s.kind for s in room.sensed if s.logged_at > stale_at}
    humidity_known, light_known, warmth_known = (kind in fresh for kind in _GO_STALE)
    aged = replace(
        room,
        occupancy=occupancy.on_time(room.occupancy, policy, room.position, now),
        day=is_day(policy, now),
        humid=room.humid if humidity_known else None,
        dark=room.dark if light_known else None,
        bright=room.bright if light_known else None,
        frost=room.frost if warmth_known else None,
        hot=room.hot if warmth_known else None,
        window=windows.on_time(room.window, now),
    )
    actuators = tuple([leases.on_time(following.on_time(each, policy, now), aged.occupancy) for each in room.actuators])
    if actuators != room.actuators:
        aged = replace(aged, actuators=actuators, actuation_position=room.position)
    return aged


def _command(
    room: Room, room_id: str, actuator: Actuator, target_pct: float, ordinal: int, event: str, attempt: int
) -> Command:  # fmt: skip
    assert actuator.winner is not None
    return Command(
        command_id=command_id(room.position, actuator.device_id, ordinal),
        room_id=room_id,
        device_id=actuator.device_id,
        kind=actuator.kind,
        target_pct=target_pct,
        issued_at=room.now_at,
        expires_at=room.now_at + timedelta(seconds=room.policy.command_ttl_s),
        cause=room.position,
        policy_revision=room.policy.revision,
        winner=actuator.winner,
        losers=actuator.losers,
        event=event,
        attempt=attempt,
    )


def _wake_at(room: Room, now: datetime) -> datetime:
    """The next instant at which time alone can change a decision."""
    return min(at for at in _deadlines(room, now) if at > now)


def _deadlines(room: Room, now: datetime) -> Iterator[datetime]:
    policy = room.policy
    yield next_boundary(policy, now)
    if (period_at := schedule.next_change(policy, now)) is not None:
        yield period_at
    if (people_at := occupancy.next_change_at(room.occupancy, policy)) is not None:
        yield people_at
    if room.window is not None:
        yield room.window.until_at
    stale = timedelta(seconds=policy.reading_stale_s)
    for kind in _GO_STALE:
        known = [s.logged_at for s in room.sensed if s.kind is kind]
        if known:
            yield max(known) + stale
    for actuator in room.actuators:
        if (lease_at := leases.ends_at(actuator)) is not None:
            yield lease_at
        yield from following.deadlines(actuator, policy)
        if actuator.winner is not None and actuator.winner.rule == DWELL:
            dwell_at = dwell_ends_at(actuator, numbers(policy, actuator.kind), now)
            if dwell_at is not None:
                yield dwell_at
