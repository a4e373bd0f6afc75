"""Hours and days in the database: counted on in steps, equal to an independent count, and to the averages row."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from datetime import timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from agents.history_rows import ROOM_EVENTS, Raw, days_of, room_event_row
from agents.history_store import insert, make_day
from agents.recordings.mapping import UCI_OCCUPANCY
from agents.recordings.recording import read_recording
from agents.replay.recorded import log_of
from agents.replay.statistics_store import lines, refresh
from agents.replay.stored import NoHistory
from agents.rules.fold import fold_batch
from infra.database import migrate
from schemas.averages import mean
from schemas.codecs import PUBLIC, Codecs, schema_text, subject_of
from schemas.records import Kind
from streams.database import connection
from streams.keys import partition_of
from tests.integration.replay.test_replay import atrium
from tests.recordings import DATATEST, uci_rows

ROOM = "recorded"
PARTITION = partition_of(ROOM, 16)
CODECS = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=1)})


@pytest.fixture(scope="module")
def recorded(lived):
    """Settings with a database of its own, and the log of one recorded room, not yet in it."""
    asyncio.run(create(lived.database))
    settings = replace(lived, database_url=lived.database.rsplit("/", 1)[0] + "/statistics")
    asyncio.run(migrate(settings.database))
    now = max(at for at, _ in uci_rows()) + timedelta(days=1)
    return settings, list(log_of(ROOM, [read_recording("datatest.txt", DATATEST.read_bytes(), UCI_OCCUPANCY, now)]))


async def create(dsn: str) -> None:
    async with connection(dsn) as db:
        await db.execute("CREATE DATABASE statistics")


async def keep(dsn: str, log) -> None:
    """Put events where the role `history` puts them."""
    rows = [
        room_event_row(
            Raw("a-log", PARTITION, e.offset, round(e.logged_at.timestamp() * 1000), ROOM.encode(), CODECS.encode(e.event)), e.event
        )
        for e in log
    ]
    async with connection(dsn) as db:
        for day in days_of(rows):
            await make_day(db, ROOM_EVENTS, day)
        async with db.transaction():
            await insert(db, ROOM_EVENTS, rows)
            for number, cls in enumerate(PUBLIC, start=1):
                await db.execute(
                    "INSERT INTO history.schemas VALUES ($1, $2) ON CONFLICT DO NOTHING", number, schema_text(subject_of(cls))
                )


@pytest.fixture(scope="module")
def counted(recorded):
    """Counted in two steps, the second begun in the midst of an hour; then once more with nothing new."""
    settings, log = recorded
    half = len(log) // 2
    asyncio.run(keep(settings.database, log[:half]))
    assert refresh(settings.database, ROOM) == half
    asyncio.run(keep(settings.database, log[half:]))
    assert refresh(settings.database, ROOM) == len(log) - half
    assert refresh(settings.database, ROOM) == 0
    return settings, log


def test_every_hour_equals_a_count_from_the_file_itself(counted):
    by_hour = defaultdict(list)
    for at, values in uci_rows():
        for kind, value in values.items():
            by_hour[kind, at.replace(minute=0, second=0)].append(value)
    _, found = asyncio.run(lines(counted[0].database, ROOM, "hour"))
    assert {(line.kind, line.at) for line in found} == by_hour.keys()
    for line in found:
        values = by_hour[line.kind, line.at]
        assert (line.low, line.high, line.count) == (min(values), max(values), len(values))
        assert line.mean == pytest.approx(math.fsum(values) / len(values), rel=0, abs=1e-9)


def test_every_day_is_the_buildings_own(counted):
    by_day = defaultdict(list)
    for at, values in uci_rows():
        by_day[at.astimezone(ZoneInfo("Europe/Brussels")).date()].append(values["co2_ppm"])
    zone, found = asyncio.run(lines(counted[0].database, ROOM, "day", ("co2_ppm",)))
    assert zone == "Europe/Brussels"
    assert {line.at.astimezone(ZoneInfo(zone)).date(): line.count for line in found} == {day: len(v) for day, v in by_day.items()}
    assert sum(line.mean * line.count for line in found) == pytest.approx(math.fsum(chain(*by_day.values())), abs=1e-6)


def test_the_averages_row_agrees_with_the_hours(counted):
    """At the end of an hour the last 3 h of the row and its open buckets are three hours of history."""
    settings, log = counted
    _, found = asyncio.run(lines(settings.database, ROOM, "hour"))
    hours = {(line.kind, line.at): line for line in found}
    first, last = min(line.at for line in found), max(line.at for line in found)
    rooms, averages, compared, end = {}, {}, 0, first + timedelta(hours=4)
    for event in log:
        if event.logged_at >= end:
            now = end - timedelta(milliseconds=1)
            for kind in (Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.co2_ppm):
                three = [hours[kind.value, end - timedelta(hours=back)] for back in (1, 2, 3)]
                expected = sum(line.mean * line.count for line in three) / sum(line.count for line in three)
                buckets = (*averages[ROOM].buckets, *rooms[ROOM].buckets)
                assert mean(buckets, kind, now) == pytest.approx(expected, rel=0, abs=1e-9)
                compared += 1
            end += timedelta(hours=1)
        out = fold_batch(rooms, averages, "a-log", PARTITION, [event])
        rooms |= out.rooms
        averages |= out.averages
    assert compared > 100 and end > last


def test_the_command_prints_units_and_a_plot(counted):
    ran = atrium(counted[0], "stats", ROOM, "--kind", "temperature_c", "--by", "day")
    assert ran.exit_code == 0, ran.output
    assert "°C" in ran.output and "Europe/Brussels" in ran.output and "█" in ran.output
    assert "humidity" not in ran.output


def test_a_room_nobody_knows_is_said_so(counted):
    with pytest.raises(NoHistory, match="nowhere"):
        refresh(counted[0].database, "nowhere")


async def test_a_count_that_todays_code_cannot_read_is_made_anew(counted):
    settings, log = counted
    _, before = await lines(settings.database, ROOM, "hour")
    async with connection(settings.database) as db:
        await db.execute("UPDATE history.statistics_rooms SET room = '{}'")
    assert await asyncio.to_thread(refresh, settings.database, ROOM) == len(log)
    _, after = await lines(settings.database, ROOM, "hour")
    assert [(a.at, a.kind, a.low, a.high, a.count) for a in after] == [(b.at, b.kind, b.low, b.high, b.count) for b in before]
    assert [a.mean for a in after] == pytest.approx([b.mean for b in before], rel=0, abs=1e-9)
