"""What the directory writes so that Kafka says what the database says."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from msgspec.structs import replace

from agents.building import Building, Layer, Write, difference, outdated, policy_of
from schemas.codecs import DEFAULT_POLICY
from schemas.policy import BadPolicy
from schemas.records import Beacon, Bus, Device, DeviceChanged, DeviceRole, PolicyChanged, RoomInfo
from streams.topics import BEACONS, DEVICES, POLICIES, ROOM_EVENTS, ROOMS

ROOM = RoomInfo(room_id="1", revision=2, number=1, floor=4, name="Room 1")
BEACON = Beacon(uuid="b9407f30-f5f8-466e-aff9-25556b57fe6d", major=1, minor=2, room_id="1", revision=4)
BLIND = Device(
    device_id=5, revision=6, name="blind", room_id="1", role=DeviceRole.blind, bus=Bus.knx, line_id="knx-4", knx_floor=4, knx_bloc=1
)
POLICY = replace(DEFAULT_POLICY, revision=8)
WHOLE = Building(
    rooms={"1": ROOM}, beacons={"b9407f30-f5f8-466e-aff9-25556b57fe6d/1/2": BEACON}, devices={"5": BLIND}, policies={"1": POLICY}
)


def with_device(**changes: Any) -> Building:
    return replace(WHOLE, devices={"5": replace(BLIND, **changes)})


def applied(topics: Building, writes: list[Write]) -> Building:
    """The compacted topics after the writes."""
    tables: dict[str, dict[str, Any]] = {
        ROOMS.name: dict(topics.rooms), BEACONS.name: dict(topics.beacons),
        DEVICES.name: dict(topics.devices), POLICIES.name: dict(topics.policies),
    }  # fmt: skip
    for write in writes:
        if write.topic is ROOM_EVENTS:
            continue
        if write.record is None:
            del tables[write.topic.name][write.key]
        else:
            tables[write.topic.name][write.key] = write.record
    return Building(*tables.values())


def test_empty_topics_get_everything_and_the_rooms_hear_first() -> None:
    writes = difference(WHOLE, Building())
    assert writes == [
        Write(ROOM_EVENTS, "1", DeviceChanged(5, 6, BLIND)),
        Write(ROOM_EVENTS, "1", PolicyChanged(POLICY)),
        Write(ROOMS, "1", ROOM),
        Write(BEACONS, "b9407f30-f5f8-466e-aff9-25556b57fe6d/1/2", BEACON),
        Write(DEVICES, "5", BLIND),
        Write(POLICIES, "1", POLICY),
    ]


@pytest.mark.parametrize(
    "database",
    [WHOLE, Building(), with_device(revision=10, name="other"), with_device(revision=10, room_id="2"), replace(WHOLE, policies={})],
)
def test_what_was_written_leaves_nothing_to_write(database: Building) -> None:
    assert difference(database, applied(WHOLE, difference(database, WHOLE))) == []


def test_a_moved_device_leaves_its_old_room_before_it_enters_the_new() -> None:
    moved = with_device(revision=10, room_id="2")
    assert difference(moved, WHOLE) == [
        Write(ROOM_EVENTS, "1", DeviceChanged(5, 9)),
        Write(ROOM_EVENTS, "2", DeviceChanged(5, 10, moved.devices["5"])),
        Write(DEVICES, "5", moved.devices["5"]),
    ]


def test_a_renamed_device_stays_in_its_room() -> None:
    renamed = with_device(revision=10, name="south blind")
    assert difference(renamed, WHOLE) == [
        Write(ROOM_EVENTS, "1", DeviceChanged(5, 10, renamed.devices["5"])),
        Write(DEVICES, "5", renamed.devices["5"]),
    ]


def test_a_device_built_anew_leaves_and_enters_its_own_room() -> None:
    anew = with_device(revision=10)
    assert difference(anew, WHOLE, anew={"5"})[:2] == [
        Write(ROOM_EVENTS, "1", DeviceChanged(5, 9)),
        Write(ROOM_EVENTS, "1", DeviceChanged(5, 10, anew.devices["5"])),
    ]


def test_what_is_gone_from_the_database_gets_a_tombstone_and_its_room_is_told() -> None:
    assert difference(Building(), WHOLE) == [
        Write(ROOM_EVENTS, "1", DeviceChanged(5, 7)),
        Write(ROOM_EVENTS, "1", PolicyChanged(replace(DEFAULT_POLICY, revision=9))),
        Write(ROOMS, "1", None),
        Write(BEACONS, "b9407f30-f5f8-466e-aff9-25556b57fe6d/1/2", None),
        Write(DEVICES, "5", None),
        Write(POLICIES, "1", None),
    ]


def test_an_unusable_policy_leaves_the_last_good_one() -> None:
    assert difference(replace(WHOLE, policies={"1": None}), WHOLE) == []


def test_lower_revisions_write_nothing() -> None:
    assert difference(with_device(revision=4, name="older"), WHOLE) == []


def test_rows_that_differ_without_being_newer_are_to_be_renewed() -> None:
    assert outdated(with_device(revision=4), WHOLE) == {(DEVICES.name, "5")}
    assert outdated(with_device(name="other"), WHOLE) == {(DEVICES.name, "5")}
    assert outdated(with_device(revision=8, name="other"), WHOLE) == set()
    assert outdated(WHOLE, WHOLE) == set()


def test_a_policy_document_changes_only_its_own_fields() -> None:
    policy = policy_of("1", [Layer(12, {"humid_above_pct": 60, "day_starts": "06:30:00"})])
    assert policy == replace(DEFAULT_POLICY, revision=12, humid_above_pct=60.0, day_starts=time(6, 30))


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"humid_abov_pct": 60}, "no field is called humid_abov_pct"),
        ({"revision": 3}, "no field is called revision"),
        ({"humid_above_pct": "60"}, "humid_above_pct"),
        ({"humid_above_pct": 101}, "humid_above_pct: 101"),
        ({"valve_occupied_pct": -1}, "valve_occupied_pct: -1"),
        ({"light_dwell_s": 1e12}, "light_dwell_s"),
        ({"manual_lease_s": 2**31}, "manual_lease_s: 2147483648"),
        ({"time_zone": "Mars/Olympus"}, "Mars"),
        ({"time_zone": "../etc/passwd"}, "room 1"),
        ({"day_starts": "07:00:00Z"}, "local time"),
        ({"day_starts": "7"}, "day_starts"),
        ({"dark_needs_occupancy": 1}, "dark_needs_occupancy"),
        ({"humid_above_pct": 40}, "humid_clear_below_pct: 45.0 must not be above humid_above_pct"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_by_name(document: dict[str, Any], says: str) -> None:
    with pytest.raises(BadPolicy, match=says):
        policy_of("1", [Layer(12, document)])
