"""The hours of rooms in PostgreSQL: counted on from where they stand, and read."""

from __future__ import annotations

import asyncio
from datetime import datetime

import asyncpg
import msgspec
from msgspec import Struct

from agents.replay.refold import Ahead, Decoder
from agents.replay.statistics import Hours
from agents.replay.stored import NoHistory, Span, opening_from, read
from agents.room_events import Source
from schemas.rows import Room
from streams.database import DatabaseUnavailable, connection

_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_READINGS = """
    INSERT INTO history.statistics_readings AS kept (room_id, kind, hour_at, low, high, total, count)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (room_id, kind, hour_at) DO UPDATE SET
        low = least(kept.low, excluded.low), high = greatest(kept.high, excluded.high),
        total = kept.total + excluded.total, count = kept.count + excluded.count
"""
_PEOPLE = """
    INSERT INTO history.statistics_people AS kept (room_id, hour_at, occupied_s, known_s) VALUES ($1, $2, $3, $4)
    ON CONFLICT (room_id, hour_at) DO UPDATE SET
        occupied_s = kept.occupied_s + excluded.occupied_s, known_s = kept.known_s + excluded.known_s
"""
_BEGIN = """
    INSERT INTO history.statistics_rooms (room_id, log_id, partition, "offset", time_zone, room) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING
"""
_GO_ON = """
    UPDATE history.statistics_rooms SET log_id = $2, partition = $3, "offset" = $4, time_zone = $5, room = $6
    WHERE room_id = $1 AND log_id = $7 AND partition = $8 AND "offset" = $9
"""


class Line(Struct, frozen=True):
    """One hour or day of one kind; the share is of the time in which it was known whether somebody is there."""

    at: datetime
    kind: str
    low: float
    mean: float
    high: float
    count: int
    occupied_s: float | None
    known_s: float | None
    occupied_share: float | None


def refresh(dsn: str, room_id: str) -> int:
    """Count what has come since the last time; how many events that were. Raises `NoHistory`, `DatabaseUnavailable`."""
    events = 0
    while True:
        room = asyncio.run(_standing(dsn, room_id))
        counted = _count_on(dsn, room_id, room)
        if counted is not None:
            return events + counted


def _count_on(dsn: str, room_id: str, room: Room | None) -> int | None:
    """Count in pages, each saved by itself; None when somebody else has counted meanwhile."""
    span = Span(room_ids=(room_id,))
    rooms = {} if room is None else {room_id: room}
    opening = asyncio.run(opening_from(dsn, span, rooms))
    if not opening.runs and room is None:
        raise NoHistory(f"history holds no events of room {room_id}")
    decoder, ahead = Decoder(opening.codecs), Ahead(rooms, [run.log_id for run in opening.runs])
    events = 0
    for page in read(dsn, span, opening.runs):
        source = Source(page.run.log_id, page.run.partition)
        hours = Hours(room_id, room)
        taken = ahead.of(source, decoder.events(source, page.events)[0])
        hours.take(source.log_id, source.partition, taken)
        if hours.room is not None and hours.room is not room and not asyncio.run(_save(dsn, room_id, room, hours)):
            return None
        room = hours.room
        events += len(taken)
    return events


async def _standing(dsn: str, room_id: str) -> Room | None:
    """The room as it was counted last. One that today's code cannot read is counted anew, from its beginning."""
    async with connection(dsn) as db:
        kept = await db.fetchval("SELECT room FROM history.statistics_rooms WHERE room_id = $1", room_id)
        if kept is None:
            return None
        try:
            return msgspec.json.decode(kept, type=Room)
        except msgspec.ValidationError:
            async with db.transaction():
                for table in ("rooms", "readings", "people"):
                    await db.execute(f"DELETE FROM history.statistics_{table} WHERE room_id = $1", room_id)
            return None


async def _save(dsn: str, room_id: str, before: Room | None, hours: Hours) -> bool:
    """Add the hours and note how far they reach, in one transaction; False when it no longer stands where it was counted from."""
    room = hours.room
    assert room is not None
    at = room.position
    row = (room_id, at.log_id, at.partition, at.offset, room.policy.time_zone, msgspec.json.encode(room).decode())
    async with connection(dsn) as db:
        try:
            async with db.transaction():
                if before is None:
                    done = await db.execute(_BEGIN, *row)
                else:
                    was = before.position
                    done = await db.execute(_GO_ON, *row, was.log_id, was.partition, was.offset)
                if done.endswith(" 0"):
                    return False
                readings = sorted(hours.readings.items())
                await db.executemany(
                    _READINGS, [(room_id, kind.value, at, n.low, n.high, n.total, n.count) for (kind, at), n in readings]
                )
                people = sorted(hours.people.items())
                await db.executemany(_PEOPLE, [(room_id, at, each.occupied_s, each.known_s) for at, each in people])
        except _LOST as error:
            raise DatabaseUnavailable(dsn, error) from error
    return True


async def lines(
    dsn: str, room_id: str, by: str, kinds: tuple[str, ...] = (), since: datetime | None = None, until: datetime | None = None
) -> tuple[str, list[Line]]:
    """The room's time zone, and its hours or days (`by`: hour, day) as far as they are counted, by kind, then time."""
    view, at = ("hourly", "hour_at") if by == "hour" else ("daily", "day_at")
    async with connection(dsn) as db:
        zone = await db.fetchval("SELECT time_zone FROM history.statistics_rooms WHERE room_id = $1", room_id)
        rows = await db.fetch(
            f"SELECT {at} AS at, kind, low, mean, high, count, occupied_s, known_s, occupied_share FROM history.{view}"
            f" WHERE room_id = $1 AND ($2::text[] IS NULL OR kind = ANY($2))"
            f" AND ($3::timestamptz IS NULL OR {at} >= $3) AND ($4::timestamptz IS NULL OR {at} < $4) ORDER BY kind, at",
            room_id, list(kinds) or None, since, until,
        )  # fmt: skip
    return zone or "UTC", [Line(**row) for row in rows]
