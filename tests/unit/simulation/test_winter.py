"""`atrium simulate`: the same seed gives the same winter, whose rules differ."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from infra.simulation.naive import NaiveRoom
from infra.simulation.tell import markdown, svg
from infra.simulation.winter import simulate
from schemas.records import Kind

NOON = datetime(2026, 1, 5, 11, tzinfo=UTC)


def test_the_same_seed_gives_the_same_winter_and_another_one_another() -> None:
    def lived(seed: int) -> str:
        return markdown(simulate(2, 1, seed, 240))

    assert lived(1) == lived(1)
    assert lived(1) != lived(2)


def test_both_rules_meet_the_same_people_and_ours_turns_back_less_often() -> None:
    outcome = simulate(3, 3, 1, 120)
    assert outcome.naive.occupied_h == outcome.ours.occupied_h > 0
    for kind in (Kind.valve_pct, Kind.level_pct):
        assert outcome.naive.reversals[kind] > 5 * outcome.ours.reversals[kind]
    assert outcome.times_real > 1000
    assert "3 rooms, 3 winter days" in svg(outcome)
    assert msgspec.to_builtins(outcome.ours)["events"] > 3 * 3 * 700 * 4


def test_the_naive_rules_follow_every_reading() -> None:
    room = NaiveRoom()
    assert room.take(Kind.motion, 1.0, NOON) == [(Kind.valve_pct, 90.0), (Kind.closed_pct, 0.0), (Kind.level_pct, 0.0)]
    assert room.take(Kind.humidity_pct, 50.1, NOON) == [(Kind.closed_pct, 100.0)]
    assert room.take(Kind.humidity_pct, 50.0, NOON) == [(Kind.closed_pct, 0.0)]
    assert room.take(Kind.motion, 0.0, NOON) == [(Kind.valve_pct, 10.0)]
