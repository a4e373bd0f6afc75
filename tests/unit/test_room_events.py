"""What the rooms role makes of records before and around the fold."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from agents import room_events
from agents.room_events import Source, alarm_of, dead_letters, fold_all, read_events, undeliverable
from agents.rules.fold import Reject, fold_batch
from schemas.codecs import DEFAULT_POLICY, PUBLIC, Codecs
from schemas.records import Bus, Clock, Device, DeviceChanged, DeviceRole, Kind, PolicyChanged, Reading, RoomInfo
from streams.keys import partition_of

CODECS = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=1)})
ROOM = "2"
PARTITION = partition_of(ROOM, 16)
SOURCE = Source("a-log", PARTITION)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def record(offset, value, key=b"2"):
    data = value if isinstance(value, bytes | None) else CODECS.encode(value)
    return SimpleNamespace(key=key, value=data, offset=offset, timestamp=int(NOON.timestamp() * 1000) + offset)


def entering(device_id, bus=Bus.zwave, role=DeviceRole.multisensor):
    return DeviceChanged(device_id, 1, Device(device_id, 1, "d", ROOM, role, bus, "line"))


def reading(kind=Kind.temperature_c, value=21.0):
    return Reading(9, kind, value, NOON)


async def never(data):
    raise AssertionError(f"no schema is unknown here: {data!r}")


async def test_unusable_records_are_set_aside_with_reasons_and_the_rest_keep_order_and_stamps():
    records = [
        record(5, reading()),
        record(6, b"junk"),
        record(7, reading(), key=b"\xff"),
        record(8, reading(), key=None),
        record(9, reading(), key=b"1"),
        record(10, RoomInfo("2", 1, 2, 4, "Room 2")),
        record(11, None),
        record(12, reading(value=22.0)),
    ]
    events, rejects = await read_events(records, PARTITION, CODECS.decode, never)
    assert [(each.offset, each.event.value) for each in events] == [(5, 21.0), (12, 22.0)]
    assert events[1].logged_at == datetime(2026, 3, 2, 12, 0, 0, 12_000, tzinfo=UTC)
    assert [(each.offset, each.reason) for each in rejects] == [
        (6, "undecodable"), (7, "undecodable"), (8, "undecodable"), (9, "misplaced"), (10, "undecodable"), (11, "undecodable"),
    ]  # fmt: skip
    letters = dead_letters(records, SOURCE, rejects)
    assert [(key, letter.value, letter.position.offset) for key, letter in letters][:2] == [
        (b"2", b"junk", 6),
        (b"\xff", records[2].value, 7),
    ]
    assert all(CODECS.decode(CODECS.encode(letter)) == letter for _, letter in letters)


async def test_a_schema_met_for_the_first_time_is_learnt():
    asked = []

    async def learn(data):
        asked.append(data)
        return reading()

    events, rejects = await read_events([record(1, b"\x00\x00\x00\xff\xffbody")], PARTITION, CODECS.decode, learn)
    assert len(asked) == len(events) == 1
    assert rejects == []


async def test_an_event_that_breaks_the_fold_is_left_out_alone(monkeypatch):
    events, _ = await read_events(
        [record(1, entering(9)), record(2, reading()), record(3, reading(value=13.0)), record(4, reading(value=22.0))],
        PARTITION, CODECS.decode, never,
    )  # fmt: skip
    whole = fold_batch({}, {}, SOURCE.log_id, PARTITION, [event for event in events if event.offset != 3])

    def superstitious(rooms, averages, log_id, partition, batch):
        batch = list(batch)
        if any(getattr(each.event, "value", 0) == 13.0 for each in batch):
            raise ZeroDivisionError
        return fold_batch(rooms, averages, log_id, partition, batch)

    monkeypatch.setattr(room_events, "fold_batch", superstitious)
    outcome, broken = fold_all({}, {}, SOURCE, events)
    assert outcome.rooms == whole.rooms
    assert outcome.occupancy == whole.occupancy
    assert [(offset, type(error)) for offset, error in broken] == [(3, ZeroDivisionError)]
    assert outcome.rejects == [Reject(3, "fold_failed", "ZeroDivisionError()")]


async def test_a_command_for_a_bus_without_a_topic_is_set_aside_not_lost():
    valve = entering(1, Bus.unknown, DeviceRole.radiator_valve)
    records = [record(1, entering(9)), record(2, valve), record(3, reading(Kind.motion, 1.0))]
    events, _ = await read_events(records, PARTITION, CODECS.decode, never)
    outcome = fold_batch({}, {}, SOURCE.log_id, PARTITION, events)
    assert outcome.commands, "the valve is told to heat"
    assert {each.reason for each in undeliverable(outcome)} == {"unknown_bus"}


@pytest.mark.parametrize("offset", [0, 10_000_000])
def test_letters_carry_the_brokers_stamp(offset):
    ((_, letter),) = dead_letters([record(offset, b"x")], SOURCE, [Reject(offset, "undecodable", "why")])
    assert int(letter.at.timestamp() * 1000) == int(NOON.timestamp() * 1000) + offset


@pytest.mark.parametrize(("clock", "rings"), [(Clock.live, True), (Clock.recorded, False)])
def test_a_recorded_room_sets_no_alarm_for_its_feeder_sends_the_ticks(clock, rings):
    policy = PolicyChanged(replace(DEFAULT_POLICY, revision=1, clock=clock))
    events, _ = asyncio.run(
        read_events([record(0, entering(9)), record(1, policy), record(2, reading())], PARTITION, CODECS.decode, never)
    )
    room = fold_batch({}, {}, "a-log", PARTITION, events).rooms[ROOM]
    assert room.wake_at is not None
    assert (alarm_of(room) is not None) is rings


def test_the_rows_of_a_room_without_actuators_are_the_same_however_its_log_is_cut_into_batches():
    policy = PolicyChanged(replace(DEFAULT_POLICY, revision=1, clock=Clock.recorded))
    events, _ = asyncio.run(read_events([record(0, entering(9)), record(1, policy)], PARTITION, CODECS.decode, never))
    whole = fold_batch({}, {}, "a-log", PARTITION, events)
    first = fold_batch({}, {}, "a-log", PARTITION, events[:1])
    second = fold_batch(first.rooms, {}, "a-log", PARTITION, events[1:])
    assert (first.actuation | second.actuation, first.occupancy | second.occupancy) == (whole.actuation, whole.occupancy)
