"""A wall button on a real line of the running building: its hold outlasts automation and a killed worker, and ends on time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from agents.gateways.log import utc_now
from schemas.codecs import DEFAULT_POLICY
from schemas.records import Kind, Reading
from streams.settings import Settings
from streams.topics import ROOM_EVENTS
from tests import asking
from tests.integration.gateway_bench import Bench, bench, wait
from tests.integration.knx.bus import actuators, bus, needs_bus
from tests.integration.knx.test_gateway import SPECS, lines_file

pytestmark = needs_bus
ROOM, BLIND, SENSOR = "10", 7, 13
HOLD_S = 30


async def test_a_wall_buttons_hold_survives_kill_9_of_the_rooms_worker_ends_on_time_and_hands_back(
    stack: Settings, tmp_path: Path
) -> None:
    with bus() as on, actuators(on, SPECS):
        async with bench(stack, "directory", "rooms", "api", "knx", lines=lines_file(tmp_path, on)) as b:
            await put_policy(b, {"manual_lease_s": HOLD_S, "blind_dwell_s": 0})
            try:
                await until(b, lambda _: True, "the blind is known")
                await ask(b, "DELETE", f"/v1/rooms/{ROOM}/actuators/{BLIND}/lease", None, 202)  # of another test on this log
                await b.producer.send(ROOM_EVENTS.name, ROOM, b.codecs.encode(Reading(SENSOR, Kind.humidity_pct, 60.0, utc_now())))
                await until(b, closed_against_humidity, "automation has closed the blind")
                await asyncio.to_thread(on.knxtool, "groupswrite", "1/4/10", "0")
                held = await until(b, lambda blind: blind["manual"], "the button holds the blind")
                ends_at = datetime.fromisoformat(held["manual"]["until_at"])
                assert held["winner"]["rule"].startswith("push button 1.0.")
                assert held["losers"][0]["rule"] == "close when humid"
                b.running["rooms"].kill()
                b.running["rooms"].start()
                after = await until(b, lambda blind: blind["reported_pct"] == 0, "the button has opened the blind")
                assert after["manual"] == held["manual"]
                assert "it was set by hand (push button 1.0." in after["why"]
                assert utc_now() < ends_at, "the worker was back before the hold's end"
                back = await until(b, lambda blind: blind["manual"] is None, "the hold has ended")
                assert (back["winner"]["rule"], back["desired_pct"]) == ("close when humid", 100)
                assert timedelta(0) <= datetime.fromisoformat(back["desired_at"]) - ends_at < timedelta(seconds=2)
                await until(b, lambda blind: blind["reported_pct"] == 100, "automation has it back")
            finally:
                await put_policy(b, {})


def closed_against_humidity(blind: dict[str, Any]) -> bool:
    return blind["reported_pct"] == 100 and blind["manual"] is None and (blind["winner"] or {}).get("rule") == "close when humid"


async def until(b: Bench, condition: Any, what: str) -> dict[str, Any]:
    """The blind as the API tells it once the condition holds."""
    seen: dict[str, Any] = {}

    def look() -> bool:
        _, room = asking.ask(f"{url_of(b)}/v1/rooms/{ROOM}")
        seen.update(next((each for each in room["actuators"] if each["device_id"] == BLIND), {}))
        return bool(seen) and bool(condition(seen))

    await wait(look, what, within_s=HOLD_S + 30)
    return seen


async def put_policy(b: Bench, document: dict[str, Any]) -> None:
    """Change the room's own policy, and wait until it is in force: a hand before that holds for as long as the old one says."""
    path = f"/v1/policies/rooms/{ROOM}"
    await ask(b, "PUT", path, document, 200)
    default = msgspec.to_builtins(DEFAULT_POLICY)
    wanted = {name: document.get(name, default[name]) for name in ("manual_lease_s", "blind_dwell_s")}

    def in_force() -> bool:
        _, told = asking.ask(f"{url_of(b)}{path}")
        return wanted.items() <= (told["in_force"] or {}).items()

    await wait(in_force, "the policy is in force")


async def ask(b: Bench, method: str, path: str, body: dict[str, Any] | None, status: int) -> None:
    """One request to the API, answered with this status."""
    answer = await asyncio.to_thread(asking.ask, f"{url_of(b)}{path}", body, method=method, etag="*")
    assert answer[0] == status, answer


def url_of(b: Bench) -> str:
    return f"http://127.0.0.1:{b.settings.api_port}"
