"""People's intents and the gateways' results, as a room takes them in."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from agents.rules import following
from agents.rules.devices import ACTUATES
from agents.rules.lamps import after_report
from agents.rules.leases import extended, lease_of
from agents.rules.plausibility import PHYSICAL_RANGE, Refusal
from schemas.records import CommandResult, Intent, IntentAction, Kind, LeaseEnd, Position
from schemas.rows import Actuator, Lock, Room, Sensed

_FOR_ALL_KINDS = (IntentAction.lock, IntentAction.unlock)


def refusal_of_intent(room: Room, intent: Intent, now: datetime) -> Refusal | None:
    """Why an intent cannot be used, or None."""
    if intent.kind not in ACTUATES.values() and not (intent.kind is Kind.unknown and intent.action in _FOR_ALL_KINDS):
        return Refusal("unknown_kind", f"an intent names closed_pct, valve_pct or level_pct, not {intent.kind}")
    meant = _meant(room, intent)
    if not meant:
        which = f"device {intent.device_id}" if intent.device_id is not None else "actuator"
        return Refusal("no_actuator", f"no {which} for {intent.kind} in this room")
    if intent.ends is LeaseEnd.at and intent.until_at is not None and intent.until_at <= now and intent.action in _WITH_END:
        return Refusal("lease_in_the_past", f"until {intent.until_at:%Y-%m-%dT%H:%M:%SZ}, logged {now:%Y-%m-%dT%H:%M:%SZ}")
    match intent.action:
        case IntentAction.set:
            return _refusal_of_value(intent)
        case IntentAction.lock:
            if intent.value_pct is not None and intent.kind is Kind.unknown:
                return Refusal("unknown_kind", "a lock with a value names closed_pct, valve_pct or level_pct")
            return None if intent.value_pct is None else _refusal_of_value(intent)
        case IntentAction.extend:
            if not any(a.lease for a in room.actuators if a.device_id in meant):
                return Refusal("no_lease", "nobody holds it by hand: there is nothing to extend")
            return None
        case IntentAction.release | IntentAction.unlock:
            return None
        case _:
            return Refusal("unknown_action", "an intent sets, extends or releases, locks or unlocks")


_WITH_END = (IntentAction.set, IntentAction.extend)


def _refusal_of_value(intent: Intent) -> Refusal | None:
    low, high = PHYSICAL_RANGE[intent.kind]
    if intent.value_pct is None or not low <= intent.value_pct <= high:
        return Refusal("out_of_range", f"{intent.kind} = {intent.value_pct}, possible are {low:g} to {high:g}")
    return None


def _meant(room: Room, intent: Intent) -> set[int]:
    kinds = ACTUATES.values() if intent.kind is Kind.unknown else (intent.kind,)
    return {a.device_id for a in room.actuators if a.kind in kinds and intent.device_id in (None, a.device_id)}


def with_intent(room: Room, intent: Intent, position: Position, now: datetime) -> Room:
    """The room with the manual slot taken, extended or given back, or a lock put on or taken off."""
    meant = _meant(room, intent)
    actuators = tuple(_with(room, a, intent, now) if a.device_id in meant else a for a in room.actuators)
    return replace(room, actuators=actuators, actuation_position=position)


def _with(room: Room, actuator: Actuator, intent: Intent, now: datetime) -> Actuator:
    match intent.action:
        case IntentAction.set if intent.value_pct is not None:
            return replace(following.wanted_anew(actuator), lease=lease_of(intent, intent.value_pct, room.policy, now))
        case IntentAction.extend if actuator.lease is not None:
            return replace(actuator, lease=extended(actuator.lease, intent, room.policy, now))
        case IntentAction.release:
            return replace(actuator, lease=None)
        case IntentAction.lock:
            return replace(actuator, lock=Lock(intent.value_pct, intent.source or "hand", intent.reason, now))
        case IntentAction.unlock:
            return replace(actuator, lock=None)
        case _:
            return actuator


def with_result(room: Room, result: CommandResult, position: Position, now: datetime) -> Room:
    """The room with a command answered, and what the actuator reported at its end."""
    actuators = []
    for actuator in room.actuators:
        if actuator.device_id == result.device_id:
            actuator = following.answered(actuator, result, room.policy, now)
            if result.reported_pct is not None:
                actuator = following.reported(actuator, result.reported_pct, now)
                room = after_report(
                    room, Sensed(actuator.device_id, actuator.kind, result.reported_pct, result.at, now), position, now
                )
        actuators.append(actuator)
    return replace(room, actuators=tuple(actuators), actuation_position=position)
