"""Radiator valves follow occupancy, give way to open windows, and guard against frost and overheating."""

from __future__ import annotations

from collections.abc import Sequence

from agents.rules.arbitration import Opinion, Undecided, Wish
from agents.rules.sensing import extreme, people
from agents.rules.windows import is_open
from schemas.commands import Input
from schemas.records import Kind, Policy
from schemas.rows import Actuator, OccupancyState, Room


def is_frosty(was: bool | None, temperatures_c: Sequence[float], policy: Policy) -> bool | None:
    """The coldest sensor below `frost_below_c`; stays so until above it by `frost_hysteresis_k`; unknown without a value."""
    if not temperatures_c:
        return None
    temperature_c = min(temperatures_c)
    return temperature_c < policy.frost_below_c or (bool(was) and temperature_c <= policy.frost_below_c + policy.frost_hysteresis_k)


def is_hot(was: bool | None, temperatures_c: Sequence[float], policy: Policy) -> bool | None:
    """The hottest sensor above `overheat_above_c`; stays so until below it by `overheat_hysteresis_k`; unknown without a value."""
    if not temperatures_c:
        return None
    temperature_c = max(temperatures_c)
    clear = policy.overheat_above_c - policy.overheat_hysteresis_k
    return temperature_c > policy.overheat_above_c or (bool(was) and temperature_c >= clear)


def against_frost(room: Room, _: Actuator) -> Opinion:
    """Near freezing: open fully. A sensor that falls silent meanwhile leaves the valve open."""
    policy = room.policy
    if room.frost is None:
        return Undecided("temperature is unknown", "frost protection")
    if not room.frost:
        return None
    reason = f"temperature below {policy.frost_below_c:g} °C"
    return Wish("frost protection", policy.valve_frost_pct, reason, lambda: (extreme(room, min, policy.frost_below_c),))


def against_overheating(room: Room, _: Actuator) -> Opinion:
    """Too hot: closed. A sensor that falls silent meanwhile lets go, for the next thing it could miss is frost."""
    policy = room.policy
    if not room.hot:
        return None
    reason = f"temperature above {policy.overheat_above_c:g} °C"
    return Wish("overheat protection", policy.valve_overheat_pct, reason, lambda: (extreme(room, max, policy.overheat_above_c),))


def while_airing(room: Room, _: Actuator) -> Opinion:
    """A window is open: the valve goes to frost level, for a while."""
    window, policy = room.window, room.policy
    if window is None or not is_open(window, room.now_at):
        return None
    if window.contact:
        contact = Input(Kind.window_open.value, 1.0, window.since_at)
        return Wish("window open", policy.valve_window_pct, "a window is open", lambda: (contact,))
    fall = Input("fall_k", window.fall_k or 0.0, window.since_at, policy.window_fall_k)
    reason = f"temperature fell by more than {policy.window_fall_k:g} K in {policy.window_fall_s / 60:g} min"
    return Wish("window open", policy.valve_window_pct, reason, lambda: (fall,))


def by_occupancy(room: Room, _: Actuator) -> Opinion:
    """Occupied: `valve_occupied_pct`; vacant: `valve_vacant_pct`; unknown decides nothing."""

    def inputs() -> tuple[Input, ...]:
        return (people(room, heating=True),)

    match room.occupancy.heating:
        case OccupancyState.occupied:
            return Wish("heat when occupied", room.policy.valve_occupied_pct, "the room is occupied", inputs)
        case OccupancyState.vacant:
            minutes = room.policy.vacancy_timeout_heating_s / 60
            return Wish("set back when vacant", room.policy.valve_vacant_pct, f"no motion for {minutes:g} min", inputs)
        case _:
            return Undecided("occupancy is unknown")
