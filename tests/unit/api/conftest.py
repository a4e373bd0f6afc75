from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.app import create_app
from tests.unit.api.building import Building

Client = TestClient[Any, Any]


@pytest.fixture
def building() -> Building:
    made = Building()
    made.introduce()
    return made


@pytest.fixture
async def client(building: Building) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_app(building.replica, building, building.clock))) as made:
        yield made
