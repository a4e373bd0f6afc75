"""What becomes of a command in the room's row: repeated, a fault, or a state that nobody can verify."""

from __future__ import annotations

from schemas.records import CommandResult, Kind, ResultStatus
from tests.stories import VALVE, Story


def test_what_nobody_can_verify_is_shown_as_such_and_is_no_fault() -> None:
    story = Story().motion()
    for _ in range(4):
        story.confirms(VALVE, ResultStatus.unverified).after(minutes=10)
    valve = story.actuator(VALVE)
    assert (valve.fault, valve.retry_at, valve.last_status) == ("", None, ResultStatus.unverified)


def test_a_fault_says_how_often_and_why_and_a_late_success_takes_it_away() -> None:
    story = Story().motion()
    for _ in range(4):
        story.confirms(VALVE, ResultStatus.failed).after(minutes=10)
    assert story.actuator(VALVE).fault == "sent 4 times, failed: test"
    story.reads(Kind.valve_pct, 90.0, device_id=VALVE)
    assert story.actuator(VALVE).fault == ""


def test_a_result_of_a_superseded_command_changes_nothing_of_the_present_one() -> None:
    story = Story().motion()
    first = story.commands[-1]
    story.hand(Kind.valve_pct, 20.0)
    story.tell(CommandResult(first.command_id, VALVE, ResultStatus.superseded, story.now))
    valve = story.actuator(VALVE)
    assert (valve.desired_pct, valve.retry_at, valve.pending_command_id) == (20.0, None, story.commands[-1].command_id)
