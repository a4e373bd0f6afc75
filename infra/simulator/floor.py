"""The floor as a whole: weather, life and the opening minute. A pure function of (state, dt, rng) and the targets set."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import exp
from random import Random
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from infra.building_plan import ROOM_NUMBERS
from infra.simulator import room as physics
from infra.simulator.room import Room
from infra.simulator.sun import Sun, sun_at
from infra.simulator.weather import LATITUDE, LONGITUDE, Weather, outside_at, saturation_g_m3, weather_after
from schemas.records import Kind

MOTION_HOLD_S = 60.0
"""The sensor says motion for so long after the last movement."""
_FIDGET_S = 15.0
_KETTLE_S = 240.0
_FIRST_STAY_S, _STAY_S = 1200.0, 1800.0
_GAP_DAY_S, _GAP_NIGHT_S = 1500.0, 14_400.0
_TOO_WARM_C, _COOL_ENOUGH_C = 24.5, 21.0
_ZONE = ZoneInfo("Europe/Zurich")

FIRST_VISIT_S = {2: 6.0, 1: 45.0, 11: 150.0, 10: 600.0}
"""The opening minute, whatever the seed: who enters which room when."""
FIRST_KETTLE_S = {10: 12.0}
"""And the kettle that makes room 10 humid."""
_FACADE = {1: 135.0, 2: 135.0, 10: 315.0, 11: 315.0}
_NEVER_S = 1e12


class Floor(Struct, frozen=True):
    """State of the floor, `elapsed_s` after `start_at` (UTC)."""

    start_at: datetime
    elapsed_s: float
    weather: Weather
    rooms: tuple[Room, ...]

    @property
    def at(self) -> datetime:
        """The simulated instant (UTC)."""
        return self.start_at + timedelta(seconds=self.elapsed_s)


def new_floor(start_at: datetime, rng: Random) -> Floor:
    """Empty rooms at about 20 C and 40 %, valves at 10 %, blinds open, lights off."""
    rooms = []
    for number in ROOM_NUMBERS:
        temperature = 20.5 + rng.uniform(-0.8, 0.8)
        vapour = saturation_g_m3(temperature) * (0.40 + rng.uniform(-0.01, 0.01))
        rooms.append(
            Room(
                number=number, facade_azimuth=_FACADE[number], temperature_c=temperature, vapour_g_m3=vapour,
                next_visit_s=FIRST_VISIT_S[number], kettle_on_s=FIRST_KETTLE_S.get(number, _NEVER_S),
            )
        )  # fmt: skip
    weather = Weather(warmer_c=rng.gauss(0, 2), clouds=rng.random())
    return Floor(start_at=start_at, elapsed_s=0.0, weather=weather, rooms=tuple(rooms))


def step(floor: Floor, dt_s: float, rng: Random) -> Floor:
    """The floor `dt_s` later."""
    weather, outside, sun = weather_after(floor.weather, dt_s, rng), outside_at(floor.at, floor.weather), sun_over(floor)
    after = floor.elapsed_s + dt_s
    hour = (floor.at.astimezone(_ZONE)).hour
    rooms = (
        _life(physics.physics(room, dt_s, after, outside, sun, weather.clouds), dt_s, after, hour, rng) for room in floor.rooms
    )
    return replace(floor, elapsed_s=after, weather=weather, rooms=tuple(rooms))


def set_target(floor: Floor, number: int, kind: Kind, target_pct: float) -> Floor:
    """The floor after an actuator of a room took a telegram."""
    rooms = (physics.set_target(room, kind, target_pct) if room.number == number else room for room in floor.rooms)
    return replace(floor, rooms=tuple(rooms))


def sun_over(floor: Floor) -> Sun:
    """The sun over the building now."""
    return sun_at(floor.at, LATITUDE, LONGITUDE)


def measure(floor: Floor, room: Room, sun: Sun) -> dict[Kind, float]:
    """What the room's devices show now, at the resolution they report."""
    return {
        Kind.temperature_c: round(room.temperature_c, 1),
        Kind.humidity_pct: round(physics.humidity_pct(room), 1),
        Kind.illuminance_lx: float(round(physics.illuminance_lx(room, sun, floor.weather.clouds))),
        Kind.motion: float(floor.elapsed_s < room.moved_until_s),
        Kind.battery_pct: float(max(1, round(100 - floor.elapsed_s / 86_400 / 4))),
        Kind.valve_pct: room.valve_pct,
        Kind.closed_pct: round(room.closed_pct, 1),
        Kind.level_pct: room.level_pct,
    }


def _life(room: Room, dt_s: float, now_s: float, hour: int, rng: Random) -> Room:
    if now_s >= room.next_visit_s:
        room = _come_or_go(room, now_s, hour, rng)
    if room.people and rng.random() > exp(-dt_s * room.people / _FIDGET_S):
        room = replace(room, moved_until_s=now_s + MOTION_HOLD_S)
    if now_s >= room.kettle_on_s:
        room = replace(room, kettle_off_s=now_s + _KETTLE_S, kettle_on_s=now_s + 3600 + rng.expovariate(1 / 7200))
    if room.window_open:
        return room if room.people and room.temperature_c > _COOL_ENOUGH_C else replace(room, window_open=False)
    return replace(room, window_open=True) if room.people and room.temperature_c > _TOO_WARM_C else room


def _come_or_go(room: Room, now_s: float, hour: int, rng: Random) -> Room:
    if room.people > 1:
        return replace(room, people=room.people - 1, next_visit_s=now_s + rng.expovariate(1 / _STAY_S))
    if room.people == 1:
        gap = _GAP_DAY_S if 7 <= hour < 19 else _GAP_NIGHT_S
        return replace(room, people=0, next_visit_s=now_s + rng.expovariate(1 / gap))
    people = 1 if rng.random() < 0.7 else 2
    leave_s = now_s + _FIRST_STAY_S + rng.expovariate(1 / _STAY_S)
    return replace(room, people=people, moved_until_s=now_s + MOTION_HOLD_S, next_visit_s=leave_s)
