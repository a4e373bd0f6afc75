"""What the live run stored, folded again, is what the live run made of it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from click.testing import CliRunner
from msgspec.structs import replace

from agents.replay.live import check, live_rows
from agents.replay.replay import replay
from agents.replay.stored import Span
from infra.services import environment
from schemas.codecs import body_of
from streams.cli import main
from streams.database import connection
from tests.folding import codecs_of, read_live


def atrium(settings, *arguments: str):
    return CliRunner().invoke(main, [*arguments], env=environment(settings), catch_exceptions=False)


def test_a_replay_gives_every_row_byte_for_byte_and_every_command_id(lived):
    again, live = replay(lived.database, Span()), read_live(lived)
    codecs = codecs_of(lived)
    for table in ("rooms", "occupancy", "averages", "actuation"):
        assert {key: codecs.encode(row) for key, row in getattr(again, table).items()} == live.tables[table], table
    ids = [each.command.command_id for each in again.commands]
    assert len(ids) > 50 and len(ids) == len(set(ids))
    assert set(ids) == live.commands.keys()
    assert {each.command.command_id: codecs.encode(each.command) for each in again.commands} == live.commands
    assert {(source.partition, reject.offset): reject.reason for source, reject in again.rejects} == live.rejects


def test_two_replays_have_one_digest_and_a_changed_row_another(lived):
    first, second = replay(lived.database, Span()), replay(lived.database, Span())
    assert first.digest() == second.digest()
    room_id, room = next(iter(second.rooms.items()))
    second.rooms[room_id] = replace(room, late=room.late + 1)
    assert first.digest() != second.digest()


def test_the_check_names_the_first_field_that_differs(lived):
    again, rows = replay(lived.database, Span()), live_rows(lived)
    assert check(rows, again.rooms).equal == len(rows)
    changed = {**again.rooms, "2": replace(again.rooms["2"], readings=again.rooms["2"].readings + 1)}
    found = check(rows, changed)
    assert found.differing["2"].startswith("readings: ") and found.equal == len(rows) - 1


def test_the_command_checks_against_kafka_and_writes_json_lines(lived, tmp_path):
    output = tmp_path / "rows.jsonl"
    ran = atrium(lived, "replay", "--check", "kafka", "--output", str(output))
    assert ran.exit_code == 0, ran.output
    assert "equal to the live tables, byte for byte" in ran.output
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert {line["key"] for line in lines if line.get("table") == "rooms"} == set(live_rows(lived))


def test_the_rooms_of_a_snapshot_are_met_on_the_way(lived):
    ran = atrium(lived, "replay", "--check", "snapshot")
    assert ran.exit_code == 0, ran.output
    assert "equal to the snapshot of" in ran.output


def test_from_a_snapshot_on_the_same_rows_come_out_and_only_the_spans_commands(lived):
    whole = replay(lived.database, Span())
    middle = asyncio.run(middle_of(lived))
    part = replay(lived.database, Span(since=middle))
    assert {key: body_of(row) for key, row in part.rooms.items()} == {key: body_of(row) for key, row in whole.rooms.items()}
    later = [each.command.command_id for each in whole.commands if each.command.issued_at >= middle]
    assert [each.command.command_id for each in part.commands] == later
    assert 0 < part.events < whole.events


def test_one_room_alone_is_the_same_room(lived):
    assert body_of(replay(lived.database, Span(room_ids=("2",))).rooms["2"]) == body_of(replay(lived.database, Span()).rooms["2"])


def test_asking_for_nothing_that_is_there_is_said(lived):
    ran = atrium(lived, "replay", "--room", "no such room")
    assert ran.exit_code == 1 and "no such room" in ran.output and "Traceback" not in ran.output


async def middle_of(settings) -> datetime:
    """The moment of the middle event, after the snapshot that the role took at its start."""
    async with connection(settings.database) as db:
        at = await db.fetchval("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY logged_at) FROM history.room_events")
    return at.astimezone(UTC)
