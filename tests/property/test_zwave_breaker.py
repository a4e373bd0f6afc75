"""Whatever happens to a node: it is not pestered, not forgotten, and spoken to once it says something."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.gateways.drivers.zwave_breaker import FIRST_PROBE_S, LONGEST_PROBE_S, Breaker

_NEAR_S = 1e-6
steps = st.lists(st.tuples(st.sampled_from(["failed", "dead", "well", "nothing"]), st.floats(0, 400), st.booleans()), max_size=60)


@given(steps)
def test_probes_are_never_close_and_never_far_and_a_sign_of_life_ends_them(steps: list[tuple[str, float, bool]]) -> None:
    breaker, now_s = Breaker(), 0.0
    probed_s = -FIRST_PROBE_S
    for happens, later_s, answers in steps:
        now_s += later_s
        if breaker.probe_due(now_s):
            assert now_s - probed_s >= FIRST_PROBE_S - _NEAR_S
            probed_s = now_s
            breaker.well() if answers else breaker.dead(now_s)
        match happens:
            case "failed":
                breaker.failed(now_s)
            case "dead":
                breaker.dead(now_s)
            case "well":
                breaker.well()
                assert not breaker.shut_out
                assert not breaker.probe_due(now_s + 2 * LONGEST_PROBE_S)
        if breaker.shut_out:
            assert breaker.next_probe_s(now_s) <= LONGEST_PROBE_S + _NEAR_S
            assert breaker.probe_due(now_s + LONGEST_PROBE_S + _NEAR_S)
