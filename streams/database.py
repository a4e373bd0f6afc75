"""A connection to PostgreSQL, with clear errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from schemas.errors import BuildingError

_LOCK = 0x617472_69756D  # "atrium"
_CONNECT_TIMEOUT_S = 10


class DatabaseUnavailable(BuildingError):
    """PostgreSQL cannot be reached now."""

    reason = "database_unavailable"

    def __init__(self, dsn: str, cause: BaseException) -> None:
        parts = urlsplit(dsn)
        super().__init__(f"PostgreSQL at {parts.hostname}:{parts.port or 5432}{parts.path}: {cause or type(cause).__name__}")


async def connect(dsn: str, *, statement_timeout_s: float | None = None) -> asyncpg.Connection:
    """A connection of the caller's own. Raises `DatabaseUnavailable`."""
    try:
        return await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, command_timeout=statement_timeout_s)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(dsn, error) from error


@asynccontextmanager
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for the length of the block. Raises `DatabaseUnavailable`."""
    opened = await connect(dsn)
    try:
        yield opened
    finally:
        await opened.close()


class LockHeld(BuildingError):
    """Another process holds the building's lock for long."""

    reason = "lock_held"


@asynccontextmanager
async def locked(opened: asyncpg.Connection) -> AsyncIterator[None]:
    """Hold the building's advisory lock for the length of the block: one at a time, the others wait.

    Raises `LockHeld` where the connection's statement timeout ends the wait.
    """
    try:
        await opened.execute("SELECT pg_advisory_lock($1)", _LOCK)
    except TimeoutError as error:
        raise LockHeld("another process holds the building's lock: a directory or `atrium prepare` that does not end") from error
    try:
        yield
    finally:
        if not opened.is_closed():
            await opened.execute("SELECT pg_advisory_unlock($1)", _LOCK)


@asynccontextmanager
async def exclusive(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that holds the building's advisory lock. Closing it releases the lock."""
    async with connection(dsn) as opened, locked(opened):
        yield opened
