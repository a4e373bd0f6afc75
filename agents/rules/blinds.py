"""Blinds close against humidity and open to daylight; humidity outranks darkness."""

from __future__ import annotations

from agents.rules.arbitration import Opinion, Undecided, Wish
from schemas.records import Policy
from schemas.rows import OccupancyState, Room


def is_humid(was: bool | None, humidity_pct: float | None, policy: Policy) -> bool | None:
    """Above `humid_above_pct`; stays so until below `humid_clear_below_pct`; unknown without a value."""
    if humidity_pct is None:
        return None
    if humidity_pct > policy.humid_above_pct:
        return True
    return bool(was) and humidity_pct >= policy.humid_clear_below_pct


def blind(room: Room) -> Opinion:
    """Humid: closed. Else by day, occupied and dark: open. Unknown humidity with nothing else to go by decides nothing."""
    policy = room.policy
    if room.humid:
        return Wish("close when humid", policy.blind_humid_closed_pct, f"humidity above {policy.humid_above_pct:g} %")
    if room.day and room.dark and room.occupancy.light is OccupancyState.occupied:
        return Wish("daylight when dark", policy.blind_dark_closed_pct, f"occupied, by day, at most {policy.dark_at_most_lx:g} lx")
    return Undecided("humidity is unknown") if room.humid is None else None
