"""Which of two rows of a key counts, and how a row's position is read without decoding it."""

import random
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from agents.rules.room import blank
from schemas.codecs import PUBLIC, Codecs
from schemas.records import Position
from schemas.rows import ActuationRow, AveragesRow, OccupancyRow, Room
from streams.positions import is_beyond, peek_position, position_of, rebased, supersedes
from streams.topics import TABLES

CODECS = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=1)})
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def at(offset, log_id="a-log", partition=3):
    return Position(log_id, partition, offset)


def rows_at(position):
    room = replace(blank(position, NOW), position=position, actuation_position=position)
    occupancy = replace(room.occupancy, position=position)
    return [replace(room, occupancy=occupancy), OccupancyRow(occupancy), AveragesRow(position, ()), ActuationRow(position, ())]


def test_every_row_of_every_table_begins_with_its_position():
    assert {row.__class__ for row in rows_at(at(0))} == {topic.records[0] for topic in TABLES}
    rng = random.Random(1)
    for _ in range(200):
        position = at(rng.randrange(2 ** rng.randrange(1, 62)), "x" * rng.randrange(0, 200), rng.randrange(0, 70_000))
        for row in rows_at(position):
            assert peek_position(CODECS.encode(row)) == position == position_of(row)


@pytest.mark.parametrize(
    ("new", "old", "wins"),
    [
        (at(8), at(7), True),
        (at(7), at(7), True),
        (at(6), at(7), False),
        (at(6, "another log"), at(7), True),
        (at(6, partition=4), at(7), True),
    ],
)
def test_the_higher_position_of_one_log_wins_else_the_later_written(new, old, wins):
    assert supersedes(new, old) is wins


def test_a_row_beyond_the_logs_end_is_moved_to_its_last_event():
    for row in rows_at(at(100)):
        assert is_beyond(row, "a-log", 100)
        assert not is_beyond(row, "a-log", 101)
        assert not is_beyond(row, "another log", 5)
        moved = rebased(row, "a-log", 40)
        assert position_of(moved) == at(39)
        assert rebased(moved, "a-log", 40) == moved
    room = rebased(rows_at(at(100))[0], "a-log", 40)
    assert isinstance(room, Room)
    assert room.actuation_position == room.occupancy.position == at(39)
