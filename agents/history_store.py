"""The history tables in PostgreSQL: batches in, one transaction for all that wait, each position once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta

import asyncpg
from msgspec import Struct

from agents.history_rows import Row, Table, days_of
from schemas.rows import Room
from streams.database import DatabaseUnavailable, connect

_LINGER_S = 0.1
_ROWS_AT_ONCE = 20_000
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_STATEMENT_TIMEOUT_S = 30  # 20,000 rows take a second; a server that died oddly can leave a statement hanging
_DAY_LOCK = 0x617472_646179  # "atrday": two workers must not make the same day's partition
_MAY_PASS = (
    DatabaseUnavailable,
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says of a connection whose server was killed in the middle of a statement
)
_logger = logging.getLogger(__name__)


class _Waiting(Struct):
    table: Table
    rows: list[Row]
    schemas: Mapping[int, str]
    saved: asyncio.Future[None]


class Allowance:
    """So many rows in hand at once; a batch larger than that goes alone."""

    def __init__(self, rows: int) -> None:
        self._rows, self._taken = rows, 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def take(self, rows: int) -> AsyncIterator[None]:
        """Wait for room, hold it for the length of the block."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._taken == 0 or self._taken + rows <= self._rows)
            self._taken += rows
        try:
            yield
        finally:
            self._taken -= rows
            async with self._changed:
                self._changed.notify_all()


class Store:
    """Writes history. `run` must be running for `save` to end; `status` hears what it waits for, "" when well."""

    def __init__(self, dsn: str, status: Callable[[str], None]) -> None:
        self._dsn, self._status = dsn, status
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._db: asyncpg.Connection | None = None
        self._days: set[tuple[str, date]] = set()

    async def save(self, table: Table, rows: list[Row], schemas: Mapping[int, str]) -> None:
        """Return once PostgreSQL has committed the rows, however long it is away; rows it has already are left alone.

        `schemas` are those, by id, that the rows' bytes need and that may be new.
        """
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Waiting(table, rows, schemas, saved))
        await saved

    async def run(self) -> None:
        """Write what is queued, for ever: everything that waits goes into one transaction."""
        while True:
            group = [await self._queue.get()]
            if len(group[0].rows) < _ROWS_AT_ONCE:
                await asyncio.sleep(_LINGER_S)  # live readings come one by one: fewer, larger commits
            while not self._queue.empty() and sum(len(each.rows) for each in group) < _ROWS_AT_ONCE:
                group.append(self._queue.get_nowait())
            await self._until_done(group)

    async def _until_done(self, group: list[_Waiting]) -> None:
        pause_s = 0.0
        try:
            while (group := [each for each in group if not each.saved.done()]) and not await self._try(group):
                pause_s = min(max(pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
                await asyncio.sleep(pause_s)
        except Exception as error:
            for each in group:
                each.saved.set_exception(error)
            raise
        if pause_s:
            self._status("")
        for each in group:
            if not each.saved.done():  # its batch was given up meanwhile: it will come again
                each.saved.set_result(None)

    async def _try(self, group: list[_Waiting]) -> bool:
        """One attempt. Only a value that PostgreSQL cannot take is raised, being a bug; all else may be better in a while."""
        try:
            await self._write(group)
        except asyncpg.DataError:
            raise
        except _MAY_PASS as error:
            self._days.clear()  # perhaps a day's partition was dropped
            if self._db is not None:
                self._db.terminate()
                self._db = None
            detail = str(error) or type(error).__name__
            _logger.warning("history waits for PostgreSQL: %s", detail)
            self._status(f"waiting for PostgreSQL: {detail}")
            return False
        return True

    async def _write(self, group: list[_Waiting]) -> None:
        db = self._db = self._db or await connect(self._dsn, statement_timeout_s=_STATEMENT_TIMEOUT_S)
        for table in {each.table.name: each.table for each in group}.values():
            rows = [row for each in group if each.table.name == table.name for row in each.rows]
            for day in days_of(rows):
                await self._make_days(db, table, day)
            async with db.transaction():
                await insert(db, table, rows)
                for schema_id, schema_json in sorted({item for each in group for item in each.schemas.items()}):
                    await _keep_schema(db, schema_id, schema_json)

    async def _make_days(self, db: asyncpg.Connection, table: Table, day: date) -> None:
        """The partitions of a day and of the next, so that midnight finds its own."""
        if (table.name, day) not in self._days:
            await make_day(db, table, day)
            await make_day(db, table, day + timedelta(days=1))
            self._days.add((table.name, day))


async def insert(db: asyncpg.Connection, table: Table, rows: list[Row]) -> None:
    """COPY, then keep what is not there yet: a position once. In a transaction of the caller's."""
    columns = ", ".join(f'"{column}"' for column in table.columns)
    staging = f"staging_{table.name}"
    await db.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE history.{table.name}) ON COMMIT DELETE ROWS")
    await db.copy_records_to_table(staging, schema_name="pg_temp", records=rows, columns=table.columns)
    await db.execute(f"INSERT INTO history.{table.name} ({columns}) SELECT {columns} FROM pg_temp.{staging} ON CONFLICT DO NOTHING")


async def make_day(db: asyncpg.Connection, table: Table, day: date) -> None:
    """One UTC day's partition. Attached, not created in place, which would lock out the table's readers."""
    name = f"{table.name}_{day:%Y%m%d}"
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", _DAY_LOCK)
        if await db.fetchval("SELECT to_regclass($1)", f"history.{name}") is None:
            await db.execute(f"CREATE TABLE history.{name} (LIKE history.{table.name} INCLUDING ALL)")
            await db.execute(
                f"ALTER TABLE history.{table.name} ATTACH PARTITION history.{name}"
                f" FOR VALUES FROM ('{day} 00:00:00+00') TO ('{day + timedelta(days=1)} 00:00:00+00')"
            )


async def rooms_in_snapshot(db: asyncpg.Connection, day: date) -> int:
    """How many rooms the day's snapshot has."""
    return int(await db.fetchval("SELECT count(*) FROM history.room_snapshots WHERE day = $1", day))


async def keep_snapshot(
    db: asyncpg.Connection, day: date, rows: Mapping[str, tuple[Room, bytes]], schemas: Mapping[int, str]
) -> None:
    """Keep the day's row of each room, with its bytes and the schemas they need; a day's first one stays."""
    for schema_id, schema_json in sorted(schemas.items()):
        await _keep_schema(db, schema_id, schema_json)
    await db.executemany(
        'INSERT INTO history.room_snapshots (day, room_id, log_id, partition, "offset", record)'
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        [
            (day, room_id, row.position.log_id, row.position.partition, row.position.offset, record)
            for room_id, (row, record) in rows.items()
        ],
    )


async def _keep_schema(db: asyncpg.Connection, schema_id: int, schema_json: str) -> None:
    # Its records stay readable without the registry.
    await db.execute(
        "INSERT INTO history.schemas (schema_id, schema) VALUES ($1, $2) ON CONFLICT DO NOTHING", schema_id, schema_json
    )
