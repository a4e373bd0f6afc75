"""`/v1/policies` over HTTP, with the documents in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.app import create_app
from schemas.policy import BadPolicy, document_faults, effective
from streams.policy_documents import NoScope, Stored, Superseded
from tests.unit.api.building import Building
from tests.unit.api.conftest import Client


class Documents:
    """A `PolicyStore` in memory."""

    def __init__(self) -> None:
        self.stored = {scope: Stored(scope, 0, {}) for scope in ("building", "floor/4", "room/2")}

    async def read(self, scope: str) -> Stored:
        if scope not in self.stored:
            raise NoScope(f"nothing is called {scope!r}")
        return self.stored[scope]

    async def replace(self, scope: str, document: dict, expected: int | None) -> Stored:
        old = await self.read(scope)
        if expected not in (None, old.revision):
            raise Superseded(f"policy of {scope} is at revision {old.revision}, not {expected}")
        if wrong := document_faults(document, scope):
            raise BadPolicy(scope, wrong)
        effective(scope, 1, [document])
        self.stored[scope] = Stored(scope, old.revision + 2, document)
        return self.stored[scope]


@pytest.fixture
async def governed(building: Building) -> AsyncIterator[Client]:
    app = create_app(building.replica, building, building.clock, policies_in=Documents())
    async with TestClient(TestServer(app)) as made:
        yield made


async def test_a_document_is_replaced_by_its_etag(governed: Client) -> None:
    path = "/v1/policies/floors/4"
    async with governed.get(path) as response:
        assert ((await response.json())["document"], response.headers["ETag"]) == ({}, '"0"')
    async with governed.put(path, json={"humid_above_pct": 55}, headers={"If-Match": '"0"'}) as response:
        assert (response.status, response.headers["ETag"]) == (200, '"2"')
    async with governed.put(path, json={"humid_above_pct": 60}, headers={"If-Match": '"0"'}) as response:
        assert (response.status, response.content_type) == (412, "application/problem+json")
    async with governed.put(path, json={"humid_above_pct": 60}) as response:
        assert response.status == 428
    async with governed.put(path, json={"humid_above_pct": 60}, headers={"If-Match": "*"}) as response:
        assert response.status == 200


async def test_a_room_tells_what_is_in_force_there(governed: Client) -> None:
    async with governed.get("/v1/policies/rooms/2") as response:
        told = await response.json()
    assert (told["document"], told["in_force"]["humid_above_pct"], told["in_force"]["schedule"]) == ({}, 50.0, [])


PERIOD = {"name": "n", "kind": "valve_pct", "days": ["monday"], "starts": "08:00:00", "ends": "17:00:00"}
WRONG = [
    ({"humid_abov_pct": 60}, "humid_abov_pct", "did you mean humid_above_pct?"),
    ({"revision": 4}, "revision", "no field"),
    ({"humid_above_pct": "60"}, "humid_above_pct", "give a number (Relative humidity above which blinds close)"),
    ({"humid_above_pct": 101}, "humid_above_pct", "a percentage from 0 to 100"),
    ({"humid_above_pct": 40}, "humid_clear_below_pct", "must not be above humid_above_pct"),
    ({"frost_below_c": 29}, "frost_below_c", "must stay below overheat_above_c"),
    ({"retry_first_s": 700, "retry_longest_s": 600}, "retry_first_s", "must not be above retry_longest_s (600)"),
    ({"time_zone": "Mars/Olympus"}, "time_zone", "IANA time zone"),
    ({"clock": "recorded"}, "clock", "a room's policy only"),
    ({"blind_unasked": "ghost"}, "blind_unasked", "give one of nothing, hand, drift"),
    ({"schedule": [PERIOD, {**PERIOD, "days": ["monday", "funday"]}]}, "schedule[1].days[1]", "funday"),
    ({"schedule": [{**PERIOD, "value": 5}]}, "schedule[0]", "value"),
    ({"schedule": [{**PERIOD, "value_pct": 120}]}, "schedule[0].value_pct", "leave it out for the setback"),
    ({"schedule": [{**PERIOD, "kind": "humidity_pct"}]}, "schedule[0].kind", "valve_pct"),
    ({"schedule": [{**PERIOD, "starts": "8 o'clock"}]}, "schedule[0].starts", "give"),
    ({"holidays": ["25.12.2026"]}, "holidays[0]", "2026-12-25"),
    ({"schedule_exceptions": [{"first": "2026-12-24", "last": "2026-12-01", "follow": "sunday"}]},
     "schedule_exceptions[0].last", "must not be before first"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "path", "says"), WRONG, ids=[f"{path}: {says}" for _, path, says in WRONG])
async def test_a_wrong_document_is_refused_with_path_and_remedy_and_nothing_changes(
    governed: Client, document: dict, path: str, says: str
) -> None:
    async with governed.put("/v1/policies/building", json=document, headers={"If-Match": '"0"'}) as response:
        told = await response.json()
        assert (response.status, response.content_type) == (422, "application/problem+json")
    assert any(error["name"] == path and says in error["detail"] for error in told["errors"]), told["errors"]
    async with governed.get("/v1/policies/building") as response:
        assert (await response.json())["revision"] == 0


async def test_what_is_not_there_is_404_and_no_database_503(governed: Client, client: Client) -> None:
    async with governed.get("/v1/policies/floors/9") as response:
        assert response.status == 404
    async with client.get("/v1/policies/building") as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "2")
