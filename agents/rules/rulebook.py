"""The rules by slot and rank: within a slot the rule declared first wins. What each does is told in docs/rules.md, case by case."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from agents.rules import blinds, climate, lighting, schedule
from agents.rules.arbitration import Asked, Opinion
from schemas.records import Kind, Slot
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
