"""Blinds close against humidity and open to daylight; humidity outranks darkness."""

from __future__ import annotations

from agents.rules.arbitration import Opinion, Undecided, Wish
from agents.rules.sensing import measured, people
from schemas.records import Kind, Policy
from schemas.rows import Actuator, OccupancyState, Room


def is_humid(was: bool | None, humidity_pct: float | None, policy: Policy) -> bool | None:
    """Above `humid_above_pct`; stays so until below `humid_clear_below_pct`; unknown without a value."""
    if humidity_pct is None:
        return None
    if humidity_pct > policy.humid_above_pct:
        return True
    return bool(was) and humidity_pct >= policy.humid_clear_below_pct


def against_humidity(room: Room, _: Actuator) -> Opinion:
    """Humid: closed. Unknown humidity decides nothing."""
    policy = room.policy
    if room.humid is None:
        return Undecided("humidity is unknown")
    if not room.humid:
        return None
    reason = f"humidity above {policy.humid_above_pct:g} %"
    return Wish(
        "close when humid", policy.blind_humid_closed_pct, reason,
        lambda: (measured(room, Kind.humidity_pct, policy.humid_above_pct),),
    )  # fmt: skip


def for_daylight(room: Room, _: Actuator) -> Opinion:
    """By day, occupied and dark: open."""
    policy = room.policy
    if not (room.day and room.dark and room.occupancy.light is OccupancyState.occupied):
        return None
    reason = f"occupied, by day, at most {policy.dark_at_most_lx:g} lx"
    return Wish(
        "daylight when dark", policy.blind_dark_closed_pct, reason,
        lambda: (people(room), measured(room, Kind.illuminance_lx, policy.dark_at_most_lx)),
    )  # fmt: skip
