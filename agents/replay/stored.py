"""History read back in bulk: one partition of one log after the other, in the order in which it was written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
from msgspec import Struct

from agents.replay.copied import StoredEvent, stored_events
from schemas.codecs import Codecs
from schemas.errors import BuildingError, SchemaNotCached, Undecodable
from schemas.rows import Room
from streams.database import DatabaseUnavailable, connect, connection

T = TypeVar("T")
_PAGE_ROWS = 50_000
_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

_LOGS = """
    SELECT log_id, partition FROM history.room_events
    WHERE logged_at < $1 AND ($2::text[] IS NULL OR room_id = ANY($2))
    GROUP BY log_id, partition ORDER BY min(logged_at), log_id, partition
"""
_SNAPSHOTS = """
    SELECT DISTINCT ON (snapshot.room_id) snapshot.room_id, snapshot.record
    FROM history.room_snapshots AS snapshot
    LEFT JOIN history.room_events AS last USING (log_id, partition, "offset")
    WHERE coalesce(last.logged_at, snapshot.taken_at) < $1 AND ($2::text[] IS NULL OR snapshot.room_id = ANY($2))
    ORDER BY snapshot.room_id, snapshot.day DESC
"""
_PAGE = """
    SELECT "offset", logged_at, room_id, record FROM history.room_events
    WHERE log_id = $1 AND partition = $2 AND "offset" > $3 AND logged_at < $4 AND ($5::text[] IS NULL OR room_id = ANY($5))
    ORDER BY "offset" LIMIT $6
"""


class NoHistory(BuildingError):
    """History holds nothing of what was asked for."""

    reason = "no_history"


class Span(Struct, frozen=True, kw_only=True):
    """What is asked for: from `since`, up to and without `until` (the broker's stamps), of these rooms; empty: of all."""

    since: datetime | None = None
    until: datetime | None = None
    room_ids: tuple[str, ...] = ()


class Run(Struct, frozen=True):
    """One partition of one log, to be read after this offset."""

    log_id: str
    partition: int
    after: int


class Opening(Struct):
    """Where a fold begins: readers for the bytes, rooms as a snapshot has them, and the runs to read, oldest log first."""

    codecs: Codecs
    rooms: dict[str, Room]
    runs: list[Run]


class Page(Struct, frozen=True):
    """Consecutive events of one run."""

    run: Run
    events: list[StoredEvent]


async def find_opening(dsn: str, span: Span) -> Opening:
    """Where to begin for a span: at the last snapshots before `since`, else at the beginning. Raises `DatabaseUnavailable`."""
    return await opening_from(dsn, span, None)


async def opening_from(dsn: str, span: Span, rooms: dict[str, Room] | None) -> Opening:
    """As `find_opening`, but from rooms that somebody has kept; None: from snapshots."""
    async with connection(dsn) as db:
        try:
            codecs = await known_codecs(db)
            if rooms is None:
                rooms = {} if span.since is None else await rooms_at(db, codecs, span.since, span.room_ids)
            found = await db.fetch(_LOGS, span.until or _EVER, _given(span.room_ids))
        except _LOST as error:
            raise DatabaseUnavailable(dsn, error) from error
    return Opening(codecs, rooms, _behind([Run(row["log_id"], row["partition"], -1) for row in found], rooms))


async def known_codecs(db: asyncpg.Connection) -> Codecs:
    """Readers for every schema history has met; they write nothing."""
    codecs = Codecs({})
    for row in await db.fetch("SELECT schema_id, schema FROM history.schemas"):
        codecs.learn(row["schema_id"], row["schema"])
    return codecs


async def rooms_at(db: asyncpg.Connection, codecs: Codecs, at: datetime, room_ids: tuple[str, ...] = ()) -> dict[str, Room]:
    """Each room as its last snapshot before an instant has it; a snapshot nobody can read any more is left out."""
    rooms: dict[str, Room] = {}
    for row in await db.fetch(_SNAPSHOTS, at, _given(room_ids)):
        try:
            room = codecs.decode(row["record"])
        except (Undecodable, SchemaNotCached):
            continue
        if isinstance(room, Room):
            rooms[row["room_id"]] = room
    return rooms


def _behind(runs: list[Run], rooms: dict[str, Room]) -> list[Run]:
    """The runs less what every snapshotted room of their partition has applied.

    A room without a snapshot was introduced after the snapshots were taken, so behind the lowest of them.
    """
    order = {log_id: number for number, log_id in enumerate(dict.fromkeys(run.log_id for run in runs))}
    lowest: dict[int, tuple[int, int]] = {}
    for room in rooms.values():
        place = (order.get(room.position.log_id, -1), room.position.offset)
        lowest[room.position.partition] = min(lowest.get(room.position.partition, place), place)
    kept = []
    for run in runs:
        log, offset = lowest.get(run.partition, (-1, -1))
        if order[run.log_id] > log:
            kept.append(run)
        elif order[run.log_id] == log:
            kept.append(Run(run.log_id, run.partition, offset))
    return kept


def read(dsn: str, span: Span, runs: list[Run]) -> Iterator[Page]:
    """Every event of the runs, in order. While the caller folds a page, PostgreSQL is at the next. Raises `DatabaseUnavailable`."""
    with _loop() as start:
        try:
            db = start(connect(dsn)).result()
            waiting = list(reversed(runs))
            asked = None
            while waiting or asked is not None:
                if asked is None:
                    run = waiting.pop()
                    asked = start(_copy(db, run, span))
                events = stored_events(asked.result())
                page, asked = Page(run, events), None
                if len(events) == _PAGE_ROWS:
                    waiting.append(Run(run.log_id, run.partition, events[-1].offset))
                if waiting:
                    run = waiting.pop()
                    asked = start(_copy(db, run, span))
                if events:
                    yield page
            start(db.close()).result()
        except _LOST as error:
            raise DatabaseUnavailable(dsn, error) from error


@contextmanager
def _loop() -> Iterator[Callable[[Coroutine[Any, Any, T]], Future[T]]]:
    """An event loop in a thread of its own; yields what starts coroutines there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="history", daemon=True)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _copy(db: asyncpg.Connection, run: Run, span: Span) -> bytes:
    """The next page of a run as COPY gives it."""
    chunks: list[bytes] = []

    async def keep(chunk: bytes) -> None:
        chunks.append(chunk)

    asked = (run.log_id, run.partition, run.after, span.until or _EVER, _given(span.room_ids), _PAGE_ROWS)
    await db.copy_from_query(_PAGE, *asked, output=keep, format="binary")
    return b"".join(chunks)


def _given(room_ids: tuple[str, ...]) -> list[str] | None:
    return list(room_ids) or None
