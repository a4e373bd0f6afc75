"""What a room remembers, refuses, and hands over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from agents.rules.fold import LoggedEvent, fold_batch
from agents.rules.room import PARKED_MOST
from schemas.averages import mean
from schemas.codecs import DEFAULT_POLICY
from schemas.records import Clock, CommandResult, DeviceChanged, DeviceRole, Kind, PolicyChanged, Reading, ResultStatus, Tick
from schemas.rows import OccupancyState
from tests.stories import BLIND, LAMP, NOON, SENSOR, VALVE, Story, device


def test_a_hand_holds_for_two_hours_against_automation() -> None:
    story = Story().humidity(40).hand(Kind.closed_pct, 20.0).after(minutes=1).humidity(60)
    assert story.targets(BLIND) == [0, 20]
    story.after(minutes=118)
    assert story.targets(BLIND) == [0, 20]
    story.humidity(60).after(minutes=1)
    assert story.targets(BLIND) == [0, 20, 100], "when the lease ends the standing rule takes over"


def test_a_released_hand_gives_way_at_once() -> None:
    story = Story().humidity(60).hand(Kind.closed_pct, 0.0).after(minutes=1).lets_go(Kind.closed_pct)
    assert story.targets(BLIND) == [100, 0, 100]


def test_a_lease_ended_with_nothing_known_falls_to_the_relinquish_default() -> None:
    story = Story().hand(Kind.valve_pct, 55.0).after(hours=2)
    assert story.targets(VALVE) == [55, 10]


def test_zero_and_a_hundred_by_hand_are_values_like_any_other() -> None:
    story = Story().humidity(40).hand(Kind.level_pct, 0.0).hand(Kind.closed_pct, 100.0)
    assert (story.targets(LAMP), story.targets(BLIND)) == ([0], [0, 100])


def test_asking_again_resends_only_when_the_actuator_strayed() -> None:
    story = Story().hand(Kind.closed_pct, 40.0).confirms(BLIND).hand(Kind.closed_pct, 40.0)
    assert story.targets(BLIND) == [40]
    story.reads(Kind.closed_pct, 70.0, device_id=BLIND).after(seconds=1).hand(Kind.closed_pct, 40.0)
    assert story.targets(BLIND) == [40, 40]


@pytest.mark.parametrize(
    ("kind", "value", "ahead_s", "reason"),
    [
        (Kind.temperature_c, float("nan"), 0, "not_finite"),
        (Kind.temperature_c, float("inf"), 0, "not_finite"),
        (Kind.temperature_c, 85.1, 0, "out_of_range"),
        (Kind.humidity_pct, -0.1, 0, "out_of_range"),
        (Kind.motion, 2.0, 0, "out_of_range"),
        (Kind.unknown, 1.0, 0, "unknown_kind"),
        (Kind.humidity_pct, 40.0, 301, "from_the_future"),
        (Kind.humidity_pct, 40.0, 300, None),
    ],
)
def test_what_cannot_be_believed_is_set_aside_with_its_reason(kind: Kind, value: float, ahead_s: int, reason: str | None) -> None:
    story = Story()
    story.reads(kind, value, at=story.now + timedelta(seconds=ahead_s))
    assert [r.reason for r in story.rejects] == ([reason] if reason else [])
    assert story.room.position.offset == len(story.log) - 1, "the room goes on past it"


def test_an_intent_out_of_range_is_set_aside() -> None:
    assert [r.reason for r in Story().hand(Kind.valve_pct, 100.5).rejects] == ["out_of_range"]


@pytest.mark.parametrize(
    ("reported_pct", "reason"), [(float("nan"), "not_finite"), (-0.1, "out_of_range"), (100.1, "out_of_range")]
)
def test_a_result_that_reports_what_cannot_be_is_set_aside(reported_pct: float, reason: str) -> None:
    story = Story().light(300).motion()
    story.tell(CommandResult(story.commands[-1].command_id, LAMP, ResultStatus.done, story.now, reported_pct))
    story.after(minutes=1).light(300)
    assert [r.reason for r in story.rejects] == [reason]
    assert story.actuator(LAMP).reported_pct is None
    assert story.room.dark is False


def test_a_policy_with_an_unknown_zone_leaves_the_old_one_in_force() -> None:
    story = Story().tell(PolicyChanged(replace(DEFAULT_POLICY, revision=9, time_zone="Mars/Olympus")))
    assert [r.reason for r in story.rejects] == ["bad_policy"]
    assert story.room.policy.time_zone == "Europe/Zurich"


def test_a_tick_that_is_not_the_rooms_own_is_ignored() -> None:
    story = Story().motion().motion(seen=False)
    story.now += timedelta(hours=1)
    before = story.room
    story.tell(Tick(NOON))
    assert story.room.occupancy == before.occupancy


def test_lower_revisions_of_devices_and_policies_are_ignored() -> None:
    story = Story().tell(DeviceChanged(BLIND, 3, device(BLIND, DeviceRole.blind, 3))).tell(DeviceChanged(BLIND, 2))
    assert any(d.device_id == BLIND and d.revision == 3 for d in story.room.devices)


def test_a_departed_device_takes_along_what_only_it_knew() -> None:
    story = Story().motion().humidity(60).light(5).tell(DeviceChanged(SENSOR, 2))
    room = story.room
    assert (room.occupancy.light, room.humid, room.dark, room.sensed) == (OccupancyState.unknown, None, None, ())
    story.tell(DeviceChanged(SENSOR, 1, device(SENSOR, DeviceRole.multisensor)))
    assert all(d.device_id != SENSOR for d in story.room.devices), "an older arrival cannot bring it back"


def test_a_renewed_actuator_starts_with_nothing_desired() -> None:
    story = (
        Story().motion().tell(DeviceChanged(VALVE, 2)).tell(DeviceChanged(VALVE, 3, device(VALVE, DeviceRole.radiator_valve, 3)))
    )
    assert story.targets(VALVE) == [90, 90], "the new device is told what the room wants"


def test_an_out_of_order_reading_counts_in_its_bucket_but_decides_nothing() -> None:
    story = Story().humidity(40).after(minutes=1)
    story.reads(Kind.humidity_pct, 70.0, at=NOON - timedelta(seconds=30))
    assert story.room.humid is False
    assert sum(b.count for b in story.room.buckets) == 2


def test_two_sensors_keep_a_room_occupied_until_both_are_still() -> None:
    story = Story().tell(DeviceChanged(12, 1, device(12, DeviceRole.multisensor)))
    story.motion().reads(Kind.motion, 1.0, device_id=12).motion(seen=False).after(minutes=25)
    assert story.room.occupancy.light is OccupancyState.occupied
    story.reads(Kind.motion, 0.0, device_id=12).after(minutes=20)
    assert story.room.occupancy.light is OccupancyState.vacant


def test_a_failed_command_is_remembered_with_its_reason() -> None:
    blind = Story().hand(Kind.closed_pct, 40.0).confirms(BLIND, ResultStatus.failed).actuator(BLIND)
    assert (blind.pending_command_id, blind.last_status, blind.last_reason) == (None, ResultStatus.failed, "test")


def test_a_command_nobody_answers_does_not_stay_pending_for_ever() -> None:
    blind = Story().hand(Kind.closed_pct, 40.0).after(minutes=4).actuator(BLIND)
    assert (blind.pending_command_id, blind.last_reason) == (None, "the gateway did not answer")


def test_a_recreated_log_is_a_new_log() -> None:
    story = Story().humidity(40)
    reading = LoggedEvent("2", 0, story.now, Reading(SENSOR, Kind.humidity_pct, 60.0, story.now))
    assert fold_batch(story.rooms, {}, "log-1", 0, [reading]).rooms == {}
    assert fold_batch(story.rooms, {}, "log-2", 0, [reading]).rooms["2"].humid is True


def test_averages_over_three_hours_take_closed_and_open_buckets() -> None:
    story = Story()
    values = [20.0 + i / 10 for i in range(240)]
    for value in values:  # one a minute, four hours
        story.reads(Kind.temperature_c, value).after(minutes=1)
    now = story.now - timedelta(minutes=1)
    got = mean([*story.averages["2"].buckets, *story.room.buckets], Kind.temperature_c, now)
    start = now.replace(minute=now.minute - now.minute % 5) - timedelta(hours=3) + timedelta(minutes=5)
    inside = [v for i, v in enumerate(values) if NOON + timedelta(minutes=i) >= start]
    assert got == pytest.approx(sum(inside) / len(inside), abs=1e-9)
    assert len(story.averages["2"].buckets) == 36


def test_a_reading_after_its_bucket_closed_counts_as_late() -> None:
    story = Story().reads(Kind.temperature_c, 20.0).after(minutes=20)
    story.reads(Kind.temperature_c, 90.0 - 60, at=NOON)
    assert (story.room.late, mean([*story.averages["2"].buckets, *story.room.buckets], Kind.temperature_c, story.now)) == (1, 20.0)


def test_a_reading_of_a_device_not_known_yet_is_parked_and_counted_when_it_comes() -> None:
    story = Story().reads(Kind.humidity_pct, 60.0, device_id=77).reads(Kind.temperature_c, 21.0, device_id=78)
    assert (story.rejects, story.room.readings, len(story.room.parked)) == ([], 0, 2)
    story.tell(DeviceChanged(77, 1, device(77, DeviceRole.multisensor)))
    assert (story.room.humid, story.targets(BLIND)) == (True, [100])
    assert [p.reading.device_id for p in story.room.parked] == [78]


def test_a_reading_of_a_device_that_left_is_set_aside_not_parked() -> None:
    story = Story().tell(DeviceChanged(SENSOR, 3)).reads(Kind.humidity_pct, 60.0)
    assert ([r.reason for r in story.rejects], story.room.parked) == (["device_left"], ())
    story.tell(DeviceChanged(SENSOR, 4, device(SENSOR, DeviceRole.multisensor, 4))).reads(Kind.humidity_pct, 60.0)
    assert story.room.humid is True


def test_a_full_car_park_sets_the_next_reading_aside() -> None:
    story = Story()
    for _ in range(PARKED_MOST + 1):
        story.reads(Kind.humidity_pct, 40.0, device_id=77)
    assert ([r.reason for r in story.rejects], len(story.room.parked)) == (["unknown_device"], PARKED_MOST)


def recorded_story() -> Story:
    story = Story()
    story.tell(PolicyChanged(replace(DEFAULT_POLICY, revision=1, clock=Clock.recorded)))
    return story


def test_a_recorded_room_lives_in_the_time_of_its_events() -> None:
    then = datetime(2015, 2, 2, 14, 0, tzinfo=UTC)
    story = recorded_story().reads(Kind.motion, 1.0, at=then).reads(Kind.motion, 0.0, at=then + timedelta(minutes=5))
    story.reads(Kind.temperature_c, 20.0, at=then + timedelta(minutes=24))
    assert story.room.occupancy.light is OccupancyState.occupied
    story.reads(Kind.temperature_c, 20.0, at=then + timedelta(minutes=25))
    assert story.room.occupancy.light is OccupancyState.vacant
    assert story.room.occupancy.light_since_at == then + timedelta(minutes=25)
    assert story.room.now_at == then + timedelta(minutes=25)


def test_a_room_that_becomes_recorded_forgets_the_present() -> None:
    story = Story().humidity(60).motion().tell(PolicyChanged(replace(DEFAULT_POLICY, revision=1, clock=Clock.recorded)))
    assert (story.room.sensed, story.room.humid, story.room.occupancy.light) == ((), None, OccupancyState.unknown)
    assert {d.device_id for d in story.room.devices} == {VALVE, BLIND, LAMP, SENSOR}


def test_a_failure_in_the_same_millisecond_is_not_commanded_again() -> None:
    story = Story().reads(Kind.closed_pct, 70.0, device_id=BLIND).hand(Kind.closed_pct, 40.0).confirms(BLIND, ResultStatus.failed)
    assert story.targets(BLIND) == [40]


def test_a_dead_sensor_stops_deciding_beside_a_living_one() -> None:
    story = Story().tell(DeviceChanged(12, 1, device(12, DeviceRole.multisensor)))
    story.humidity(90).reads(Kind.humidity_pct, 30.0, device_id=12)
    assert story.room.humid is True, "their mean is 60 %"
    story.after(minutes=15).reads(Kind.humidity_pct, 30.0, device_id=12)
    assert (story.room.humid, story.targets(BLIND)) == (False, [100, 0])
