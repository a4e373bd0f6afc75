"""The live rooms role makes of a log exactly what an offline fold makes of it."""

import math
import urllib.request
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from schemas.records import Kind, Reading
from tests.folding import Load, assert_live_equals_offline, codecs_of, read_live, wait_caught_up
from tests.processes import role, wait_until


@pytest.fixture(scope="module")
def codecs(stack):
    return codecs_of(stack)


def test_the_tables_equal_an_offline_fold_of_the_log_byte_for_byte(stack, codecs):
    load = Load(stack, codecs, rooms=60, seed=1)
    load.introduce()
    with role("rooms", stack):
        load.read(20_000)
        load.flush()
        wait_caught_up(stack)
    fold = assert_live_equals_offline(stack)
    assert set(load.room_ids) <= fold.tables["rooms"].keys()
    assert len(fold.commands) > 60


def test_poison_becomes_dead_letters_with_reasons_and_the_partition_goes_on(stack, codecs):
    load = Load(stack, codecs, rooms=1, seed=2)
    load.introduce()
    room_id = load.room_ids[0]
    now = datetime.now(UTC)
    sensor = 10_000
    good = codecs.encode(Reading(sensor, Kind.temperature_c, 21.5, now))
    poison = [
        (b"not avro at all", "undecodable"),
        (b"", "undecodable"),
        (b"\x00\x7f\xff\xff\xff" + good[5:], "unknown_schema"),
        (good[:-3], "undecodable"),
        (good + b"\x00", "undecodable"),
        (codecs.encode(Reading(sensor, Kind.temperature_c, math.nan, now)), "not_finite"),
        (codecs.encode(Reading(sensor, Kind.temperature_c, math.inf, now)), "not_finite"),
        (codecs.encode(Reading(sensor, Kind.temperature_c, 4000.0, now)), "out_of_range"),
        (codecs.encode(Reading(sensor, Kind.temperature_c, 20.0, datetime(2038, 1, 19, tzinfo=UTC))), "from_the_future"),
        (codecs.encode(Reading(sensor, Kind.unknown, 20.0, now)), "unknown_kind"),
    ]
    before = set(read_live(stack).rejects)
    with role("rooms", stack):
        for value, _ in poison:
            load.write(room_id, value)
        load.write(b"\xff\xfe", good)  # a key that names no room: undecodable too
        load.write(room_id, Reading(sensor, Kind.temperature_c, 22.25, now + timedelta(seconds=1)))
        load.flush()
        wait_caught_up(stack)
    fold = assert_live_equals_offline(stack)
    reasons = sorted(reason for place, reason in fold.rejects.items() if place not in before)
    assert reasons == sorted(["undecodable", *(reason for _, reason in poison)])
    room = codecs.decode(fold.tables["rooms"][room_id])
    assert [each.value for each in room.sensed if each.kind == Kind.temperature_c] == [22.25]


def test_the_web_views_show_readable_rows(stack, codecs):
    load = Load(stack, codecs, rooms=1, seed=3)
    load.introduce()
    load.write(load.room_ids[0], Reading(10_000, Kind.motion, 1.0, datetime.now(UTC)))
    load.flush()
    base = f"http://127.0.0.1:{stack.rooms_web_port}/table"

    def get(path):
        with urllib.request.urlopen(f"{base}/{path}", timeout=5) as answer:
            return msgspec.json.decode(answer.read())

    with role("rooms", stack):
        wait_caught_up(stack)
        assert {table["name"] for table in get("")} == {"rooms", "occupancy", "averages", "actuation"}
        row = get(f"occupancy/{load.room_ids[0]}/")
        assert row["occupancy"]["light"] == "occupied"
        assert row["occupancy"]["motion"] is True
        assert get(f"rooms/{load.room_ids[0]}/")["position"]["offset"] > 0


def test_a_second_worker_shares_the_log_and_either_answers_for_any_room(stack, codecs):
    load = Load(stack, codecs, rooms=40, seed=4)
    load.introduce()
    from tests.processes import free_port

    second = msgspec.structs.replace(stack, rooms_web_port=free_port())
    with role("rooms", stack), role("rooms", second, label="rooms-2"):
        load.read(2_000)
        load.flush()
        wait_caught_up(stack)
        for room_id in load.room_ids:
            for port in (stack.rooms_web_port, second.rooms_web_port):
                url = f"http://127.0.0.1:{port}/table/rooms/{room_id}/"

                def answered(url=url):
                    with urllib.request.urlopen(url, timeout=5) as answer:
                        return answer.status == 200

                wait_until(answered, f"{url} answers", 20)
    assert_live_equals_offline(stack)
