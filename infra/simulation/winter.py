"""Rooms through a winter, each lived once under the naive rules and once under ours: same weather, same people, same draughts."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import exp
from random import Random
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agents.replay.compared import reversals_in
from infra.simulation.folded import FoldedRoom
from infra.simulation.naive import NaiveRoom
from infra.simulation.people import STIR_S, Stay, stays
from infra.simulator import room as physics
from infra.simulator.sun import Sun, sun_at
from infra.simulator.weather import LATITUDE, LONGITUDE, Outside, Weather, outside_at, saturation_g_m3, weather_after
from schemas.records import Kind

BEGINS_AT = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""
COMFORT_C = (20.0, 24.0)
"""Operative temperature of category II in the heating season (EN 16798-1:2019, table B.2)."""
_KETTLE_S, _KETTLES_A_DAY = 240.0, 1.0
_REPORTED = (Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.motion)
Told = Callable[[int, int], None]


class Rules(Protocol):
    """Takes a reading, gives commands: kind of the actuator and target."""

    def take(self, kind: Kind, value: float, at: datetime) -> list[tuple[Kind, float]]:
        """The commands that follow."""


class Hour(Struct, frozen=True):
    """The sky at one step."""

    at: datetime
    outside: Outside
    sun: Sun
    clouds: float


class Sums(Struct):
    """What came of one set of rules, over all rooms."""

    commands: dict[Kind, int] = msgspec.field(default_factory=lambda: defaultdict(int))
    reversals: dict[Kind, int] = msgspec.field(default_factory=lambda: defaultdict(int))
    heat_kwh: float = 0.0
    occupied_h: float = 0.0
    comfort_h: float = 0.0
    lit_empty_h: float = 0.0
    events: int = 0
    took_s: float = 0.0


class Outcome(Struct, frozen=True):
    """Both, and what they were asked to live through."""

    rooms: int
    days: int
    seed: int
    naive: Sums
    ours: Sums

    @property
    def times_real(self) -> float:
        """How much faster than the winter itself ours was, with its physics."""
        return self.days * 86_400 / self.ours.took_s


def simulate(rooms: int, days: int, seed: int, step_s: float, tell: Told | None = None) -> Outcome:
    """Live `days` of winter in each room, under both sets of rules."""
    sky = _sky(days, seed, step_s)
    naive, ours = Sums(), Sums()
    for number in range(rooms):
        people = stays(BEGINS_AT.date(), days, Random(f"{seed}/people/{number}"))
        _live(number, seed, sky, people, step_s, NaiveRoom(), naive)
        folded = FoldedRoom(BEGINS_AT - timedelta(seconds=1))
        _live(number, seed, sky, people, step_s, folded, ours)
        ours.events += folded.events
        if tell is not None:
            tell(number + 1, rooms)
    return Outcome(rooms, days, seed, naive, ours)


def _sky(days: int, seed: int, step_s: float) -> list[Hour]:
    rng = Random(f"{seed}/weather")
    weather = Weather(warmer_c=rng.gauss(0, 2), clouds=rng.random())
    sky = []
    for number in range(round(days * 86_400 / step_s)):
        at = BEGINS_AT + timedelta(seconds=number * step_s)
        sky.append(Hour(at, outside_at(at, weather), sun_at(at, LATITUDE, LONGITUDE), weather.clouds))
        weather = weather_after(weather, step_s, rng)
    return sky


def _live(
    number: int, seed: int, sky: Sequence[Hour], people: Sequence[Stay], step_s: float, rules: Rules, sums: Sums
) -> None:  # fmt: skip
    """One room under one set of rules. Draws of chance come from the room's own number, so both sets meet the same."""
    started, rng = time.perf_counter(), Random(f"{seed}/room/{number}")
    temperature = 20.5 + rng.uniform(-0.8, 0.8)
    room = physics.Room(
        number=number, facade_azimuth=rng.uniform(90, 315), temperature_c=temperature,
        vapour_g_m3=saturation_g_m3(temperature) * 0.4, next_visit_s=0.0, kettle_on_s=0.0,
    )  # fmt: skip
    moves: dict[Kind, list[tuple[datetime, float]]] = defaultdict(list)
    stirs, boils = 1 - exp(-step_s / STIR_S), _KETTLES_A_DAY / 9 / 3600 * step_s
    waiting, elapsed_s, was_open = list(reversed(people)), 0.0, False
    for hour in sky:
        while waiting and waiting[-1].until <= hour.at:
            waiting.pop()
        stay = waiting[-1] if waiting and waiting[-1].since <= hour.at else None
        chance, boiling = rng.random(), rng.random()
        there = stay.people if stay else 0
        airing = stay is not None and stay.airs(hour.at)
        if there and boiling < boils:
            room = replace(room, kettle_off_s=elapsed_s + _KETTLE_S)
        room = replace(room, people=there, window_open=airing)
        sums.heat_kwh += _heat_w(room, hour.outside) * step_s / 3.6e6
        elapsed_s += step_s
        room = physics.physics(room, step_s, elapsed_s, hour.outside, hour.sun, hour.clouds)
        moving = bool(there) and chance < 1 - (1 - stirs) ** there
        commands: list[tuple[Kind, float]] = []
        if airing != was_open:
            was_open = airing
            commands += rules.take(Kind.window_open, float(airing), hour.at)
        for kind in _REPORTED:
            commands += rules.take(kind, _measured(room, hour, kind, moving=moving), hour.at)
        for kind, target in commands:
            room = physics.set_target(room, kind, target)
            moves[kind].append((hour.at, target))
        _count(sums, room, there, step_s)
    for kind, made in moves.items():
        sums.commands[kind] += len(made)
        sums.reversals[kind] += reversals_in(made)
    sums.took_s += time.perf_counter() - started


def _measured(room: physics.Room, hour: Hour, kind: Kind, *, moving: bool) -> float:
    match kind:
        case Kind.temperature_c:
            return round(room.temperature_c, 1)
        case Kind.humidity_pct:
            return round(physics.humidity_pct(room), 1)
        case Kind.illuminance_lx:
            return float(round(physics.illuminance_lx(room, hour.sun, hour.clouds)))
        case _:
            return float(moving)


def _heat_w(room: physics.Room, outside: Outside) -> float:
    return max(0.0, physics.RADIATOR_W_K * room.radiator_pct / 100 * (physics.water_c(outside) - room.temperature_c))


def _count(sums: Sums, room: physics.Room, there: int, step_s: float) -> None:
    span_h = step_s / 3600
    if there:
        sums.occupied_h += span_h
        sums.comfort_h += span_h * (COMFORT_C[0] <= room.temperature_c <= COMFORT_C[1])
    elif room.level_pct:
        sums.lit_empty_h += span_h
