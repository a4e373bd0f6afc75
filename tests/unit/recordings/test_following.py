"""Beside a recorded room: its ticks, and how far its log says a recording has come."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from agents.recordings.follower import Follower
from agents.recordings.progress import Progress
from agents.recordings.recording import Recording, Row
from agents.rules.fold import LoggedEvent
from schemas.codecs import DEFAULT_POLICY
from schemas.records import Bus, Clock, Device, DeviceChanged, DeviceRole, Kind, PolicyChanged, Reading, Tick

BEGIN = datetime(2015, 2, 2, 13, 19, tzinfo=UTC)
KINDS = (Kind.temperature_c, Kind.motion)
ROWS = [Row(BEGIN + timedelta(minutes=minute), (20.0 + minute, None if minute == 2 else 0.0)) for minute in range(5)]
RECORDING = Recording("f.csv", "digest", KINDS, ROWS, "Europe/Brussels", ())
SENSOR = 7


def introduced():
    follower = Follower("r", "log-1", 3, None)
    device = Device(SENSOR, 2, "recorded", "r", DeviceRole.multisensor, Bus.recorded, "recorded-r")
    policy = replace(DEFAULT_POLICY, revision=4, clock=Clock.recorded, time_zone="Europe/Brussels")
    for offset, event in ((100, DeviceChanged(SENSOR, 2, device)), (205, PolicyChanged(policy))):
        follower.read(LoggedEvent("r", offset, datetime(2026, 1, 1, tzinfo=UTC), event))
    return follower


def moved(follower, at, value):
    ticks = list(follower.ticks_until(at))
    follower.feed([Reading(SENSOR, Kind.motion, value, at)], at)
    return [tick.wake_at for tick in ticks]


def test_no_tick_comes_before_the_first_reading_however_long_ago_the_room_was_made():
    assert moved(introduced(), BEGIN, 1.0) == []


def test_ticks_come_when_the_rules_say_so_and_never_after_the_next_reading():
    follower = introduced()
    moved(follower, BEGIN, 1.0)
    assert moved(follower, BEGIN + timedelta(minutes=1), 0.0) == []
    light, heating = BEGIN + timedelta(minutes=21), BEGIN + timedelta(minutes=31)
    assert moved(follower, BEGIN + timedelta(minutes=31), 0.0) == [light, heating], "one due with the reading comes before it"
    evening = datetime(2015, 2, 2, 18, 0, tzinfo=UTC)
    assert moved(follower, evening + timedelta(minutes=1), 1.0) == [evening], "19:00 in Mons"


def test_a_follower_begun_again_from_the_noted_room_goes_on_with_the_same_ticks():
    first = introduced()
    moved(first, BEGIN, 1.0)
    moved(first, BEGIN + timedelta(minutes=1), 0.0)
    noted = first.room_at(977)
    second = Follower("r", "log-1", 3, noted)
    second.read(LoggedEvent("r", 977, BEGIN, Reading(SENSOR, Kind.motion, 1.0, BEGIN + timedelta(minutes=9))))
    assert second.room == noted, "what the note has counted is not folded again"
    later = BEGIN + timedelta(hours=7)
    assert moved(second, later, 0.0) == moved(first, later, 0.0) != []


def readings(*rows):
    return [reading for row in rows for reading in ROWS[row].readings(KINDS, SENSOR)]


@pytest.mark.parametrize(
    ("events", "next_row", "of_next", "doubled"),
    [
        ([], 0, set(), []),
        (readings(0), 1, set(), []),
        (readings(0, 1)[:-1], 1, {Kind.temperature_c}, []),
        (readings(0, 1, 2), 3, set(), []),
        ([*readings(0), Tick(BEGIN), *readings(1)], 2, set(), []),
        (readings(3), 4, set(), []),
        (readings(0, 1, 1), 2, set(), [1, 1]),
        ([*readings(0, 1)[:-1], readings(1)[0]], 1, {Kind.temperature_c}, [1]),
        ([Reading(SENSOR, Kind.motion, 0.0, BEGIN + timedelta(seconds=1))], 0, set(), []),
        ([replace(readings(0)[0], device_id=8)], 0, set(), []),
    ],
    ids=[
        "nothing", "a row", "half a row", "a row with a missing cell", "ticks between", "a gap", "twice", "half twice",
        "another recording", "another device",
    ],
)  # fmt: skip
def test_the_log_says_how_far_a_recording_has_come(events, next_row, of_next, doubled):
    progress = Progress(RECORDING, SENSOR, timedelta(), 0)
    for event in events:
        progress.see(event)
    assert (progress.next_row, set(progress.of_next), progress.doubled) == (next_row, of_next, doubled)


def test_a_shifted_recording_is_found_in_the_log_by_its_shift():
    shift = timedelta(days=4000, milliseconds=123)
    progress = Progress(RECORDING, SENSOR, shift, 1)
    for reading in readings(1, 2):
        progress.see(replace(reading, at=reading.at + shift))
    assert progress.next_row == 3


def test_rows_that_the_log_lacks_before_later_ones_are_missed():
    progress = Progress(RECORDING, SENSOR, timedelta(), 0)
    for reading in [readings(0)[0], *readings(2, 4)]:
        progress.see(reading)
    assert progress.missed == [0, 1, 3]
