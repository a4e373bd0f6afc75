"""Z-Wave nodes in the running building: a hand on a dimmer holds, what cannot be is a dead letter, what nobody knows is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from infra.zwave.parts import Description
from schemas.records import DeadLetter, Kind, Reading
from streams.settings import Settings
from tests.integration.gateway_bench import Bench, bench, wait
from tests.integration.room_api import RoomApi
from tests.integration.zwave.mock import building, dimmer, multisensor, needs_zwave_js

pytestmark = needs_zwave_js
ROOM, SENSOR, DIMMER = "10", 13, 15
SENSOR_NODE, OTHER_NODE, DIMMER_NODE = 6, 7, 8
NODES: list[Description] = [
    *(multisensor(node_id) for node_id in (2, 5)), multisensor(OTHER_NODE, scales={"humidity": 1}),
    multisensor(SENSOR_NODE, fahrenheit=True, values={"co2": 800, "ultraviolet": 1}),
    *(dimmer(node_id) for node_id in (3, 4, 9)), dimmer(DIMMER_NODE, supervision=True),
]  # fmt: skip
ASTRAY_S = 2


async def test_a_hand_on_a_dimmer_holds_it_and_a_late_report_of_our_own_does_not(stack: Settings) -> None:
    async with building(NODES) as built, bench(stack, "directory", "rooms", "api", "zwave", zwave_server_url=built.url) as b:
        room = RoomApi(b, ROOM)
        lamp_is = partial(room.actuator, DIMMER)
        await room.put_policy(astray_after_s=ASTRAY_S)
        try:
            await lamp_is(lambda lamp: lamp["reported_pct"] is not None, "the dimmer is known")
            await room.give_back(DIMMER)
            await lamp_is(lambda lamp: lamp["manual"] is None, "nobody holds it")
            for level_pct in (80, 90):
                await room.hold(DIMMER, level_pct)
                await lamp_is(lambda lamp, to=level_pct: lamp["reported_pct"] == to, "it goes where it is asked to")  # type: ignore[misc]
            await room.give_back(DIMMER)
            free = await lamp_is(lambda lamp: not lamp["manual"] and lamp["desired_pct"] == lamp["reported_pct"], "given back")
            await built.mock.hand(DIMMER_NODE, 80)  # as a late report of the level before would say, and at once the present one
            await built.mock.hand(DIMMER_NODE, round(free["desired_pct"]))
            await built.mock.tell(SENSOR_NODE, temperature=20.1)
            await asyncio.sleep(ASTRAY_S + 1)  # the time in which it would become a hand
            still = await lamp_is(lambda lamp: lamp["reported_pct"] == free["desired_pct"], "it is where it was")
            assert still["manual"] is None
            await built.mock.hand(DIMMER_NODE, 33)
            held = await lamp_is(lambda lamp: lamp["manual"], "a hand on the dimmer holds it")
            assert (held["desired_pct"], held["reported_pct"], held["winner"]["slot"]) == (33, 33, "manual")
            assert held["winner"]["rule"] == "hand at the device"
        finally:
            await room.put_policy()


async def test_readings_in_their_units_the_impossible_and_the_unknown(stack: Settings) -> None:
    async with building(NODES) as built, bench(stack, "directory", "rooms", "zwave", zwave_server_url=built.url) as b:
        wanted = {
            (Kind.temperature_c, 20), (Kind.humidity_pct, 41), (Kind.illuminance_lx, 77), (Kind.co2_ppm, 1234), (Kind.motion, 1),
            (Kind.battery_pct, 55),
        }  # fmt: skip
        await wait(lambda: {kind for kind, _ in wanted} <= {kind for kind, _ in readings(b)}, "it was asked for everything")
        await built.mock.tell(SENSOR_NODE, temperature=20.0, humidity=41, illuminance=77, co2=1234, motion=True, battery=55)
        await wait(lambda: wanted <= readings(b), f"told: {wanted}, heard {readings(b)}")
        before = b.running["zwave"].read_metrics()
        await built.mock.tell(SENSOR_NODE, temperature=900)
        await wait(lambda: letters(b, "out_of_range"), "an impossible temperature is a dead letter")
        assert f"device {SENSOR}: temperature_c = 900, possible are" in letters(b, "out_of_range")[-1].detail
        await built.mock.tell(SENSOR_NODE, ultraviolet=3)
        await built.mock.tell(OTHER_NODE, humidity=9)
        await wait(lambda: counted(b, before, "ignored_unknown_kind") >= 1, "an unknown kind (ultraviolet) is counted")
        await wait(lambda: counted(b, before, "ignored_unknown_unit") >= 1, "an unknown unit (humidity in g/m³) is counted")
        assert {value for kind, value in readings(b) if kind is Kind.humidity_pct} == {45, 41}


def readings(b: Bench) -> set[tuple[Kind, float]]:
    return {(r.kind, round(r.value, 3)) for _, r in b.events.look() if isinstance(r, Reading) and r.device_id == SENSOR}


def letters(b: Bench, reason: str) -> list[DeadLetter]:
    return [r for _, r in b.dead.look() if isinstance(r, DeadLetter) and r.reason == reason and f"device {SENSOR}:" in r.detail]


def counted(b: Bench, before: Mapping[str, float], name: str) -> float:
    return b.running["zwave"].read_metrics().get(name, 0) - before.get(name, 0)
