"""On the recorded office with its humidity around the limit, hysteresis and rest take the reversals away."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean

from schemas.records import Kind, Reading
from tests.uci import offset_log, oscillation


def test_the_series_oscillates_around_the_limit() -> None:
    humidity = [e.event.value for e in offset_log() if isinstance(e.event, Reading) and e.event.kind is Kind.humidity_pct]
    assert abs(mean(humidity) - 50) < 1e-9
    crossings = sum((a > 50) != (b > 50) for a, b in pairwise(humidity))
    assert crossings >= 10


def test_ours_turns_the_blind_less_often_than_the_naive_rules() -> None:
    found = oscillation()
    assert found.naive[0] >= 10 * found.ours[0] > 0
    assert found.naive[1] >= 10
    assert found.ours[1] == 0
