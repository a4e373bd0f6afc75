"""Light for people at night or in the dark, held so that it never flickers by its own glow."""

from __future__ import annotations

from collections.abc import Iterable

from agents.rules.arbitration import Opinion, Undecided, Wish, standing
from agents.rules.sensing import daytime, measured, people
from schemas.commands import Input
from schemas.records import Kind, Policy, Slot
from schemas.rows import Actuator, OccupancyState, Room


def daylight_lx(illuminance_lx: float, actuators: Iterable[Actuator], policy: Policy) -> float:
    """What the sensor sees less the lamps' own share: `lamp_full_lx` at 100 %, in proportion below."""
    levels = [a.reported_pct if a.reported_pct is not None else a.desired_pct or 0.0 for a in actuators if a.kind is Kind.level_pct]
    share = policy.lamp_full_lx * sum(levels) / len(levels) / 100 if levels else 0.0
    return max(0.0, illuminance_lx - share)


def light(room: Room, lamp: Actuator) -> Opinion:
    """On when occupied at night or in the dark; once on, held by day until vacant or daylight above `bright_above_lx`."""
    policy = room.policy
    on = policy.light_on_pct
    if room.dark and not policy.dark_needs_occupancy:
        reason = f"at most {policy.dark_at_most_lx:g} lx of daylight"
        return Wish("light when dark", on, reason, lambda: (_lux(room, policy.dark_at_most_lx),))
    if room.occupancy.light is OccupancyState.unknown:
        return Undecided("occupancy is unknown")
    was = standing(lamp, Slot.comfort)
    lit = was is not None and was.value_pct == on and on > policy.light_off_pct
    if room.occupancy.light is OccupancyState.vacant:
        if not policy.dark_needs_occupancy and lit and not room.bright:
            reason = f"daylight not above {policy.bright_above_lx:g} lx yet"
            return Wish("light until bright", on, reason, lambda: (_lux(room, policy.bright_above_lx),))
        reason = f"no motion for {policy.vacancy_timeout_light_s / 60:g} min"
        return Wish("off when vacant", policy.light_off_pct, reason, lambda: (people(room),))
    if room.day is False:
        reason = f"occupied, after {policy.day_ends:%H:%M} or before {policy.day_starts:%H:%M}"
        return Wish("light at night", on, reason, lambda: (people(room), daytime(room)))
    if room.dark:
        reason = f"occupied, at most {policy.dark_at_most_lx:g} lx of daylight"
        return Wish("light when dark", on, reason, lambda: (people(room), _lux(room, policy.dark_at_most_lx)))
    if lit and not room.bright:
        reason = f"occupied, daylight not above {policy.bright_above_lx:g} lx yet"
        return Wish("light until bright", on, reason, lambda: (people(room), _lux(room, policy.bright_above_lx)))
    if room.dark is None:
        return Undecided("the light sensor is silent")
    return Wish(
        "off by day", policy.light_off_pct, "by day, with daylight",
        lambda: (people(room), daytime(room), _lux(room, policy.bright_above_lx)),
    )  # fmt: skip


def _lux(room: Room, limit_lx: float) -> Input:
    return measured(room, Kind.illuminance_lx, limit_lx)
