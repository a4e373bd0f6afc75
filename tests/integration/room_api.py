"""A room of the running building as a client of the API sees it, and what such a client may do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from schemas.codecs import DEFAULT_POLICY
from tests import asking
from tests.integration.gateway_bench import Bench, wait


class RoomApi:
    """One room of a bench that runs the role `api`."""

    def __init__(self, bench: Bench, room_id: str) -> None:
        self._url = f"http://127.0.0.1:{bench.settings.api_port}/v1"
        self._room_id = room_id
        self._own: set[str] = set()
        """The fields that a policy of this room's own has had."""

    async def actuator(
        self, device_id: int, condition: Callable[[dict[str, Any]], Any], what: str, within_s: float = 30
    ) -> dict[str, Any]:
        """An actuator as the API tells it once the condition holds."""
        seen: dict[str, Any] = {}

        def look() -> bool:
            _, room = asking.ask(f"{self._url}/rooms/{self._room_id}")
            seen.clear()
            seen.update(next((each for each in room.get("actuators", ()) if each["device_id"] == device_id), {}))
            return bool(seen) and bool(condition(seen))

        await wait(look, what, within_s)
        return seen

    async def hold(self, device_id: int, value_pct: float) -> None:
        """Take a lease on an actuator."""
        await self._ask("POST", f"/rooms/{self._room_id}/actuators/{device_id}/lease", {"value_pct": value_pct}, 202)

    async def give_back(self, device_id: int) -> None:
        """End whatever lease there is on it, be it of another test on this log."""
        await self._ask("DELETE", f"/rooms/{self._room_id}/actuators/{device_id}/lease", None, 202)

    async def put_policy(self, **document: Any) -> None:
        """Make this the room's own policy, and wait until it is in force: a hand before that is judged by the old one."""
        path = f"/policies/rooms/{self._room_id}"
        await self._ask("PUT", path, document, 200)
        self._own |= document.keys()
        default = msgspec.to_builtins(DEFAULT_POLICY)
        wanted = {name: document.get(name, default[name]) for name in self._own}

        def in_force() -> bool:
            _, told = asking.ask(f"{self._url}{path}")
            return wanted.items() <= (told["in_force"] or {}).items()

        await wait(in_force, "the policy is in force")

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None, status: int) -> None:
        answer = await asyncio.to_thread(asking.ask, f"{self._url}{path}", body, method=method, etag="*")
        assert answer[0] == status, answer
