"""A room as of a past time is the fold of its log up to there."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from datetime import timedelta

import pytest

from agents.replay.as_of import room_as_of
from agents.replay.stored import NoHistory, Span, find_opening
from streams.compacted import read_to_end
from streams.topics import ROOM_EVENTS
from tests.folding import codecs_of, fold_offline
from tests.integration.replay.test_replay import atrium, middle_of


def test_every_room_half_way_is_the_fold_of_the_log_up_to_there(lived):
    at = asyncio.run(middle_of(lived))
    ends: dict[int, int] = defaultdict(int)
    for message in read_to_end(lived, ROOM_EVENTS):
        if message.timestamp()[1] <= at.timestamp() * 1000:
            ends[message.partition()] = max(ends[message.partition()], message.offset() + 1)
    expected, codecs = fold_offline(lived, ends).tables["rooms"], codecs_of(lived)
    assert len(expected) > 20
    assert {room_id: codecs.encode(room_as_of(lived.database, room_id, at)) for room_id in expected} == expected


def test_a_snapshot_shortens_the_way(lived):
    at = asyncio.run(middle_of(lived))
    opening = asyncio.run(find_opening(lived.database, Span(since=at, until=at, room_ids=("2",))))
    assert opening.rooms.keys() == {"2"}
    assert [run.after for run in opening.runs] == [opening.rooms["2"].position.offset]


def test_before_the_building_there_was_no_room(lived):
    with pytest.raises(NoHistory, match="room 2"):
        room_as_of(lived.database, "2", asyncio.run(middle_of(lived)) - timedelta(days=400))


def test_the_command_shows_a_room_as_it_was(lived):
    at = asyncio.run(middle_of(lived))
    ran = atrium(lived, "rooms", "show", "2", "--at", at.isoformat(), "--json")
    assert ran.exit_code == 0, ran.output
    shown = json.loads(ran.output)
    room = room_as_of(lived.database, "2", at)
    assert shown["readings"] == room.readings and shown["position"]["offset"] == room.position.offset
    assert "occupancy" in atrium(lived, "rooms", "show", "2", "--at", at.isoformat()).output
