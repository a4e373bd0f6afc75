"""The simulated floor: the same for the same seed, its physics by their time constants, its opening minute always."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from math import exp
from random import Random

import pytest
from msgspec.structs import replace

from infra.simulator.floor import Floor, measure, new_floor, set_target, step, sun_over
from infra.simulator.play import TICK_S, Play
from infra.simulator.room import (
    CAPACITY_J_K,
    CORRIDOR_C,
    CORRIDOR_W_K,
    LOSS_W_K,
    RADIATOR_LAG_S,
    Room,
    humidity_pct,
    illuminance_lx,
    physics,
)
from infra.simulator.sun import Sun
from infra.simulator.weather import Outside, Weather, outside_at, saturation_g_m3
from schemas.records import Bus, Kind

MARCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NIGHT = Sun(-30, 0)
MILD = Outside(temperature_c=20.0, vapour_g_m3=7.0)


def room(**changes: object) -> Room:
    empty = Room(number=2, facade_azimuth=135, temperature_c=20, vapour_g_m3=7, next_visit_s=1e9, kettle_on_s=1e9)
    return replace(empty, **changes)


def played(seed: int, seconds: float, start_at: datetime = MARCH, speed: float = 1.0) -> Play:
    play = Play(seed, start_at, speed)
    for _ in range(round(seconds / TICK_S)):
        play.tick()
    return play


def test_the_same_seed_and_telegrams_give_the_same_floor() -> None:
    floors = []
    for _ in range(2):
        play = played(7, 300)
        play.write(Bus.knx, "3/4/10", 60)
        for _ in range(4000):
            play.tick()
        floors.append(play.floor)
    assert floors[0] == floors[1]
    assert floors[0] != played(8, 1300).floor


def test_step_leaves_its_argument_alone() -> None:
    floor = new_floor(MARCH, Random(1))
    before = replace(floor)
    assert step(floor, 1.0, Random(1)) != floor
    assert floor == before


def test_a_radiator_follows_its_valve_with_15_minutes_lag() -> None:
    after = physics(room(valve_pct=90.0), RADIATOR_LAG_S, 0, MILD, NIGHT, 1.0)
    assert RADIATOR_LAG_S == 900
    assert after.radiator_pct == pytest.approx(90 - 80 * exp(-1))


def test_an_unheated_room_falls_towards_its_surroundings_with_its_time_constant() -> None:
    cold = Outside(temperature_c=0.0, vapour_g_m3=4.0)
    tau_s = CAPACITY_J_K / (LOSS_W_K + CORRIDOR_W_K)
    balance = CORRIDOR_W_K * CORRIDOR_C / (LOSS_W_K + CORRIDOR_W_K)
    after = physics(room(valve_pct=0.0, radiator_pct=0.0), tau_s, 0, cold, NIGHT, 1.0)
    assert after.temperature_c == pytest.approx(balance + (20 - balance) * exp(-1))


def test_the_length_of_the_step_does_not_matter() -> None:
    one = physics(room(radiator_pct=50.0, valve_pct=50.0), 600, 0, MILD, NIGHT, 0.5)
    many = room(radiator_pct=50.0, valve_pct=50.0)
    for _ in range(600):
        many = physics(many, 1, 0, MILD, NIGHT, 0.5)
    assert many.temperature_c == pytest.approx(one.temperature_c)
    assert many.vapour_g_m3 == pytest.approx(one.vapour_g_m3)


def test_an_open_window_cools_faster_in_winter() -> None:
    cold = Outside(temperature_c=-5.0, vapour_g_m3=2.0)
    shut, wide = (physics(room(window_open=is_open), 600, 0, cold, NIGHT, 1.0) for is_open in (False, True))
    assert wide.temperature_c < shut.temperature_c - 0.3
    assert humidity_pct(wide) < humidity_pct(shut)


@pytest.mark.parametrize(("start", "target", "seconds"), [(0, 100, 30.0), (100, 0, 30.0), (0, 30, 9.0), (60, 50, 3.0)])
def test_a_blind_takes_30_seconds_for_the_whole_way(start: float, target: float, seconds: float) -> None:
    blind, took = room(closed_pct=float(start), closed_target_pct=float(target)), 0.0
    while blind.travelling:
        blind, took = physics(blind, 0.25, took, MILD, NIGHT, 1.0), took + 0.25
    assert took == pytest.approx(seconds, abs=0.25)
    assert blind.closed_pct == target


def test_lamps_add_140_lx_and_blinds_keep_daylight_out() -> None:
    assert illuminance_lx(room(level_pct=100.0), NIGHT, 1.0) == pytest.approx(140, abs=0.1)
    noon = Sun(40, 180)
    assert illuminance_lx(room(), noon, 0.3) > 200
    assert illuminance_lx(room(closed_pct=100.0, closed_target_pct=100.0), noon, 0.3) < 20


def test_humidity_is_vapour_over_saturation() -> None:
    assert saturation_g_m3(20) == pytest.approx(17.3, abs=0.1)  # tables: 17.3 g/m3 at 20 C
    assert humidity_pct(room(vapour_g_m3=saturation_g_m3(20) * 0.4)) == pytest.approx(40)


def test_winter_is_colder_than_summer_and_night_than_afternoon() -> None:
    at = [outside_at(datetime(2026, m, 15, h, tzinfo=UTC), Weather()).temperature_c for m, h in ((1, 3), (1, 14), (7, 3), (7, 14))]
    assert at == sorted(at)


@pytest.mark.parametrize("month", [1, 4, 7, 10])
@pytest.mark.parametrize("hour", [0, 6, 12, 19, 23])
@pytest.mark.parametrize("seed", [4, 5, 6])
def test_the_opening_minute_happens_at_any_hour_season_and_seed(month: int, hour: int, seed: int) -> None:
    play = Play(seed, datetime(2026, month, 15, hour, 30, tzinfo=UTC), 1.0)
    told: dict[tuple[int, Kind, float], float] = {}
    for _ in range(round(20 / TICK_S)):
        play.tick()
        for point, value in play.reports():
            told.setdefault((point.room, point.kind, value), play.floor.elapsed_s)
    start = measures(new_floor(play.floor.start_at, Random(seed)))
    assert all(m[Kind.motion] == 0 and 37 < m[Kind.humidity_pct] < 43 for m in start.values())
    assert all((m[Kind.valve_pct], m[Kind.closed_pct], m[Kind.level_pct]) == (10, 0, 0) for m in start.values())
    assert 5 < told[2, Kind.motion, 1.0] < 7
    assert min(at for (number, kind, value), at in told.items() if (number, kind) == (10, Kind.humidity_pct) and value > 50) < 14
    assert not any(value > 48 for (number, kind, value) in told if kind is Kind.humidity_pct and number != 10)
    assert not any(value for (number, kind, value) in told if kind is Kind.motion and number != 2)


def measures(floor: Floor) -> dict[int, dict[Kind, float]]:
    return {room.number: measure(floor, room, sun_over(floor)) for room in floor.rooms}


def test_people_come_and_go_over_a_day_and_the_rooms_stay_habitable() -> None:
    play, seen = Play(4, MARCH, 60.0), set()
    for _ in range(4 * 24 * 60):
        play.tick()
        seen |= {(room.number, room.people > 0) for room in play.floor.rooms}
        assert all(10 < room.temperature_c < 32 for room in play.floor.rooms)
    assert len(seen) == 8


def test_a_travelling_blind_reports_every_2_seconds_and_at_the_end() -> None:
    play = played(4, 1)
    list(play.reports())
    play.write(Bus.knx, "3/4/11", 100)
    told = []
    for _ in range(round(40 / TICK_S)):
        play.tick()
        told += [
            (play.floor.elapsed_s, value) for point, value in play.reports() if (point.room, point.kind) == (11, Kind.closed_pct)
        ]
    gaps = [after[0] - before[0] for before, after in pairwise(told)]
    assert told[-1] == (31.0, 100.0)
    assert 14 <= len(told) <= 17
    assert max(gaps) <= 2.25


def test_only_a_new_target_counts_as_a_change() -> None:
    play = played(4, 1)
    for target in (90, 90, 10):
        play.write(Bus.knx, "0/4/2", target)
    assert play.counts[2] == (3, 2)


def test_speed_makes_more_time_pass_in_a_tick() -> None:
    assert played(4, 10, speed=60).floor.elapsed_s == pytest.approx(600)


def test_targets_are_kept_within_0_and_100() -> None:
    floor = set_target(new_floor(MARCH, Random(1)), 2, Kind.valve_pct, 140)
    assert measures(floor)[2][Kind.valve_pct] == 100
