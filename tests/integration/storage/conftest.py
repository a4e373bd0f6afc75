"""Services of these tests' own: they stop PostgreSQL and change the building, which no other test should feel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import msgspec
import pytest

from infra.provision import create_topics
from streams.database import connection
from streams.registry import register_all
from streams.settings import Settings
from tests.conftest import Services, start_services, stop_services, test_settings
from tests.processes import home_of_its_own


@pytest.fixture(scope="package")
def own() -> Iterator[Services]:
    """Kafka with its topics, the registry with its schemas, an empty PostgreSQL."""
    with home_of_its_own("storage") as home:
        started = start_services(test_settings(home))
        try:
            create_topics(started.settings.librdkafka)
            asyncio.run(register_all(started.settings.registry))
            yield started
        finally:
            stop_services(started.running)


@pytest.fixture
async def fresh(own: Services) -> AsyncIterator[Settings]:
    """Settings with a new empty database."""
    name = f"test_{id(object())}"
    async with connection(own.settings.database) as db:
        await db.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await db.execute(f"CREATE DATABASE {name}")
    dsn = own.settings.database.rsplit("/", 1)[0] + "/" + name
    yield msgspec.structs.replace(own.settings, database_url=dsn)
    async with connection(own.settings.database) as db:
        await db.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def db(fresh: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the new database."""
    async with connection(fresh.database) as opened:
        yield opened
