"""A policy changed while the building runs: it acts at once, by the clock of its change, on what the sensors said last."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from schemas.codecs import DEFAULT_POLICY
from schemas.records import PolicyChanged
from tests.stories import BLIND, LAMP, VALVE, Story


def changed(story: Story, **policy: object) -> Story:
    """A new revision of the story's policy."""
    was = story.room.policy
    return story.tell(PolicyChanged(replace(was, revision=was.revision + 1, **policy)))


def test_a_command_of_a_new_policy_is_issued_when_it_changed_not_when_the_room_last_heard_anything() -> None:
    story = Story().motion().confirms(VALVE)
    story.now += timedelta(minutes=9)  # nothing was told meanwhile
    changed(story, valve_occupied_pct=70.0)
    command = story.commands[-1]
    assert (command.target_pct, command.event) == (70.0, "PolicyChanged")
    assert command.issued_at == story.now, "else it would have expired before any gateway saw it"
    assert command.expires_at > story.now


@pytest.mark.parametrize(
    ("tell", "policy", "device", "targets"),
    [
        (lambda s: s.humidity(48), {"humid_above_pct": 47.0}, BLIND, [0, 100]),
        (lambda s: s.humidity(52), {"humid_above_pct": 60.0, "humid_clear_below_pct": 55.0}, BLIND, [100, 0]),
        (lambda s: s.motion().temperature(7.5), {"frost_below_c": 8.0}, VALVE, [90, 100]),
        (lambda s: s.motion().temperature(27), {"overheat_above_c": 26.0}, VALVE, [90, 0]),
        (lambda s: s.light(40).motion(), {"dark_at_most_lx": 50.0}, LAMP, [0, 90]),
    ],
    ids=["humid above", "humid no more", "frost", "heat", "dark"],
)
def test_new_limits_judge_the_last_readings_without_waiting_for_the_next(tell, policy, device, targets) -> None:
    story = Story()
    tell(story).after(minutes=6)
    changed(story, **policy)
    assert story.targets(device) == targets


def test_an_older_revision_changes_nothing() -> None:
    story = changed(changed(Story().motion(), valve_occupied_pct=70.0), valve_occupied_pct=60.0)
    in_force = story.room.policy
    story.tell(PolicyChanged(replace(DEFAULT_POLICY, revision=in_force.revision - 1)))
    assert story.room.policy == in_force
