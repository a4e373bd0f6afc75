"""Every driver against the contract; today the simulated one, on both its buses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from agents.gateways.drivers.simulated import SimulatedDriver
from infra.building_plan import DEVICES
from infra.simulator.server import Simulator
from schemas.records import Bus, DeviceRole, Kind
from tests.integration.driver_contract import DriverContract
from tests.processes import free_port

_SPEED = 10.0


class SimulatedRig:
    """The simulated driver and a simulator in this process."""

    def __init__(self, bus: Bus) -> None:
        self._port = free_port()
        self._server: asyncio.Task[None] | None = None
        self.driver = SimulatedDriver(bus, self._port)
        self.devices = [device for device in DEVICES if device.bus is bus]
        role = DeviceRole.radiator_valve if bus is Bus.knx else DeviceRole.dimmer
        self.kind = Kind.valve_pct if bus is Bus.knx else Kind.level_pct
        self.actuator = next(device for device in self.devices if device.role is role)
        self.blind = next((device for device in self.devices if device.role is DeviceRole.blind), None)

    async def mend_bus(self) -> None:
        if self._server is None:
            self._server = asyncio.create_task(Simulator(4, _SPEED).serve(self._port))
            await self._listening()

    async def break_bus(self) -> None:
        if self._server is not None:
            self._server.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._server
            self._server = None

    async def _listening(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


@pytest.fixture(params=[Bus.knx, Bus.zwave])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedRig]:
    built = SimulatedRig(request.param)
    await built.mend_bus()
    yield built
    await built.driver.stop()
    await built.break_bus()


class TestSimulated(DriverContract):
    """The simulated driver."""
