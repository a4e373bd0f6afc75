"""One simulated room: pure physics. Spans in seconds, temperatures in C, vapour in g/m3."""

from __future__ import annotations

from math import exp

from msgspec import Struct
from msgspec.structs import replace

from infra.simulator.sun import Sun, diffuse_lx, direct_normal_lx, facing
from infra.simulator.weather import Outside, saturation_g_m3
from schemas.records import Kind

BLIND_TRAVEL_S = 30.0
"""From open to closed."""
RADIATOR_LAG_S = 900.0
LAMP_FULL_LX = 140.0
"""What the lamps add to the light sensor at 100 % (the policy's `lamp_full_lx`)."""
CAPACITY_J_K = 2.0e6
"""Heat to warm the room with its walls' inner skin: 20 m2, light construction (ISO 52016-1, 110 kJ/K per m2, rounded)."""
LOSS_W_K, CORRIDOR_W_K, WINDOW_W_K = 30.0, 30.0, 60.0
CORRIDOR_C = 20.0
RADIATOR_W_K = 40.0
"""Radiator with the valve fully open, per kelvin of water above room."""
PERSON_W, PERSON_G_H = 75.0, 50.0
"""Sensible heat and vapour of a person at a desk (ASHRAE Fundamentals, nonresidential loads: 75 W sensible, about 50 g/h)."""
VOLUME_M3 = 50.0
AIR_CHANGES_H, WINDOW_CHANGES_H = 1.0, 4.0
STEAM_G_M3, STEAM_RISE_S, STEAM_FALL_S = 8.0, 2.0, 120.0
"""A boiling kettle beside the sensor."""
SUN_LM_W, GLASS_M2 = 105.0, 1.5
"""Light of a watt of sunshine (Muneer, Solar Radiation and Daylight Models: about 105 lm/W), and the window's glass."""
DAYLIGHT_FACTOR, BEAM_FACTOR, BLIND_LEAK = 0.02, 0.004, 0.02


class Room(Struct, frozen=True):
    """State of one room. `..._s` instants are seconds since the floor's start."""

    number: int
    facade_azimuth: float
    temperature_c: float
    vapour_g_m3: float
    next_visit_s: float
    kettle_on_s: float
    radiator_pct: float = 10.0
    steam_g_m3: float = 0.0
    people: int = 0
    moved_until_s: float = 0.0
    kettle_off_s: float = 0.0
    window_open: bool = False
    valve_pct: float = 10.0
    closed_pct: float = 0.0
    closed_target_pct: float = 0.0
    level_pct: float = 0.0

    @property
    def travelling(self) -> bool:
        """Whether the blind is under way."""
        return self.closed_pct != self.closed_target_pct


def set_target(room: Room, kind: Kind, target_pct: float) -> Room:
    """The room after its actuator of this kind took a telegram."""
    target = max(0.0, min(100.0, target_pct))
    match kind:
        case Kind.valve_pct:
            return replace(room, valve_pct=target)
        case Kind.closed_pct:
            return replace(room, closed_target_pct=target)
        case Kind.level_pct:
            return replace(room, level_pct=target)
        case _:
            raise ValueError(f"{kind} is not an actuator's")


def target_of(room: Room, kind: Kind) -> float:
    """What the actuator of this kind was last told, percent."""
    return {Kind.valve_pct: room.valve_pct, Kind.closed_pct: room.closed_target_pct, Kind.level_pct: room.level_pct}[kind]


def physics(room: Room, dt_s: float, elapsed_s: float, outside: Outside, sun: Sun, clouds: float) -> Room:
    """The room `dt_s` later: each balance is first-order and solved exactly, so the step's length does not matter."""
    way, left = 100.0 / BLIND_TRAVEL_S * dt_s, room.closed_target_pct - room.closed_pct
    radiator = toward(room.radiator_pct, room.valve_pct, dt_s / RADIATOR_LAG_S)
    heat_w_k = RADIATOR_W_K * radiator / 100
    loss_w_k = LOSS_W_K + (WINDOW_W_K if room.window_open else 0.0)
    beam_w = direct_normal_lx(sun, clouds) * facing(sun, room.facade_azimuth) / SUN_LM_W * GLASS_M2 * _open_share(room)
    total_w_k = heat_w_k + loss_w_k + CORRIDOR_W_K
    gains_w = heat_w_k * water_c(outside) + loss_w_k * outside.temperature_c + CORRIDOR_W_K * CORRIDOR_C
    balance_c = (gains_w + PERSON_W * room.people + beam_w) / total_w_k
    changes_s = (AIR_CHANGES_H + (WINDOW_CHANGES_H if room.window_open else 0.0)) / 3600
    balance_vapour = outside.vapour_g_m3 + PERSON_G_H * room.people / 3600 / VOLUME_M3 / changes_s
    boiling = elapsed_s < room.kettle_off_s
    return replace(
        room,
        radiator_pct=radiator,
        temperature_c=toward(room.temperature_c, balance_c, dt_s * total_w_k / CAPACITY_J_K),
        vapour_g_m3=toward(room.vapour_g_m3, balance_vapour, dt_s * changes_s),
        steam_g_m3=toward(room.steam_g_m3, STEAM_G_M3 if boiling else 0.0, dt_s / (STEAM_RISE_S if boiling else STEAM_FALL_S)),
        closed_pct=room.closed_target_pct if abs(left) <= way + 1e-6 else room.closed_pct + (way if left > 0 else -way),
    )


def toward(value: float, goal: float, spans: float) -> float:
    """First-order approach to a goal during `spans` time constants."""
    return goal + (value - goal) * exp(-spans)


def water_c(outside: Outside) -> float:
    """Heating curve: water 1.6 K warmer for each kelvin below 20 C outside, at most 60 C."""
    return min(60.0, 20.0 + 1.6 * max(0.0, 20.0 - outside.temperature_c))


def humidity_pct(room: Room) -> float:
    """Relative humidity at the sensor."""
    return max(1.0, min(99.0, 100 * (room.vapour_g_m3 + room.steam_g_m3) / saturation_g_m3(room.temperature_c)))


def illuminance_lx(room: Room, sun: Sun, clouds: float) -> float:
    """At the sensor: sky through the window (daylight factor), sun on the glass, both through the blind; and the lamps."""
    beam = direct_normal_lx(sun, clouds) * facing(sun, room.facade_azimuth)
    daylight = DAYLIGHT_FACTOR * diffuse_lx(sun, clouds) + BEAM_FACTOR * beam
    return daylight * _open_share(room) + LAMP_FULL_LX * room.level_pct / 100


def _open_share(room: Room) -> float:
    return BLIND_LEAK + (1 - BLIND_LEAK) * (1 - room.closed_pct / 100)
