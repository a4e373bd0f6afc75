"""A room's hours, told as a story: what the rules refuse is not counted, and people are counted as occupancy says."""

from __future__ import annotations

from datetime import timedelta

from agents.replay.statistics import Hours, hour_of
from schemas.records import Kind
from tests.stories import LOG, NOON, Story


def hours_of(story: Story) -> Hours:
    hours = Hours("2", None)
    hours.take(LOG, 0, story.log)
    return hours


def test_readings_are_counted_in_their_own_hour() -> None:
    story = Story().reads(Kind.temperature_c, 20.0).reads(Kind.temperature_c, 22.0).after(hours=1).reads(Kind.temperature_c, 30.0)
    hour = hours_of(story).readings[Kind.temperature_c, NOON]
    assert (hour.low, hour.high, hour.total, hour.count) == (20.0, 22.0, 42.0, 2)


def test_a_late_reading_counts_in_the_hour_it_was_made() -> None:
    story = Story().after(hours=5).reads(Kind.temperature_c, 20.0, at=NOON)
    assert story.room.late == 1
    assert hours_of(story).readings.keys() == {(Kind.temperature_c, NOON)}


def test_what_the_rules_refuse_is_not_counted() -> None:
    story = Story().reads(Kind.temperature_c, 400.0).reads(Kind.temperature_c, 20.0, at=NOON + timedelta(hours=1))
    assert len(story.rejects) == 2
    assert not hours_of(story).readings


def test_a_reading_parked_for_its_device_counts_when_the_device_comes() -> None:
    from schemas.records import DeviceChanged, DeviceRole
    from tests.stories import device

    story = Story().reads(Kind.co2_ppm, 500.0, device_id=77)
    assert not hours_of(story).readings
    story.after(hours=2).tell(DeviceChanged(77, 1, device(77, DeviceRole.multisensor)))
    assert hours_of(story).readings[Kind.co2_ppm, NOON].count == 1


def test_the_room_is_occupied_until_the_timeout_and_unknown_before_the_first_motion() -> None:
    story = Story().after(minutes=10).motion().after(minutes=5).motion(seen=False).after(minutes=45).humidity(40)
    people = hours_of(story).people[hour_of(NOON)]
    assert people.occupied_s == (5 + 20) * 60
    assert people.known_s == 50 * 60, "ten minutes were unknown"


def test_counting_in_steps_is_counting_at_once() -> None:
    story = Story().motion().after(minutes=50).motion(seen=False).reads(Kind.co2_ppm, 600).after(hours=3).motion().after(minutes=90)
    whole, room = hours_of(story), None
    occupied = known = 0.0
    for number in range(0, len(story.log), 3):
        step = Hours("2", room)
        step.take(LOG, 0, story.log[number : number + 3])
        room = step.room
        occupied += sum(each.occupied_s for each in step.people.values())
        known += sum(each.known_s for each in step.people.values())
    assert room == whole.room == story.room
    assert occupied == sum(each.occupied_s for each in whole.people.values()) > 0
    assert known == sum(each.known_s for each in whole.people.values())
