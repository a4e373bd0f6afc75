"""Levels of a dimmer on the wire and back."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from agents.gateways.zwave_levels import from_wire, to_wire

percents = st.floats(0, 100)


@given(percents)
@example(99.4)
@example(99.5)
@example(100.0)
def test_a_level_comes_back_within_one_percent(level_pct: float) -> None:
    back = from_wire(to_wire(level_pct))
    assert back is not None
    assert abs(back - level_pct) <= 1


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_level_asks_for_the_most_recent_one(level_pct: float) -> None:
    assert to_wire(level_pct) in range(100)


@given(percents, percents)
def test_a_higher_level_is_never_less_on_the_wire(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert to_wire(low) <= to_wire(high)


@given(st.integers(0, 255))
def test_what_the_wire_says_is_a_percentage_or_unknown(wire: int) -> None:
    level_pct = from_wire(wire)
    assert level_pct is None or to_wire(level_pct) == min(wire, 99)
    assert (level_pct is None) == (100 < wire < 255)
