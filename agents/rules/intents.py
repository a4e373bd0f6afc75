"""People's intents and the gateways' results, as a room takes them in."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from agents.rules.arbitration import strayed
from agents.rules.devices import ACTUATES
from agents.rules.lamps import after_report
from agents.rules.plausibility import PHYSICAL_RANGE, Refusal
from schemas.records import CommandResult, Intent, IntentAction, Position
from schemas.rows import Lease, Room, Sensed


def refusal_of_intent(room: Room, intent: Intent, now: datetime) -> Refusal | None:
    """Why an intent cannot be used, or None."""
    if intent.kind not in ACTUATES.values():
        return Refusal("unknown_kind", f"an intent names closed_pct, valve_pct or level_pct, not {intent.kind}")
    if not _meant(room, intent):
        which = f"device {intent.device_id}" if intent.device_id is not None else "actuator"
        return Refusal("no_actuator", f"no {which} for {intent.kind} in this room")
    if intent.action is IntentAction.release:
        return None
    if intent.action is not IntentAction.set:
        return Refusal("unknown_action", "an intent sets or releases")
    low, high = PHYSICAL_RANGE[intent.kind]
    if intent.value_pct is None or not low <= intent.value_pct <= high:
        return Refusal("out_of_range", f"{intent.kind} = {intent.value_pct}, possible are {low:g} to {high:g}")
    if intent.until_at is not None and intent.until_at <= now:
        return Refusal("lease_in_the_past", f"until {intent.until_at:%Y-%m-%dT%H:%M:%SZ}, logged {now:%Y-%m-%dT%H:%M:%SZ}")
    return None


def _meant(room: Room, intent: Intent) -> set[int]:
    return {a.device_id for a in room.actuators if a.kind is intent.kind and intent.device_id in (None, a.device_id)}


def with_intent(room: Room, intent: Intent, position: Position, now: datetime) -> Room:
    """The room with the manual slot taken or given back. What strayed counts as never commanded, so the hand moves it again."""
    lease = None
    if intent.action is IntentAction.set and intent.value_pct is not None:
        until = intent.until_at or now + timedelta(seconds=room.policy.manual_lease_s)
        lease = Lease(intent.value_pct, intent.source or "hand", intent.reason, now, until)
    meant = _meant(room, intent)
    actuators = tuple(
        replace(a, lease=lease, desired_pct=None if lease and strayed(a) else a.desired_pct) if a.device_id in meant else a
        for a in room.actuators
    )
    return replace(room, actuators=actuators, actuation_position=position)


def with_result(room: Room, result: CommandResult, position: Position, now: datetime) -> Room:
    """The room with a command answered, and what the actuator reported at its end."""
    actuators = []
    for actuator in room.actuators:
        if actuator.device_id == result.device_id:
            if actuator.pending_command_id == result.command_id:
                actuator = replace(
                    actuator, pending_command_id=None, pending_until_at=None, last_status=result.status, last_reason=result.reason
                )
            if result.reported_pct is not None:
                actuator = replace(actuator, reported_pct=result.reported_pct, reported_at=now)
                room = after_report(
                    room, Sensed(actuator.device_id, actuator.kind, result.reported_pct, result.at, now), position, now
                )
        actuators.append(actuator)
    return replace(room, actuators=tuple(actuators), actuation_position=position)
