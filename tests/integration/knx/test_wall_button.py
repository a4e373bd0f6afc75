"""A wall button on a real line of the running building: its hold outlasts automation and a killed worker, and ends on time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from agents.gateways.log import utc_now
from schemas.records import Kind, Reading
from streams.settings import Settings
from streams.topics import ROOM_EVENTS
from tests.integration.gateway_bench import bench
from tests.integration.knx.bus import actuators, bus, needs_bus
from tests.integration.knx.test_gateway import SPECS, lines_file
from tests.integration.room_api import RoomApi

pytestmark = needs_bus
ROOM, BLIND, SENSOR = "10", 7, 13
HOLD_S = 60
"""It outlives a kill and a restart of the worker, which may take 30 s."""


async def test_a_wall_buttons_hold_survives_kill_9_of_the_rooms_worker_ends_on_time_and_hands_back(
    stack: Settings, tmp_path: Path
) -> None:
    with bus() as on, actuators(on, SPECS):
        async with bench(stack, "directory", "rooms", "api", "knx", lines=lines_file(tmp_path, on)) as b:
            room = RoomApi(b, ROOM)
            blind_is = partial(room.actuator, BLIND, within_s=HOLD_S + 30)
            await room.put_policy(manual_lease_s=HOLD_S, blind_dwell_s=0)
            try:
                await blind_is(lambda _: True, "the blind is known")
                await room.give_back(BLIND)
                await b.producer.send(ROOM_EVENTS.name, ROOM, b.codecs.encode(Reading(SENSOR, Kind.humidity_pct, 60.0, utc_now())))
                await blind_is(closed_against_humidity, "automation has closed the blind")
                await asyncio.to_thread(on.knxtool, "groupswrite", "1/4/10", "0")
                held = await blind_is(lambda blind: blind["manual"], "the button holds the blind")
                ends_at = datetime.fromisoformat(held["manual"]["until_at"])
                assert held["winner"]["rule"].startswith("push button 1.0.")
                assert held["losers"][0]["rule"] == "close when humid"
                b.running["rooms"].kill()
                b.running["rooms"].start()
                after = await blind_is(lambda blind: blind["reported_pct"] == 0, "the button has opened the blind")
                assert after["manual"] == held["manual"]
                assert "it was set by hand (push button 1.0." in after["why"]
                assert utc_now() < ends_at, "the worker was back before the hold's end"
                back = await blind_is(lambda blind: blind["manual"] is None, "the hold has ended")
                assert (back["winner"]["rule"], back["desired_pct"]) == ("close when humid", 100)
                assert timedelta(0) <= datetime.fromisoformat(back["desired_at"]) - ends_at < timedelta(seconds=2)
                await blind_is(lambda blind: blind["reported_pct"] == 100, "automation has it back")
            finally:
                await room.put_policy()


def closed_against_humidity(blind: dict[str, Any]) -> bool:
    return blind["reported_pct"] == 100 and blind["manual"] is None and (blind["winner"] or {}).get("rule") == "close when humid"
