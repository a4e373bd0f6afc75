"""What every driver must do, whatever its bus: test modules parametrise `rig` with the drivers there are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent, Driver, Report
from schemas.records import Device, Kind

_WITHIN_S = 60.0


class Rig(Protocol):
    """A driver and the bus behind it, with what a test needs to break it."""

    driver: Driver
    devices: Sequence[Device]
    """Of the bus, all simulated; at least one actuator."""
    actuator: Device
    kind: Kind
    blind: Device | None
    """An actuator that takes time, where the bus has one."""

    async def break_bus(self) -> None:
        """Take the bus or its server away."""

    async def mend_bus(self) -> None:
        """Bring it back."""


async def reports_until(driver: Driver, wanted: Callable[[Report], bool], within_s: float = _WITHIN_S) -> list[Report]:
    """Everything reported up to and with the first wanted report."""
    reports: list[Report] = []
    async with asyncio.timeout(within_s):
        while not reports or not wanted(reports[-1]):
            said = await driver.reports()
            assert isinstance(said, Report), said
            reports.append(said)
    return reports


async def raises_soon(error: type[Exception], call: Callable[[], Awaitable[object]], within_s: float = _WITHIN_S) -> None:
    """The call raises the error, if not at once (the connection has not been missed yet), then soon."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                await call()
            except error:
                return
            await asyncio.sleep(0.05)


class DriverContract:
    """Inherit it in a `Test...` class of a module that has the fixture `rig`."""

    async def test_a_start_without_a_bus_says_so(self, rig: Rig) -> None:
        await rig.break_bus()
        try:
            await rig.driver.start(rig.devices)
        except BusUnavailable:
            assert rig.driver.health
        else:
            raise AssertionError("started on a bus that is not there")
        await rig.mend_bus()
        await rig.driver.start(rig.devices)
        assert rig.driver.health is None

    async def test_present_values_are_reported_once_after_the_start(self, rig: Rig) -> None:
        await rig.driver.start(rig.devices)
        reports = await reports_until(rig.driver, lambda r: r.device_id == rig.actuator.device_id)
        assert reports[-1].kind is rig.kind
        assert reports[-1].at.utcoffset() is not None

    async def test_what_is_written_is_read_back_and_reported(self, rig: Rig) -> None:
        await rig.driver.start(rig.devices)
        for target in (37.0, 0.0, 100.0):
            await rig.driver.write(rig.actuator, rig.kind, target)
            await reports_until(rig.driver, lambda r, t=target: r.device_id == rig.actuator.device_id and abs(r.value - t) <= 1)  # type: ignore[misc]
            assert abs(await rig.driver.read(rig.actuator, rig.kind) - target) <= 1

    async def test_a_device_that_is_not_there_is_silent_and_the_rest_goes_on(self, rig: Rig) -> None:
        from msgspec.structs import replace

        await rig.driver.start(rig.devices)
        nobody = replace(rig.actuator, device_id=999, knx_bloc=200, knx_objects=None, zwave_node=200)
        await raises_soon(DeviceSilent, lambda: rig.driver.read(nobody, rig.kind))
        assert await rig.driver.read(rig.actuator, rig.kind) >= 0

    async def test_only_the_devices_of_the_last_start_report(self, rig: Rig) -> None:
        await rig.driver.start(rig.devices)
        await reports_until(rig.driver, lambda r: r.device_id == rig.actuator.device_id)
        await rig.driver.start([rig.actuator])
        await rig.driver.write(rig.actuator, rig.kind, 55)
        await reports_until(rig.driver, lambda r: r.value == 55)
        await rig.driver.write(rig.actuator, rig.kind, 56)
        assert {r.device_id for r in await reports_until(rig.driver, lambda r: r.value == 56)} == {rig.actuator.device_id}

    async def test_a_blind_says_how_long_its_way_is_and_reports_on_it(self, rig: Rig) -> None:
        if rig.blind is None:
            assert not any(d.role == "blind" for d in rig.devices)
            return
        await rig.driver.start(rig.devices)
        whole, half = (rig.driver.travel_s(rig.blind, 0, to) for to in (100, 50))
        assert whole > half > 0
        assert rig.driver.travel_s(rig.blind, None, 50) >= whole - 0.01, "from an unknown place: the whole way"
        await rig.driver.write(rig.blind, Kind.closed_pct, 100)
        loop = asyncio.get_running_loop()
        started = loop.time()
        way = await reports_until(rig.driver, lambda r: r.device_id == rig.blind.device_id and r.value >= 99.5, whole + 5)
        assert loop.time() - started <= whole
        assert any(0.5 < r.value < 99.5 for r in way if r.device_id == rig.blind.device_id)

    async def test_a_bus_that_goes_away_fails_calls_and_comes_back_by_itself(self, rig: Rig) -> None:
        await rig.driver.start(rig.devices)
        await reports_until(rig.driver, lambda r: r.device_id == rig.actuator.device_id)
        await rig.break_bus()
        await raises_soon(BusUnavailable, lambda: rig.driver.read(rig.actuator, rig.kind))
        await raises_soon(BusUnavailable, lambda: rig.driver.write(rig.actuator, rig.kind, 5))
        assert rig.driver.health
        await rig.mend_bus()
        await reports_until(rig.driver, lambda r: r.device_id == rig.actuator.device_id)
        assert rig.driver.health is None
        assert await rig.driver.read(rig.actuator, rig.kind) >= 0

    async def test_after_stop_calls_fail(self, rig: Rig) -> None:
        await rig.driver.start(rig.devices)
        await rig.driver.stop()
        await raises_soon(BusUnavailable, lambda: rig.driver.read(rig.actuator, rig.kind))
