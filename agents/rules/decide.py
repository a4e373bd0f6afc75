"""The room decides: time's effects, every actuator's arbitration, and when to look again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from agents.rules import blinds, climate, lighting, occupancy
from agents.rules.arbitration import Opinion, arbitrate, dwell_ends_at
from agents.rules.policy import is_day, next_boundary
from schemas.commands import Command, command_id
from schemas.records import Kind, Policy, ResultStatus
from schemas.rows import Actuator, Room


class Decision(Struct, frozen=True):
    """The room after deciding, and the commands that follow."""

    room: Room
    commands: tuple[Command, ...]


class _Numbers(Struct, frozen=True):
    """The policy's numbers for one kind of actuator."""

    default_pct: float
    dwell_s: int


def decide(room: Room, room_id: str) -> Decision:
    """Let the rules decide at `room.now_at`, for the event at `room.position`."""
    now = room.now_at
    room = _aged(room, now)
    commands: list[Command] = []
    actuators = []
    for was in room.actuators:
        numbers = _numbers(room.policy, was.kind)
        verdict = arbitrate(was, _opinion(room, was), numbers.default_pct, numbers.dwell_s, now)
        actuator = verdict.actuator
        if verdict.send_pct is not None:
            command = _command(room, room_id, actuator, verdict.send_pct, len(commands))
            commands.append(command)
            actuator = _commanded(was, actuator, command)
        actuators.append(actuator)
    if tuple(actuators) != room.actuators:
        room = replace(room, actuators=tuple(actuators), actuation_position=room.position)
    if any(command.kind is Kind.level_pct for command in commands):  # the sensor is blind until the lamp has answered and settled
        room = replace(room, lamp_settling_until_at=now + timedelta(seconds=room.policy.command_ttl_s))
    return Decision(replace(room, wake_at=_wake_at(room, now)), tuple(commands))


def _aged(room: Room, now: datetime) -> Room:
    """What time alone changes: occupancy, silent sensors, local day, commands nobody answered."""
    policy = room.policy
    stale = timedelta(seconds=policy.reading_stale_s)
    humidity_known = any(s.kind is Kind.humidity_pct and now - s.logged_at < stale for s in room.sensed)
    light_known = any(s.kind is Kind.illuminance_lx and now - s.logged_at < stale for s in room.sensed)
    aged = replace(
        room,
        occupancy=occupancy.on_time(room.occupancy, policy, room.position, now),
        day=is_day(policy, now),
        humid=room.humid if humidity_known else None,
        dark=room.dark if light_known else None,
        bright=room.bright if light_known else None,
    )
    if any(a.pending_until_at is not None and now >= a.pending_until_at for a in room.actuators):
        actuators = tuple(
            _unanswered(a) if a.pending_until_at is not None and now >= a.pending_until_at else a for a in room.actuators
        )
        aged = replace(aged, actuators=actuators, actuation_position=room.position)
    return aged


def _unanswered(actuator: Actuator) -> Actuator:
    return replace(
        actuator,
        pending_command_id=None,
        pending_until_at=None,
        last_status=ResultStatus.failed,
        last_reason="the gateway did not answer",
    )


def _opinion(room: Room, actuator: Actuator) -> Opinion:
    match actuator.kind:
        case Kind.valve_pct:
            return climate.valve(room)
        case Kind.closed_pct:
            return blinds.blind(room)
        case _:
            return lighting.light(room, actuator)


def _numbers(policy: Policy, kind: Kind) -> _Numbers:
    match kind:
        case Kind.valve_pct:
            return _Numbers(policy.valve_vacant_pct, policy.valve_dwell_s)
        case Kind.closed_pct:
            return _Numbers(policy.blind_default_closed_pct, policy.blind_dwell_s)
        case _:
            return _Numbers(policy.light_off_pct, policy.light_dwell_s)


def _command(room: Room, room_id: str, actuator: Actuator, target_pct: float, ordinal: int) -> Command:
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
    )


def _commanded(was: Actuator, actuator: Actuator, command: Command) -> Actuator:
    """The actuator with a command under way. Only a real automatic change starts the dwell."""
    automatic = actuator.lease is None and was.desired_pct is not None and was.desired_pct != command.target_pct
    answer_span = 2 * (
        command.expires_at - command.issued_at
    )  # begun at the latest when it expires, and then as long again to finish
    return replace(
        actuator,
        desired_pct=command.target_pct,
        desired_at=command.issued_at,
        auto_changed_at=command.issued_at if automatic else actuator.auto_changed_at,
        pending_command_id=command.command_id,
        pending_until_at=command.issued_at + answer_span,
    )


def _wake_at(room: Room, now: datetime) -> datetime:
    """The next instant at which time alone can change a decision."""
    return min(at for at in _deadlines(room, now) if at > now)


def _deadlines(room: Room, now: datetime) -> Iterator[datetime]:
    policy = room.policy
    yield next_boundary(policy, now)
    people_at = occupancy.next_change_at(room.occupancy, policy)
    if people_at is not None:
        yield people_at
    stale = timedelta(seconds=policy.reading_stale_s)
    for kind in (Kind.humidity_pct, Kind.illuminance_lx):
        known = [s.logged_at for s in room.sensed if s.kind is kind]
        if known:
            yield max(known) + stale
    for actuator in room.actuators:
        if actuator.lease is not None:
            yield actuator.lease.until_at
        if actuator.pending_until_at is not None:
            yield actuator.pending_until_at
        if actuator.winner is not None and actuator.winner.rule == "dwell":
            ends_at = dwell_ends_at(actuator, _numbers(policy, actuator.kind).dwell_s, now)
            if ends_at is not None:
                yield ends_at
