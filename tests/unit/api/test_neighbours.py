"""Health names what is away, also where the API itself does not need it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.app import create_app
from api.neighbours import Neighbours
from tests.unit.api.building import Building


class Database:
    def __init__(self) -> None:
        self.answers = True
        self.asked = asyncio.Event()

    async def ask(self) -> None:
        self.asked.set()
        if not self.answers:
            raise ConnectionRefusedError("port 5432")

    async def asked_again(self) -> None:
        for _ in range(2):  # the second question comes after the first one's answer was taken in
            self.asked.clear()
            await asyncio.wait_for(self.asked.wait(), 5)


@pytest.fixture
async def watched() -> AsyncIterator[tuple[Database, Neighbours]]:
    database = Database()
    neighbours = Neighbours({"PostgreSQL does not answer: history waits": database.ask}, every_s=0.001)
    watching = asyncio.create_task(neighbours.watch())
    yield database, neighbours
    watching.cancel()
    await asyncio.wait({watching})


async def ready(building: Building, neighbours: Neighbours) -> tuple[int, dict[str, Any]]:
    async with TestClient(TestServer(create_app(building.replica, building, building.clock, neighbours=neighbours))) as client:
        answer = await client.get("/health/ready")
        return answer.status, await answer.json()


async def test_health_names_a_database_that_is_away_and_stops_when_it_is_back(
    building: Building, watched: tuple[Database, Neighbours]
) -> None:
    database, neighbours = watched
    await database.asked_again()
    assert (await ready(building, neighbours))[1]["status"] == "ready"
    database.answers = False
    await database.asked_again()
    status, said = await ready(building, neighbours)
    assert (status, said["status"]) == (200, "degraded"), "it serves all the same"
    assert said["reasons"] == ["PostgreSQL does not answer: history waits (port 5432)"]
    database.answers = True
    await database.asked_again()
    assert (await ready(building, neighbours))[1] == {"status": "ready", "reasons": [], "lag": None, "stalled_s": 0.0}


async def test_one_that_never_answers_counts_as_away() -> None:
    neighbours = Neighbours({"the registry does not answer": asyncio.Event().wait}, every_s=0, within_s=0.01)  # type: ignore[dict-item]
    watching = asyncio.create_task(neighbours.watch())
    async with asyncio.timeout(5):
        while not neighbours.reasons:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    watching.cancel()
    assert neighbours.reasons == ["the registry does not answer (no answer in time)"]
