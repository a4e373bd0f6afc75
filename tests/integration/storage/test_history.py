"""The role `history` on real Kafka and PostgreSQL: everything once, whatever stops in mid-stream."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from agents.history import Historian
from agents.history_rows import COMMANDS, ROOM_EVENTS, Raw, command_row, room_event_row
from agents.history_store import insert, make_day
from infra.database import migrate
from schemas.codecs import Codecs
from schemas.commands import Command, Proposal
from schemas.records import CommandResult, Kind, Position, Reading, ResultStatus, Slot
from streams import topics
from streams.compacted import read_to_end
from streams.database import DatabaseUnavailable, connection
from streams.producer import log_id
from streams.pulse import SESSION_S, boot_clock
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import Topic
from tests.conftest import Services
from tests.processes import Running, role_part
from tests.stories import Story

AT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
Place = tuple[int, int]


@pytest.fixture
async def empty(fresh: Settings) -> Settings:
    """A migrated database with no history, and a group `atrium-history` that begins at the beginning."""
    await migrate(fresh.database)
    admin = AdminClient(fresh.librdkafka)

    async def gone() -> bool:  # a member killed by an earlier test counts until its session ends
        [deleted] = admin.delete_consumer_groups(["atrium-history"]).values()
        failed = await asyncio.to_thread(deleted.exception, 10)
        return failed is None or "GROUP_ID_NOT_FOUND" in str(failed)

    await until(gone, "group atrium-history deleted")
    return fresh


@pytest.fixture
def history(empty: Settings) -> Iterator[Running]:
    """The role's process, not yet started."""
    running = Running(role_part("history", empty), empty.home / "logs")
    yield running
    running.stop()
    print(running.tail(40_000))  # shown when the test fails


def produce(settings: Settings, topic: Topic, records: list[tuple[bytes | None, bytes | None]]) -> None:
    producer = Producer({**settings.librdkafka, "partitioner": "murmur2_random", "enable.idempotence": True, "linger.ms": 20})
    for key, value in records:
        producer.produce(topic.name, key=key, value=value)
        producer.poll(0)
    assert producer.flush(30) == 0


def readings(codecs: Codecs, count: int, first: int = 0) -> list[tuple[bytes | None, bytes | None]]:
    return [
        (
            str(number % 40).encode(),
            codecs.encode(Reading(9, Kind.temperature_c, 20 + number / 1000, AT + timedelta(seconds=number))),
        )
        for number in range(first, first + count)
    ]


def logged(settings: Settings, topic: Topic) -> dict[Place, tuple[int, bytes | None]]:
    """What the topic holds: position to stamp and bytes."""
    return {(m.partition(), m.offset()): (m.timestamp()[1], m.value()) for m in read_to_end(settings, topic)}


async def kept(db: asyncpg.Connection, table: str) -> dict[Place, tuple[int, bytes | None]]:
    """What history holds; fails on a position that is there twice."""
    rows = await db.fetch(f'SELECT partition, "offset", logged_at, record FROM history.{table}')
    found = {
        (row["partition"], row["offset"]): (round(row["logged_at"].timestamp() * 1000), row["record"])
        for row in rows
    }  # fmt: skip
    assert len(found) == len(rows)
    return found


def members(settings: Settings) -> set[str]:
    """Member ids of the role's group: a member that left and came back has another."""
    admin = AdminClient(settings.librdkafka)
    [group] = admin.describe_consumer_groups(["atrium-history"]).values()
    found = {member.member_id for member in group.result(10).members}
    assert found
    return found


