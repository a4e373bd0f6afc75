"""The default policy as a table: one row a case of the specification."""

from __future__ import annotations

import pytest

from schemas.records import Kind
from tests.rule_cases import RULES, Happens
from tests.stories import BLIND, ZURICH, Story, local

CASES = [(f"{rule.title}: {case[0]}", *case[1:]) for rule in RULES for case in rule.cases]


@pytest.mark.parametrize(("time", "policy", "happens", "actuator", "targets"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_default_policy(time: str, policy: dict[str, object], happens: Happens, actuator: int, targets: list[float]) -> None:
    story = Story(local(time), **policy)
    happens(story)
    assert story.targets(actuator) == targets
    assert story.rejects == []


@pytest.mark.parametrize("change", ["2026-03-28 18:00", "2026-10-24 18:00"])
def test_over_both_summer_time_changes_night_and_day_begin_by_the_wall_clock(change: str) -> None:
    story = Story(local(change))
    wakes = []
    for _ in range(4):
        wake = story.room.wake_at
        assert wake is not None
        wakes.append(wake.astimezone(ZURICH).strftime("%H:%M"))
        story.after(seconds=(wake - story.now).total_seconds())
    assert wakes == ["19:00", "07:00", "19:00", "07:00"]


def test_every_command_says_who_won_and_who_lost() -> None:
    story = Story().humidity(40).hand(Kind.closed_pct, 30.0).humidity(60)
    command = story.commands[-1]
    assert (command.winner.slot, command.winner.value_pct) == ("manual", 30.0)
    blind = story.actuator(BLIND)
    assert [(p.slot, p.rule) for p in blind.losers] == [("comfort", "close when humid"), ("default", "relinquish default")]
