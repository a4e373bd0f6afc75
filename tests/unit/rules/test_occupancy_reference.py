"""A recording's own word on who was there is for comparing with: it enters no rule."""

from __future__ import annotations

import pytest

from schemas.records import Clock, Kind, Tick
from tests.recordings import uci_rows
from tests.stories import BLIND, LAMP, VALVE, Story

EVENING = uci_rows()[150:300]
"""Of the UCI office, a row a minute: people go, come back for a moment, and go; it gets dark, and after 19:00."""
REFERENCE = Kind.occupancy_reference


def told(clock: Clock, *, with_reference: bool) -> tuple[Story, set[str]]:
    """The office's evening with motion that says the opposite of the reference, and which states of occupancy came of it.

    Without the reference a tick for nobody stands in its place: a command's id is its cause's position.
    """
    begin = EVENING[0][0]
    story, states = Story(begin, clock=clock, time_zone="Europe/Brussels"), set()
    for at, values in EVENING:
        if story.room.sensed:  # a recorded room's time begins with its first reading
            story.after(seconds=(at - story.now).total_seconds())
        for kind, value in values.items():
            if kind != REFERENCE:
                story.reads(Kind(kind), value)
        story.motion(seen=not values[REFERENCE])
        if with_reference:
            story.reads(REFERENCE, values[REFERENCE])
        else:
            story.tell(Tick(begin))
        states |= {story.room.occupancy.light, story.room.occupancy.heating}
    return story, states


@pytest.mark.parametrize("clock", [Clock.recorded, Clock.live])
def test_a_recordings_own_occupancy_enters_no_rule(clock: Clock) -> None:
    (with_it, states), (without, states_without) = (told(clock, with_reference=wanted) for wanted in (True, False))
    assert with_it.sent == without.sent
    assert with_it.averages == without.averages
    for field in ("position", "now_at", "wake_at", "occupancy", "humid", "dark", "bright", "buckets", "actuators"):
        assert getattr(with_it.room, field) == getattr(without.room, field), field

    assert with_it.rejects == without.rejects == []
    assert states == states_without == {"unknown", "vacant", "occupied"}
    assert all(with_it.targets(device_id) for device_id in (VALVE, BLIND, LAMP))
    assert {entry.kind for entry in with_it.room.sensed} - {entry.kind for entry in without.room.sensed} == {REFERENCE}
    assert with_it.room.readings - without.room.readings == len(EVENING)
