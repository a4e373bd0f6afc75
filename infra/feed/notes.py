"""Notes of how far a recording has come, in PostgreSQL; and the lock that keeps two feeders out of one room."""

from __future__ import annotations

import asyncpg
import msgspec
from msgspec import Struct

from schemas.errors import BuildingError

_LOCK = 0x66656564  # "feed"


class RoomTaken(BuildingError):
    """Another feeder is at work in the room."""

    reason = "room_taken"


class Note(Struct, frozen=True, kw_only=True):
    """Everything of the recording up to `offset` is counted in `next_row`. `running` without a feeder: it was killed."""

    recording: str
    file: str
    log_id: str
    partition: int
    offset: int
    next_row: int
    running: bool
    shift_ms: int
    room: bytes | None


async def take_room(db: asyncpg.Connection, room_id: str) -> None:
    """Hold the room until the connection ends. Raises `RoomTaken`."""
    if not await db.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", _LOCK, room_id):
        raise RoomTaken(f"another `atrium feed` is at work in room {room_id}: let it end, or stop it")


async def read_notes(db: asyncpg.Connection, room_id: str, log_id: str) -> list[Note]:
    """The room's notes about this log, the one furthest on last; a log that is no more has nothing to say."""
    rows = await db.fetch(
        'SELECT * FROM recordings.feeds WHERE room_id = $1 AND log_id = $2 ORDER BY "offset", updated_at', room_id, log_id
    )
    return [msgspec.convert(dict(row), Note) for row in rows]


async def write_note(db: asyncpg.Connection, room_id: str, note: Note) -> None:
    """Put the note in place of the recording's last one."""
    await db.execute(
        'INSERT INTO recordings.feeds (room_id, recording, file, log_id, partition, "offset", next_row, running, shift_ms, room)'
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (room_id, recording) DO UPDATE SET"
        ' (file, log_id, partition, "offset", next_row, running, shift_ms, room, updated_at)'
        ' = ($3, $4, $5, $6, $7, $8, $9, $10, now())',
        room_id, note.recording, note.file, note.log_id, note.partition, note.offset, note.next_row, note.running,
        note.shift_ms, note.room,
    )  # fmt: skip