async def until(condition: Callable[[], Any], what: str, within_s: float = 60.0) -> None:
    """Wait for an awaitable condition."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"after {within_s:.0f} s still not: {what}"
        await asyncio.sleep(0.1)


async def count_of(settings: Settings, table: str = "room_events") -> int:
    """Rows kept; 0 while PostgreSQL is away."""
    try:
        async with connection(settings.database) as db:
            return int(await db.fetchval(f"SELECT count(*) FROM history.{table}"))
    except (DatabaseUnavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return 0


async def everything_is_kept(settings: Settings) -> None:
    """Wait until history has as many room events as the topic, then compare every position, stamp and byte."""
    expected = logged(settings, topics.ROOM_EVENTS)

    async def as_many() -> bool:
        return await count_of(settings) >= len(expected)

    await until(as_many, f"{len(expected)} room events in history")
    async with connection(settings.database) as db:
        assert await kept(db, "room_events") == expected


def command(number: int) -> Command:
    winner = Proposal(Slot.comfort, "climate", 90.0, "occupied", AT)
    return Command(
        command_id=f"c{number}", room_id="2", device_id=2, kind=Kind.valve_pct, target_pct=90.0, issued_at=AT,
        expires_at=AT, cause=Position("rooms", 1, number), policy_revision=4, winner=winner,
    )  # fmt: skip


async def test_every_event_and_command_is_kept_with_its_bytes(empty: Settings, history: Running, db: asyncpg.Connection) -> None:
    codecs = await register_all(empty.registry)
    poison: list[tuple[bytes | None, bytes | None]] = [
        (b"1", b"not avro"),
        (b"1", None),
        (None, b"\x00\x7f\xff\xff\xffunknown schema"),
        (b"2", codecs.encode(Reading(9, Kind.motion, 1, AT))[:-3]),
        (b"\x00\xff" * 4000, codecs.encode(command(0))),
        (b"2", codecs.encode(Reading(9, Kind.temperature_c, math.nan, AT))),
    ]
    answers = [
        (b"2", codecs.encode(CommandResult("c7", 2, status, AT, 90.0))) for status in (ResultStatus.failed, ResultStatus.done)
    ]
    produce(empty, topics.ROOM_EVENTS, [*readings(codecs, 1000), *poison, *answers])
    produce(empty, topics.COMMANDS_KNX, [(b"knx-4", codecs.encode(command(number))) for number in range(20)])
    produce(empty, topics.COMMANDS_ZWAVE, [(b"zwave-1", codecs.encode(command(99))), (b"zwave-1", b"junk")])
    history.start()
    await everything_is_kept(empty)

    async def commands() -> bool:
        return await count_of(empty, "commands") == 22

    await until(commands, "22 commands in history")
    ids = {topic: await log_id(empty, topic.name) for topic in (topics.COMMANDS_KNX, topics.COMMANDS_ZWAVE)}
    for topic, count in ((topics.COMMANDS_KNX, 20), (topics.COMMANDS_ZWAVE, 2)):
        rows = await db.fetch('SELECT partition, "offset", record FROM history.commands WHERE log_id = $1', ids[topic])
        assert {(row["partition"], row["offset"]): row["record"] for row in rows} == {
            place: value for place, (_, value) in logged(empty, topic).items()
        }
        assert len(rows) == count
    lives = dict(await db.fetch("SELECT command_id, state FROM history.command_lives WHERE command_id IN ('c7', 'c8')"))
    assert lives == {"c7": "failed", "c8": "sent"}, "the first answer counts: later ones repeat it"
    row = await db.fetchrow("SELECT * FROM history.commands WHERE command_id = 'c7'")
    assert (row["line_id"], row["room_id"], row["device_id"], row["kind"], row["target_pct"]) == (
        "knx-4",
        "2",
        2,
        "valve_pct",
        90.0,
    )
    assert (row["slot"], row["rule"], row["cause_log_id"], row["cause_offset"]) == ("comfort", "climate", "rooms", 7)
    assert await db.fetchval("SELECT count(*) FROM history.room_events WHERE type IS NULL") == 4
    assert await db.fetchval("SELECT count(*) FROM history.room_events WHERE value = 'NaN'") == 1
    one = await db.fetchrow("SELECT * FROM history.room_events WHERE at = $1 AND room_id = '0' ORDER BY logged_at", AT)
    assert (one["room_id"], one["device_id"], one["kind"], one["value"]) == ("0", 9, "temperature_c", 20.0)
    assert codecs.decode(one["record"]) == Reading(9, Kind.temperature_c, 20.0, AT)


async def test_the_schemas_behind_the_bytes_are_kept_too(empty: Settings, history: Running, db: asyncpg.Connection) -> None:
    codecs = await register_all(empty.registry)
    produce(empty, topics.ROOM_EVENTS, readings(codecs, 10))
    history.start()
    await everything_is_kept(empty)
    one = await db.fetchrow("SELECT * FROM history.room_events WHERE type = 'Reading' LIMIT 1")
    schema = await db.fetchval("SELECT schema FROM history.schemas WHERE schema_id = $1", int.from_bytes(one["record"][1:5], "big"))
    stranger = Codecs({})
    stranger.learn(int.from_bytes(one["record"][1:5], "big"), schema)
    assert stranger.decode(one["record"]) == codecs.decode(one["record"])
    assert json.loads(schema)["name"] in ("Reading", "atrium.Reading")


async def test_postgresql_killed_in_mid_stream_costs_no_event(empty: Settings, own: Services, history: Running) -> None:
    codecs = await register_all(empty.registry)
    history.start()
    produce(empty, topics.ROOM_EVENTS, readings(codecs, 20_000))
    await until(lambda: _more_than(empty, 0), "the first events")
    member = await asyncio.to_thread(members, empty)
    own.postgres.kill()
    away_until = boot_clock() + SESSION_S + 2
    try:
        produce(empty, topics.ROOM_EVENTS, readings(codecs, 20_000, first=20_000))
        await until(lambda: _waits(history), "a status about PostgreSQL", within_s=90)  # an orphaned backend can hang for 30 s
        while boot_clock() < away_until:  # longer than the group would wait for a member that does not answer
            assert await asyncio.to_thread(members, empty) == member
            await asyncio.sleep(0.5)
    finally:
        own.postgres.start()
    await everything_is_kept(empty)
    assert await asyncio.to_thread(members, empty) == member
    await until(lambda: _is_well(history), "an empty status")


async def test_history_killed_in_mid_stream_doubles_and_loses_nothing(empty: Settings, history: Running) -> None:
    codecs = await register_all(empty.registry)
    for round_ in range(3):
        produce(empty, topics.ROOM_EVENTS, readings(codecs, 40_000, first=40_000 * round_))
        before = await count_of(empty)
        history.start()
        await until(lambda before=before: _more_than(empty, before), "some more events")  # type: ignore[misc]
        history.kill()
    history.start()
    await everything_is_kept(empty)


async def _more_than(settings: Settings, before: int) -> bool:
    return await count_of(settings) > before


async def _waits(history: Running) -> bool:
    return any("waiting for PostgreSQL" in status for status in history.read_statuses())


async def _is_well(history: Running) -> bool:
    return history.read_statuses()[-1] == ""


async def test_a_position_comes_twice_and_is_kept_once(empty: Settings, db: asyncpg.Connection) -> None:
    logged_ms = int(AT.timestamp() * 1000)
    events = [room_event_row(Raw("log", 1, offset, logged_ms, b"1", b"x"), None) for offset in range(10)]
    commands = [command_row(Raw("log", 1, offset, logged_ms, b"knx-4", b"x"), command(offset)) for offset in range(10)]
    for table, rows in ((ROOM_EVENTS, events), (COMMANDS, commands)):
        await make_day(db, table, AT.date())
        for part in (rows[:7], rows[3:], rows):
            async with db.transaction():
                await insert(db, table, part)
        assert await db.fetchval(f"SELECT count(*) FROM history.{table.name}") == 10
    again = [room_event_row(Raw("another log", 1, 0, logged_ms, b"1", b"x"), None)]
    async with db.transaction():
        await insert(db, ROOM_EVENTS, again)
    assert await db.fetchval("SELECT count(*) FROM history.room_events") == 11


async def test_each_utc_day_has_its_partition_made_before_midnight(empty: Settings, db: asyncpg.Connection) -> None:
    historian = Historian(empty)
    writer = asyncio.create_task(historian.store.run())
    midnight = datetime(2026, 3, 29, tzinfo=UTC)  # a night with a summer-time change
    stamps = [
        midnight - timedelta(milliseconds=1),
        midnight,
        midnight + timedelta(hours=23, minutes=59),
        midnight + timedelta(days=1),
    ]
    rows = [room_event_row(Raw("log", 0, n, int(at.timestamp() * 1000), b"1", b"x"), None) for n, at in enumerate(stamps)]
    try:
        await historian.store.save(ROOM_EVENTS, rows[:1], {})
        assert await _days(db) == {"room_events_20260328", "room_events_20260329"}
        await historian.store.save(ROOM_EVENTS, rows, {})
    finally:
        writer.cancel()
    assert await _days(db) == {f"room_events_202603{day}" for day in (28, 29, 30, 31)}
    counts = await db.fetch("SELECT tableoid::regclass::text AS day, count(*) FROM history.room_events GROUP BY 1")
    assert dict(counts) == {
        "history.room_events_20260328": 1, "history.room_events_20260329": 2, "history.room_events_20260330": 1,
    }  # fmt: skip
    await asyncio.gather(*(_make_far_day(empty) for _ in range(4)))
    assert "room_events_20300101" in await _days(db)


async def _make_far_day(settings: Settings) -> None:
    async with connection(settings.database) as db:
        await make_day(db, ROOM_EVENTS, date(2030, 1, 1))


async def _days(db: asyncpg.Connection) -> set[str]:
    rows = await db.fetch("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' AND relname LIKE 'room_events_%'")
    return {row["relname"] for row in rows}


async def test_a_dropped_day_is_made_again_when_its_events_come(empty: Settings, db: asyncpg.Connection) -> None:
    historian = Historian(empty)
    writer = asyncio.create_task(historian.store.run())
    rows = [room_event_row(Raw("log", 0, n, int(AT.timestamp() * 1000), b"1", b"x"), None) for n in range(2)]
    try:
        await historian.store.save(ROOM_EVENTS, rows[:1], {})
        await db.execute("DROP TABLE history.room_events_20260115")
        await historian.store.save(ROOM_EVENTS, rows[1:], {})
    finally:
        writer.cancel()
    assert await db.fetchval("SELECT count(*) FROM history.room_events") == 1


async def test_a_days_snapshot_has_each_rooms_last_row_and_is_taken_once(empty: Settings, db: asyncpg.Connection) -> None:
    codecs = await register_all(empty.registry)
    story = Story()
    first = codecs.encode(story.room)
    produce(empty, topics.TABLE_ROOMS, [(b"1", first), (b"2", first), (b"3", first), (b"3", None)])
    story.motion()
    second = codecs.encode(story.room)
    produce(empty, topics.TABLE_ROOMS, [(b"1", second)])
    historian = Historian(empty)
    assert await historian.take_snapshot(date(2026, 1, 15)) == 2
    assert await historian.take_snapshot(date(2026, 1, 15)) == 0
    assert await historian.take_snapshot(date(2026, 1, 16)) == 2
    rows = await db.fetch("SELECT * FROM history.room_snapshots WHERE day = '2026-01-15' ORDER BY room_id")
    assert [(row["room_id"], row["record"]) for row in rows] == [("1", second), ("2", first)]
    for row in rows:
        assert Position(row["log_id"], row["partition"], row["offset"]) == codecs.decode(row["record"]).position
