"""Server-sent events: everything first, then what changed, and clean ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from api import live
from api.app import create_app
from api.live import LIVE
from api.replica import Change
from schemas.records import Kind
from streams import topics
from tests.unit.api.building import Building
from tests.unit.api.conftest import Client


async def next_event(response: ClientResponse) -> tuple[str, Any]:
    """The next event's name and data; comments and fields without data are passed over."""
    name = ""
    async with asyncio.timeout(5):
        while True:
            line = (await response.content.readline()).decode().rstrip("\n")
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            if line.startswith("data: "):
                return name, msgspec.json.decode(line.removeprefix("data: "))


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  the server has no event of its own to wait for
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("headers", [{}, {"Last-Event-ID": "12345"}, {"Last-Event-ID": "\u00e4 nonsense"}])
async def test_a_client_gets_the_whole_building_first_then_each_changed_room(
    client: Client, building: Building, headers: dict[str, str]
) -> None:
    async with client.get("/v1/events", headers=headers) as response:
        assert response.content_type == "text/event-stream"
        name, whole = await next_event(response)
        assert (name, [room["room_id"] for room in whole["rooms"]]) == ("building", ["1", "2", "10", "11"])
        building.sense(Kind.temperature_c, 21.5)
        name, room = await next_event(response)
        assert (name, room["room_id"], room["readings"]["temperature_c"]["value"]) == ("room", "2", 21.5)


async def test_a_slow_client_gets_one_new_picture_for_many_changes(client: Client, building: Building) -> None:
    async with client.get("/v1/events") as response:
        await next_event(response)
        for value in range(1000):
            building.sense(Kind.temperature_c, value / 100)
        _, room = await next_event(response)
        assert room["readings"]["temperature_c"]["value"] == 9.99


async def test_a_room_that_is_gone_leaves_the_open_pages(client: Client, building: Building) -> None:
    async with client.get("/v1/events") as response:
        await next_event(response)
        building.replica.apply([Change(topics.ROOMS.name, "2", None)])
        name, whole = await next_event(response)
        assert (name, [room["room_id"] for room in whole["rooms"]]) == ("building", ["1", "10", "11"])
        building.sense(Kind.temperature_c, 21.5)  # of a room nobody is shown any more
        building.sense(Kind.temperature_c, 21.5, 1, "1")
        name, room = await next_event(response)
        assert (name, room["room_id"]) == ("room", "1")


async def test_a_quiet_building_says_that_it_is_still_there(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", timedelta(milliseconds=20))
    async with client.get("/v1/events") as response:
        await next_event(response)
        lines = [(await response.content.readline()).decode() for _ in range(4)]
    assert ": still here\n" in lines
    assert "event: status\n" in lines


async def test_a_client_that_left_is_forgotten(client: Client, building: Building) -> None:
    feeds = client.app[LIVE]
    async with client.get("/v1/events") as response:
        await next_event(response)
        assert feeds.clients == 1
        response.close()
    building.sense(Kind.temperature_c, 1.0)
    await until(lambda: feeds.clients == 0)


async def test_a_client_that_reads_nothing_is_dropped(client: Client, building: Building, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(live, "SLOWEST", timedelta(milliseconds=20))
    async with client.get("/v1/events") as response:
        await next_event(response)
        monkeypatch.setattr("aiohttp.web.StreamResponse.write", stuck)
        building.sense(Kind.temperature_c, 1.0)
        await until(lambda: client.app[LIVE].clients == 0)


async def test_one_too_many_is_asked_to_come_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_CLIENTS", 1)
    async with client.get("/v1/events") as first:
        await next_event(first)
        async with client.get("/v1/events") as second:
            assert (second.status, "Retry-After" in second.headers) == (503, True)


async def test_a_stopping_server_ends_its_streams(building: Building) -> None:
    server = TestServer(create_app(building.replica, building, building.clock))
    async with TestClient(server) as client, client.get("/v1/events") as response:
        await next_event(response)
        async with asyncio.timeout(2):
            await server.close()
            assert (await response.content.read()).strip() == b""
