"""The replica: the highest position wins, and how far it is behind the rooms' log."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from msgspec import Struct
from msgspec.structs import replace

from api.replica import Change, LogState, Replica, beacon_key
from infra.building_plan import BEACONS, DEVICES, ROOMS
from schemas.records import Kind, Position, Reading
from schemas.rows import Room
from streams import topics
from streams.positions import position_of
from tests.unit.api.building import LOG, NOON, UUID, Building


def shown(replica: Replica, *rows: Room | None) -> Room | None:
    replica.apply(Change(topics.TABLE_ROOMS.name, "2", row) for row in rows)
    return replica.rooms.get("2")


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_the_row_of_the_highest_position_stays(building: Building, seed: int) -> None:
    rows = building.warm(6)
    newest = rows[-1]
    random.Random(seed).shuffle(rows)
    assert shown(Replica(), *rows) == newest


@pytest.mark.parametrize("table", [topics.TABLE_OCCUPANCY, topics.TABLE_ACTUATION, topics.TABLE_ROOMS])
def test_every_table_keeps_its_newer_row(building: Building, table: topics.Topic) -> None:
    _, outcome = building.fold("2", Reading(12, Kind.motion, 1.0, building.now))
    rows = {topics.TABLE_OCCUPANCY: outcome.occupancy, topics.TABLE_ACTUATION: outcome.actuation, topics.TABLE_ROOMS: outcome.rooms}
    row = rows[table]["2"]
    position = position_of(row)
    lower = Position(position.log_id, position.partition, position.offset - 1)
    if table is topics.TABLE_OCCUPANCY:
        stale = replace(row, occupancy=replace(row.occupancy, position=lower))
    else:
        stale = replace(row, position=lower)
    replica = Replica()
    assert replica.apply([Change(table.name, "2", row)]) == {"2"}
    assert replica.apply([Change(table.name, "2", stale)]) == frozenset()


def test_a_row_of_a_new_log_replaces_a_higher_one_of_the_old(building: Building) -> None:
    row = building.warm(6)[-1]
    reborn = replace(row, position=Position("log-2", row.position.partition, 0))
    assert shown(Replica(), row, reborn) == reborn


def test_a_tombstone_removes_the_row(building: Building) -> None:
    row = building.warm(6)[0]
    assert shown(Replica(), row, None) is None
    assert shown(Replica(), None) is None


def test_a_row_beyond_the_logs_end_is_reported_and_gives_way(building: Building) -> None:
    older, *_, newer = building.warm(6)
    replica = Replica()
    replica.partitions_left = 0
    shown(replica, newer)
    end = newer.position.offset
    replica.measure(LogState({}, {newer.position.partition: end}, {}, LOG), NOON)
    assert replica.reasons() == ["the rooms' log lost records: rooms 2 stand beyond its end"]
    assert shown(replica, older) == older
    replica.measure(LogState({}, {newer.position.partition: end}, {}, LOG), NOON)
    assert replica.reasons() == []


def test_directory_records_keep_the_higher_revision() -> None:
    replica, room, device = Replica(), ROOMS[0], DEVICES[0]
    newer = replace(room, revision=5, name="Library")
    replica.apply([Change(topics.ROOMS.name, "1", newer), Change(topics.ROOMS.name, "1", room)])
    assert replica.infos["1"] == newer
    assert replica.apply([Change(topics.DEVICES.name, "1", device)]) == {"1"}
    moved = replace(device, revision=9, room_id="2")
    assert replica.apply([Change(topics.DEVICES.name, "1", moved)]) == {"1", "2"}
    assert replica.apply([Change(topics.DEVICES.name, "1", None)]) == {"2"}
    assert replica.devices == {}


def test_a_beacon_is_found_whatever_its_case() -> None:
    replica, beacon = Replica(), BEACONS[0]
    replica.apply([Change(topics.BEACONS.name, f"{UUID.upper()}/{beacon.major}/{beacon.minor}", beacon)])
    assert replica.beacons[beacon_key(UUID, beacon.major, beacon.minor)] == beacon


def test_watchers_hear_of_the_rooms_that_changed_and_of_nothing_else(building: Building) -> None:
    heard: list[frozenset[str]] = []
    row = building.warm(6)[0]
    replica = Replica()
    replica.watchers.append(heard.append)
    shown(replica, row)
    shown(replica, replace(row, position=replace(row.position, offset=row.position.offset - 1)))
    assert heard == [{"2"}]


def test_lag_is_what_the_log_has_and_neither_the_rows_nor_the_group_have(building: Building) -> None:
    row = building.warm(6)[-1]
    replica, partition, end = Replica(), row.position.partition, row.position.offset + 1
    other = (partition + 1) % topics.ROOM_PARTITIONS
    shown(replica, row)
    for ends, begins, committed, lag in (
        ({partition: end}, {}, {}, 0),
        ({partition: end + 7}, {}, {}, 7),
        ({partition: end + 7}, {}, {partition: end + 5}, 2),
        ({partition: end, other: 10}, {}, {}, 10),
        ({partition: end, other: 10}, {other: 8}, {}, 2),
        ({partition: end, other: 10}, {other: 8}, {other: 10}, 0),
    ):
        replica.measure(LogState(begins, ends, committed, LOG), NOON)
        assert replica.lag == lag


def test_a_row_of_another_log_does_not_count_as_applied(building: Building) -> None:
    row = building.warm(6)[-1]
    replica = Replica()
    shown(replica, row)
    replica.measure(LogState({}, {row.position.partition: 4}, {}, "log-2"), NOON)
    assert replica.lag == 4


def test_a_fold_that_stands_still_while_events_wait_is_told(building: Building) -> None:
    row = building.warm(6)[-1]
    replica, partition, end = Replica(), row.position.partition, row.position.offset + 1
    replica.partitions_left = 0
    shown(replica, row)
    for second in range(0, 12, 2):
        replica.measure(LogState({}, {partition: end + second + 1}, {}, LOG), NOON + timedelta(seconds=second))
    assert replica.reasons() == ["the rooms role folds nothing for 10 s while 11 events wait"]
    replica.measure(LogState({}, {partition: end + 12}, {partition: end + 3}, LOG), NOON + timedelta(seconds=14))
    assert replica.reasons() == []


def test_reached_needs_the_same_log_and_the_offset(building: Building) -> None:
    row = building.warm(6)[-1]
    at = row.position
    replica = Replica()
    assert not replica.reached("2", at)
    shown(replica, row)
    assert replica.reached("2", at)
    assert replica.reached("2", replace(at, offset=at.offset - 1))
    assert not replica.reached("2", replace(at, offset=at.offset + 1))
    assert not replica.reached("2", replace(at, log_id="log-2"))


@pytest.mark.parametrize(
    ("topic", "key", "record"),
    [
        (topics.DEVICES, "lamp", DEVICES[0]),
        (topics.DEVICES, "", None),
        (topics.BEACONS, UUID, BEACONS[0]),
        (topics.BEACONS, f"{UUID}/1/x", None),
        (topics.BEACONS, "", BEACONS[0]),
        (topics.DEVICES, "1", ROOMS[0]),
        (topics.ROOMS, "1", DEVICES[0]),
        (topics.POLICIES, "1", ROOMS[0]),
        (topics.TABLE_ROOMS, "1", ROOMS[0]),
        (topics.TABLE_AVERAGES, "1", BEACONS[0]),
    ],
)
def test_a_record_that_fits_neither_its_topic_nor_its_key_is_told_and_passed_over(
    topic: topics.Topic, key: str, record: Struct | None, caplog: pytest.LogCaptureFixture
) -> None:
    replica, good = Replica(), Change(topics.ROOMS.name, "2", ROOMS[0])
    assert replica.apply([Change(topic.name, key, record), good]) == {"2"}
    assert replica.infos == {"2": ROOMS[0]}
    assert not (replica.devices or replica.beacons or replica.policies or replica.rooms or replica.averages)
    assert topic.name in caplog.text
