"""Rows a zombie lowered and rows beyond a log that lost its end: found at recovery, mended, reported."""

from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer
from msgspec.structs import replace

from schemas.records import Kind, Position, Reading
from streams.compacted import last_values, read_to_end
from streams.keys import partition_of
from streams.topics import TABLE_ROOMS
from tests.folding import Load, assert_live_equals_offline, codecs_of, log_ends, read_live, wait_caught_up
from tests.processes import role


@pytest.fixture(scope="module")
def codecs(stack):
    return codecs_of(stack)


@pytest.fixture
def load(stack, codecs, request):
    load = Load(stack, codecs, rooms=3, seed=1, prefix=request.node.name[:24])
    load.introduce()
    with role("rooms", stack):
        wait_caught_up(stack)  # the introduction is a batch of its own: each room has two rows
        load.read(300)
        load.flush()
        wait_caught_up(stack)
    return load


def append_row(settings, room_id, value):
    producer = Producer(settings.librdkafka)
    producer.produce(TABLE_ROOMS.name, value, room_id.encode(), partition=partition_of(room_id, TABLE_ROOMS.partitions))
    assert producer.flush(20) == 0


def rows_written(settings, room_id):
    """Every row of a room in the changelog, in the order written."""
    return [message.value() for message in read_to_end(settings, TABLE_ROOMS) if message.key() == room_id.encode()]


def test_an_older_row_written_last_does_not_win_and_is_written_over(stack, load):
    room_id = load.room_ids[0]
    written = rows_written(stack, room_id)
    assert written[0] != written[-1]
    append_row(stack, room_id, written[0])
    with role("rooms", stack):
        pass
    assert last_values(stack, TABLE_ROOMS)[room_id.encode()] == written[-1]
    assert_live_equals_offline(stack)


def test_a_row_beyond_the_logs_end_is_reported_and_its_room_hears_again(stack, load, codecs):
    room_id = load.room_ids[0]
    room = codecs.decode(read_live(stack).tables["rooms"][room_id])
    beyond = Position(room.position.log_id, room.position.partition, room.position.offset + 1_000_000)
    append_row(stack, room_id, codecs.encode(replace(room, position=beyond)))
    with role("rooms", stack) as worker:
        end = log_ends(stack)[beyond.partition]
        load.write(room_id, Reading(10_000, Kind.temperature_c, 23.75, datetime.now(UTC) + timedelta(seconds=1)))
        load.flush()
        wait_caught_up(stack)
        assert f"room {room_id} stands beyond the log's end" in worker.tail(50_000)
    fold = assert_live_equals_offline(stack)
    heard = codecs.decode(fold.tables["rooms"][room_id])
    assert heard.position.offset >= end
    assert 23.75 in [each.value for each in heard.sensed]


def test_a_row_nobody_can_read_does_not_stop_a_recovery(stack, load):
    append_row(stack, load.room_ids[0] + "-broken", b"not a row")
    append_row(stack, load.room_ids[0] + "-broken", None)
    with role("rooms", stack):
        load.read(50)
        load.flush()
        wait_caught_up(stack)
    assert_live_equals_offline(stack)
