"""When a node is left alone, when it is tried, and when it is spoken to again."""

from __future__ import annotations

from agents.gateways.drivers.zwave_breaker import FAILURES, FIRST_PROBE_S, LONGEST_PROBE_S, Breaker


def opened(at_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    breaker.dead(at_s)
    return breaker


def test_a_node_is_left_alone_after_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
        assert not breaker.shut_out
    breaker.failed(0.0)
    assert breaker.shut_out


def test_an_answer_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(0.0)
        breaker.well()
    assert not breaker.shut_out


def test_a_node_its_network_gives_up_is_left_alone_at_once() -> None:
    assert opened().shut_out


def test_probes_come_at_growing_intervals_up_to_the_longest() -> None:
    now_s, breaker = 0.0, opened()
    pauses = []
    for _ in range(9):
        pauses.append(breaker.next_probe_s(now_s))
        assert not breaker.probe_due(now_s + pauses[-1] - 0.01)
        now_s += pauses[-1]
        assert breaker.probe_due(now_s)
        breaker.dead(now_s)
    assert pauses[:3] == [FIRST_PROBE_S, 2 * FIRST_PROBE_S, 4 * FIRST_PROBE_S]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PROBE_S


def test_one_death_told_by_the_failed_call_and_by_the_network_is_one() -> None:
    breaker = Breaker()
    for at_s in (0.0, 0.1, 0.2):
        breaker.failed(at_s)
    breaker.dead(0.3)
    assert breaker.next_probe_s(0.1) == FIRST_PROBE_S


def test_the_first_pause_is_short_again_after_a_recovery() -> None:
    breaker = opened()
    breaker.dead(FIRST_PROBE_S)
    breaker.well()
    breaker.dead(100.0)
    assert breaker.next_probe_s(100.0) == FIRST_PROBE_S


def test_a_recovery_is_told_once_and_only_after_a_silence() -> None:
    breaker = Breaker()
    breaker.well()
    assert not breaker.came_back()
    breaker.dead(0.0)
    assert not breaker.came_back()
    breaker.well()
    assert breaker.came_back()
    assert not breaker.came_back()
