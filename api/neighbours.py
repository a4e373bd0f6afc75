"""Does PostgreSQL answer, does the schema registry? The API serves without both; it asks so that `/health/ready` can name a cause.

Asked, not inferred: a lag of the history's group could mean a dead role, a slow one or a dead database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import asyncpg

from schemas.errors import BuildingError
from streams.database import connect
from streams.settings import Settings

_EVERY_S = 2.0
_WITHIN_S = 3.0
log = logging.getLogger(__name__)

Ask = Callable[[], Awaitable[None]]
"""Returns when the neighbour answers, raises when it does not."""


class Neighbours:
    """Those that others need, by what goes on without them and what waits."""

    def __init__(self, asks: Mapping[str, Ask], *, every_s: float = _EVERY_S, within_s: float = _WITHIN_S) -> None:
        self._asks, self._every_s, self._within_s = asks, every_s, within_s
        self._away: dict[str, str] = {}

    @property
    def reasons(self) -> list[str]:
        """Who does not answer and what that means, for people; empty when all is well."""
        return [f"{meaning} ({cause})" for meaning, cause in self._away.items()]

    async def watch(self) -> None:
        """Ask all of them again and again, until cancelled."""
        while True:
            await asyncio.gather(*(self._ask(meaning, ask) for meaning, ask in self._asks.items()))
            await asyncio.sleep(self._every_s)

    async def _ask(self, meaning: str, ask: Ask) -> None:
        try:
            async with asyncio.timeout(self._within_s):
                await ask()
        except (BuildingError, OSError, TimeoutError, aiohttp.ClientError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if meaning not in self._away:
                log.warning("%s: %r", meaning, error)
            self._away[meaning] = str(error) or "no answer in time"
        else:
            if self._away.pop(meaning, None) is not None:
                log.info("answers again, no longer: %s", meaning)


def neighbours_of(settings: Settings) -> Neighbours:
    """The database and the registry of these settings; one that is not set is not asked."""
    asks: dict[str, Ask] = {}
    if settings.database_url:
        asks["PostgreSQL does not answer: history and directory wait, rooms are controlled"] = _database(settings.database_url)
    if settings.schema_registry_url:
        url = settings.schema_registry_url
        asks["the schema registry does not answer: what is written in a new schema waits, all else goes on"] = _registry(url)
    return Neighbours(asks)


def _database(dsn: str) -> Ask:
    """Over one connection, kept: a new one each time would cost PostgreSQL a process."""
    held: list[asyncpg.Connection] = []

    async def ask() -> None:
        if not held:
            held.append(await connect(dsn))
        try:
            await held[0].fetchval("SELECT 1")
        except BaseException:
            held.pop().terminate()
            raise

    return ask


def _registry(url: str) -> Ask:
    async def ask() -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{url.rstrip('/')}/schemas/types") as answer:
            if answer.status >= 500:
                raise BuildingError(f"{url} answers {answer.status}")

    return ask
