"""Stored bytes to events, pages to one outcome, and where two rows differ."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from agents.replay.copied import StoredEvent, stored_events
from agents.replay.differing import first_difference
from agents.replay.refold import Refold
from agents.room_events import Source
from schemas.codecs import PUBLIC, Codecs, body_of
from schemas.errors import Undecodable
from schemas.records import Kind, Position
from streams.keys import partition_of
from tests.stories import LOG, NOON, Story

CODECS = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=1)})
HOME = Source(LOG, partition_of("2", 16))
TWO_ROWS = (
    b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
    + struct.pack(">hiqiqi", 4, 8, 7, 8, 1_000_000, 1) + b"2" + struct.pack(">i", 3) + b"\x00ab"
    + struct.pack(">hiqiqi", 4, 8, 8, 8, 1_500_000, 2) + "é".encode() + struct.pack(">i", -1)
    + struct.pack(">h", -1)
)  # fmt: skip


def test_rows_of_a_copy_are_read_with_their_nulls() -> None:
    second = datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC)
    half = timedelta(milliseconds=500)
    assert stored_events(TWO_ROWS) == [StoredEvent(7, second, "2", b"\x00ab"), StoredEvent(8, second + half, "é", None)]


@pytest.mark.parametrize("length", [5, 25, 60, len(TWO_ROWS) - 2])
def test_a_copy_that_breaks_off_is_no_shorter_history(length: int) -> None:
    with pytest.raises(Undecodable):
        stored_events(TWO_ROWS[:length])


def busy() -> Story:
    story = Story().motion().humidity(60).confirms(5).hand(Kind.level_pct, 30.0).after(minutes=30).light(5)
    return story.reads(Kind.temperature_c, 21.0).after(hours=3).reads(Kind.temperature_c, 500.0).motion()


def stored(story: Story) -> list[StoredEvent]:
    return [StoredEvent(e.offset, e.logged_at, e.room_id, CODECS.encode(e.event)) for e in story.log]


def refolded(events: list[StoredEvent], page: int = 1000, **options):
    refold = Refold(CODECS, options.pop("rooms", {}), [LOG], **options)
    for start in range(0, len(events), page):
        refold.add(HOME, events[start : start + page])
    return refold.result


def test_in_pages_or_at_once_it_is_one_fold() -> None:
    story = busy()
    whole, pages = refolded(stored(story)), refolded(stored(story), page=3)
    assert whole.digest() == pages.digest()
    assert whole.averages == pages.averages and whole.actuation == pages.actuation and whole.occupancy == pages.occupancy
    assert [c.command.target_pct for c in whole.commands] == [c.target_pct for c in story.commands]
    assert whole.events == len(story.log) and [reject.reason for _, reject in whole.rejects] == ["out_of_range"]


def test_what_is_no_event_is_set_aside_as_live() -> None:
    events = stored(busy())
    last = events[-1]
    strange = [
        replace(last, offset=900, record=b"not a record"),
        replace(last, offset=901, record=None),
        replace(last, offset=902, record=b"\x00\x00\x00\x7f\x00rest"),
        replace(last, offset=903, record=CODECS.encode(Position(LOG, 0, 1)) if Position in PUBLIC else CODECS.encode(busy().room)),
        replace(last, offset=904, room_id="room-elsewhere"),
    ]
    found = refolded([*events, *strange])
    reasons = [reject.reason for _, reject in found.rejects if reject.offset >= 900]
    assert reasons == ["undecodable", "undecodable", "unknown_schema", "undecodable", "misplaced"]
    assert found.rooms == refolded(events).rooms


def test_a_room_is_folded_up_to_the_position_asked_for() -> None:
    story = busy()
    for end in range(4, len(story.log)):
        part = refolded(stored(story), until={"2": replace(story.room.position, partition=HOME.partition, offset=end)})
        assert part.rooms == refolded(stored(story)[: end + 1]).rooms


def test_from_a_row_on_only_what_is_after_it_is_folded() -> None:
    story = busy()
    events = stored(story)
    half = refolded(events[:6])
    since = NOON + timedelta(hours=1)
    later = refolded(events, rooms=half.rooms, since=since)
    whole = refolded(events)
    assert later.rooms == whole.rooms
    assert later.commands == [each for each in whole.commands if each.command.issued_at >= since]
    assert later.events == sum(event.logged_at >= since for event in events)


def test_rows_of_an_older_log_are_not_folded_into_a_row_of_a_newer_one() -> None:
    events = stored(busy())
    new = {"2": replace(refolded(events).rooms["2"], position=Position("newer", HOME.partition, 3))}
    refold = Refold(CODECS, new, [LOG, "newer"])
    refold.add(HOME, events)
    assert refold.result.rooms == new


def test_the_first_field_that_differs_is_named_with_both_values() -> None:
    room = busy().room
    sensed = (replace(room.sensed[0], value=0.25), *room.sensed[1:])
    assert first_difference(room, room) is None
    assert first_difference(room, replace(room, sensed=sensed)) == "sensed[0].value: 1.0 against 0.25"
    assert first_difference(room, replace(room, devices=room.devices[:2])) == "devices: 4 entries against 2 entries"


def test_the_digest_knows_no_registry() -> None:
    other = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=400)})
    story = busy()
    again = Refold(other, {})
    again.add(HOME, [StoredEvent(e.offset, e.logged_at, e.room_id, other.encode(e.event)) for e in story.log])
    assert again.result.digest() == refolded(stored(story)).digest()
    assert body_of(story.room) == CODECS.encode(story.room)[5:]
