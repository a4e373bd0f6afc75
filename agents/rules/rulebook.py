"""The rules by slot and rank: within a slot the rule declared first wins. What each does is told in docs/rules.md, case by case."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from agents.rules import blinds, climate, lighting, schedule
from agents.rules.arbitration import Asked, Numbers, Opinion
from schemas.records import Kind, Policy, Slot, Unasked
from schemas.rows import Actuator, Room


class Rule(Struct, frozen=True):
    """One rule: the slot it proposes in, what it moves, and the function that says what it wants."""

    name: str
    slot: Slot
    kind: Kind
    opinion: Callable[[Room, Actuator], Opinion]


RULEBOOK: tuple[Rule, ...] = (
    Rule("frost protection", Slot.safety, Kind.valve_pct, climate.against_frost),
    Rule("overheat protection", Slot.safety, Kind.valve_pct, climate.against_overheating),
    Rule("window open", Slot.protection, Kind.valve_pct, climate.while_airing),
    Rule("weekly schedule", Slot.schedule, Kind.valve_pct, schedule.scheduled),
    Rule("heat by occupancy", Slot.comfort, Kind.valve_pct, climate.by_occupancy),
    Rule("weekly schedule", Slot.schedule, Kind.closed_pct, schedule.scheduled),
    Rule("close when humid", Slot.comfort, Kind.closed_pct, blinds.against_humidity),
    Rule("daylight when dark", Slot.comfort, Kind.closed_pct, blinds.for_daylight),
    Rule("weekly schedule", Slot.schedule, Kind.level_pct, schedule.scheduled),
    Rule("light for people", Slot.comfort, Kind.level_pct, lighting.light),
)
_BY_KIND = {kind: tuple(rule for rule in RULEBOOK if rule.kind is kind) for kind in Kind}


def ask(room: Room, actuator: Actuator) -> list[Asked]:
    """Every rule's opinion on an actuator, by rank."""
    return [(rule.slot, rule.opinion(room, actuator)) for rule in _BY_KIND[actuator.kind]]


def numbers(policy: Policy, kind: Kind) -> Numbers:
    """The policy's numbers for one kind of actuator."""
    match kind:
        case Kind.valve_pct:
            return Numbers(policy.valve_vacant_pct, policy.valve_dwell_s, policy.valve_min_on_s, policy.valve_min_off_s)
        case Kind.closed_pct:
            return Numbers(policy.blind_default_closed_pct, policy.blind_dwell_s)
        case _:
            return Numbers(policy.light_off_pct, policy.light_dwell_s, policy.light_min_on_s, policy.light_min_off_s)


def unasked(policy: Policy, kind: Kind) -> Unasked:
    """What a value nobody asked for is, for one kind of actuator."""
    match kind:
        case Kind.valve_pct:
            return policy.valve_unasked
        case Kind.closed_pct:
            return policy.blind_unasked
        case _:
            return policy.light_unasked
