"""Rooms that live a log again under another policy, and what differs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from agents.replay.compared import Change, changes_between, compare, reversals
from agents.replay.driven import Lives
from agents.replay.policy_file import BadPolicyFile, read_policy_file
from schemas.records import Kind
from streams.cli import main
from tests.recordings import DATATEST
from tests.stories import BLIND, NOON, VALVE, Story


def lived(story: Story, **policy: object):
    lives = Lives({}, lambda stored: replace(stored, **policy))
    lives.take(story.log)
    return lives.end()


def day() -> Story:
    """Somebody comes for ten minutes and leaves, the gateways answering; then the air gets humid and clears twice."""
    story = Story().motion().confirms(VALVE).after(minutes=10).motion(seen=False).after(hours=2)
    for humidity in (51, 44, 51, 44):
        story.after(minutes=6).humidity(humidity)
    return story.after(minutes=1).humidity(44)


def test_under_the_same_policy_nothing_differs() -> None:
    story = day()
    assert not [change for each in compare(lived(story), lived(story)) for change in each.changes]


def test_a_life_commands_what_the_story_did() -> None:
    story = day()
    told = [(command.device_id, command.target_pct, command.issued_at) for command in story.commands]
    assert [(c.device_id, c.target_pct, c.issued_at) for c in lived(story)["2"].commands] == told


def test_a_longer_timeout_moves_the_set_back_and_makes_hours() -> None:
    story = day()
    before, after = lived(story), lived(story, vacancy_timeout_heating_s=2400, vacancy_timeout_light_s=2400)
    valve = next(each for each in compare(before, after) if each.device_id == VALVE)
    assert [(c.before.issued_at - NOON, c.after.issued_at - NOON) for c in valve.changes] == [
        (timedelta(minutes=40), timedelta(minutes=50))
    ]
    assert after["2"].occupied.total - before["2"].occupied.total == timedelta(minutes=20)


def test_a_wider_deadband_takes_reversals_away() -> None:
    story = day()
    blind = next(e for e in compare(lived(story), lived(story, humid_clear_below_pct=40.0)) if e.device_id == BLIND)
    assert (reversals(blind.before), reversals(blind.after)) == (2, 0)
    assert (blind.added, blind.gone, blind.moved) == (0, 3, 0)


def test_commands_far_apart_are_not_the_same_one_moved() -> None:
    first = Story().hand(Kind.closed_pct, 20.0).commands[-1]
    near, far = (
        replace(first, issued_at=first.issued_at + timedelta(minutes=30)),
        replace(first, issued_at=first.issued_at + timedelta(minutes=31)),
    )
    assert changes_between([first], [near]) == [Change(first, near)]
    assert changes_between([first], [far]) == [Change(first, None), Change(None, far)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("humid_above_pct: 101", "policy.yaml, line 1: humid_above_pct: 101.0 is not a percentage"),
        ("\nlight: on", "policy.yaml, line 2: light is no field to change"),
        ("clock: recorded", "line 1: clock is no field to change"),
        ("manual_lease_s: soon", "line 1: manual_lease_s: Expected `int`, got `str`"),
        ("humid_above_pct: 30", "humid_clear_below_pct: 45.0 must not be above humid_above_pct"),
        ("- 1", "give fields of a policy"),
        ("a: [", "not YAML"),
        ("", "give fields of a policy"),
    ],
)
def test_a_policy_file_that_is_wrong_says_where(tmp_path, text, complaint) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(BadPolicyFile, match=complaint.replace("(", r"\(")):
        read_policy_file(file)


def run(*arguments: object):
    return CliRunner().invoke(main, ["replay", *map(str, arguments)], catch_exceptions=False)


def test_a_recording_is_compared_in_a_table_and_drawn(tmp_path) -> None:
    policy, against, drawing = tmp_path / "wide.yaml", tmp_path / "narrow.yaml", tmp_path / "plot.svg"
    policy.write_text("humid_above_pct: 25\nhumid_clear_below_pct: 24\n")
    against.write_text("humid_above_pct: 25\nhumid_clear_below_pct: 25\nblind_dwell_s: 0\n")
    ran = run(DATATEST, "--policy", policy, "--against", against, "--plot", drawing)
    assert ran.exit_code == 0, ran.output
    assert "gone" in ran.output and "Hours occupied" in ran.output and "█" in ran.output
    assert drawing.read_text().startswith("<svg") and "closed_pct" in drawing.read_text()


def test_a_recording_folds_to_the_same_digest_twice() -> None:
    digests = {next(line for line in run(DATATEST).output.splitlines() if line.startswith("digest")) for _ in range(2)}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--plot", "x.svg"), "go with --policy"),
        ((DATATEST, "--check", "kafka"), "for stored history"),
        ((DATATEST, "--from", "yesterday"), "is not a time"),
        ((DATATEST, "--mapping", "no-such-file"), "known data sets are uci-occupancy"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_line(arguments, complaint) -> None:
    ran = run(*arguments)
    assert ran.exit_code != 0
    assert complaint in ran.output and "Traceback" not in ran.output
