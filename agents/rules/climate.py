"""Radiator valves follow occupancy."""

from __future__ import annotations

from agents.rules.arbitration import Opinion, Undecided, Wish
from schemas.rows import OccupancyState, Room


def valve(room: Room) -> Opinion:
    """Occupied: `valve_occupied_pct`; vacant: `valve_vacant_pct`; unknown decides nothing."""
    match room.occupancy.heating:
        case OccupancyState.occupied:
            return Wish("heat when occupied", room.policy.valve_occupied_pct, "the room is occupied")
        case OccupancyState.vacant:
            minutes = room.policy.vacancy_timeout_heating_s / 60
            return Wish("set back when vacant", room.policy.valve_vacant_pct, f"no motion for {minutes:g} min")
        case _:
            return Undecided("occupancy is unknown")
