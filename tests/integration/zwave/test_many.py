"""Forty nodes that report every second for a minute: every reading arrives, in order, and what that costs; fading on the wire."""

from __future__ import annotations

import asyncio
import time
from statistics import median, quantiles

import psutil

from agents.gateways.drivers.base import Report
from agents.gateways.drivers.zwave import LOOK_S, ZwaveDriver
from agents.gateways.drivers.zwave_js import ZwaveJsNetwork
from infra.building_plan import ZWAVE_LINE
from schemas.records import Bus, Device, DeviceRole, Kind
from tests.integration.zwave.mock import building, dimmer, multisensor, needs_zwave_js
from tests.processes import Running

pytestmark = needs_zwave_js
NODES, SECONDS = 40, 60
FIRST = 2


def device(node_id: int, role: DeviceRole, endpoint: int | None = None) -> Device:
    return Device(
        device_id=100 * node_id + (endpoint or 0), revision=1, name="of the test", room_id="1", role=role, bus=Bus.zwave,
        line_id=ZWAVE_LINE, zwave_node=node_id, zwave_endpoint=endpoint,
    )  # fmt: skip


def everything_was_asked_for(driver: ZwaveDriver) -> bool:
    """Temperature, humidity, illuminance, battery and motion, and each answer is a reading."""
    return min(driver.metrics["polls"], driver.metrics["readings"]) >= NODES * 5


def value_of(second: int) -> float:
    return round(second / 10 - 2, 1)


async def test_forty_nodes_every_second_for_a_minute_all_in_order() -> None:
    ids = range(FIRST, FIRST + NODES)
    async with building([multisensor(node_id, manufacturerId=0xFFFF) for node_id in ids]) as built:
        driver = ZwaveDriver(ZwaveJsNetwork(built.url), ZWAVE_LINE)
        await driver.start([device(node_id, DeviceRole.multisensor) for node_id in ids])
        heard: dict[int, list[float]] = {100 * node_id: [] for node_id in ids}
        told_at: dict[tuple[int, float], float] = {}
        latencies: list[float] = []

        async def listen() -> None:
            while True:
                said = await driver.reports()
                if not isinstance(said, Report) or said.kind is not Kind.temperature_c:
                    continue
                if (at := told_at.get((said.device_id, said.value))) is not None:
                    heard[said.device_id].append(said.value)
                    latencies.append((time.monotonic() - at) * 1000)

        async def tell(node_id: int, second: int) -> None:
            value = value_of(second)
            await asyncio.sleep((node_id - FIRST) / NODES)
            told_at[100 * node_id, value] = time.monotonic()
            await built.mock.tell(node_id, temperature=value)

        async with asyncio.timeout(60):
            while not everything_was_asked_for(driver):  # noqa: ASYNC110  # an answer is a reading too
                await asyncio.sleep(0.1)
        listening = asyncio.create_task(listen())
        before, began = cpu_s(built.server), time.monotonic()
        own = time.process_time()
        for second in range(SECONDS):
            await asyncio.gather(*(tell(node_id, second) for node_id in ids))
            await asyncio.sleep(max(0.0, began + second + 1 - time.monotonic()))
        took = time.monotonic() - began
        async with asyncio.timeout(10):
            while len(latencies) < NODES * SECONDS:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        listening.cancel()
        own, server = time.process_time() - own, cpu_s(built.server) - before
        await driver.stop()
        told = [value_of(second) for second in range(SECONDS)]
        assert {device_id: values for device_id, values in heard.items() if values != told} == {}
        print(
            f"\n{len(latencies)} of {NODES * SECONDS} readings in {took:.0f} s; from the node to the driver's report: median"
            f" {median(latencies):.0f} ms, 99th percentile {quantiles(latencies, n=100)[98]:.0f} ms; processor: Z-Wave JS"
            f" {server / took:.0%} of a core, driver with this test {own / took:.0%}"
        )


def cpu_s(running: Running) -> float:
    times = psutil.Process(running.pid).cpu_times()
    return times.user + times.system


async def test_a_dimmer_fades_as_long_as_it_is_told_each_gang_by_itself_and_100_percent_is_99_on_the_wire() -> None:
    async with building([dimmer(2, supervision=True), dimmer(3, endpoints=2)]) as built:
        fading = ZwaveDriver(ZwaveJsNetwork(built.url), ZWAVE_LINE, transition_s=2.0)
        lamp, left, right = device(2, DeviceRole.dimmer), device(3, DeviceRole.dimmer, 1), device(3, DeviceRole.dimmer, 2)
        await fading.start([lamp, left, right])
        written = await fading.write(lamp, Kind.level_pct, 100)
        assert written.look_after_s == LOOK_S + 2.0, "it is on its way: nothing is confirmed yet"
        await asyncio.sleep(2.5)  # the fade
        assert await fading.read(lamp, Kind.level_pct) == 100
        counts = await built.mock.counts(2)
        assert (counts["level"], counts["durations"]) == (99, [2])
        await fading.write(left, Kind.level_pct, 0)
        await fading.write(right, Kind.level_pct, 66)
        await asyncio.sleep(2.5)
        assert [await fading.read(each, Kind.level_pct) for each in (left, right)] == [0, 66]
        assert (await built.mock.counts(3))["levels"].items() >= {"1": 0, "2": 66}.items()
        await fading.stop()
