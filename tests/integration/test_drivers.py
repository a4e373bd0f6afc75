"""Every driver against the contract: the simulated one on both its buses; the KNX one by routing and through knxd."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from agents.gateways.drivers.base import BusUnavailable, Driver
from agents.gateways.drivers.knx import KnxDriver
from agents.gateways.drivers.simulated import SimulatedDriver
from infra.building_plan import DEVICES
from infra.multicast import why_no_multicast
from infra.simulator.server import Simulator
from schemas.records import Bus, DeviceRole, Kind
from streams.knx_lines import SIMULATED_KNX_LINE, simulated_line
from tests.integration.driver_contract import DriverContract, Rig, raises_soon, reports_until
from tests.integration.knx.bus import Actuators, actuators, bus, needs_bus
from tests.integration.knx.bus import Bus as KnxBus
from tests.processes import free_port

_SPEED = 10.0


class SimulatedRig:
    """The simulated driver and a simulator in this process."""

    def __init__(self, bus: Bus) -> None:
        self._port = free_port()
        self._server: asyncio.Task[None] | None = None
        self.driver: Driver = SimulatedDriver(bus, self._port)
        self.devices = [device for device in DEVICES if device.bus is bus]
        role = DeviceRole.radiator_valve if bus is Bus.knx else DeviceRole.dimmer
        self.kind = Kind.valve_pct if bus is Bus.knx else Kind.level_pct
        self.actuator = next(device for device in self.devices if device.role is role)
        self.blind = next((device for device in self.devices if device.role is DeviceRole.blind), None)

    def _simulator(self) -> Simulator:
        return Simulator(4, _SPEED)

    async def mend_bus(self) -> None:
        if self._server is None:
            self._server = asyncio.create_task(self._simulator().serve(self._port))
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


class KnxRig(SimulatedRig):
    """The KNX driver and the simulated KNX devices, both on KNXnet/IP Routing, on a port of their own."""

    def __init__(self) -> None:
        super().__init__(Bus.knx)
        self._knx_port = free_port()
        self.driver = KnxDriver({SIMULATED_KNX_LINE: simulated_line(self._knx_port, _SPEED)})

    def _simulator(self) -> Simulator:
        return Simulator(4, _SPEED, self._knx_port)


class TunnelRig:
    """The KNX driver in a tunnel of knxd; on the bus behind it a valve and a blind of npm knxultimate."""

    def __init__(self, on: KnxBus, made: Actuators) -> None:
        self._bus, self._actuators = on, made
        self.driver = KnxDriver({"knx-4": on.line(blind_travel_s=3.0)})
        self.devices = [device for device in DEVICES if device.device_id in (2, 6)]
        self.actuator, self.blind = self.devices
        self.kind = Kind.valve_pct

    async def mend_bus(self) -> None:
        await asyncio.to_thread(self._bus.start)

    async def break_bus(self) -> None:
        self._bus.kill()


@pytest.fixture(params=[Bus.knx, Bus.zwave])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedRig]:
    async with _built(SimulatedRig(request.param)) as made:
        yield made


@contextlib.asynccontextmanager
async def _built(made: SimulatedRig) -> AsyncIterator[SimulatedRig]:
    await made.mend_bus()
    yield made
    await made.driver.stop()
    await made.break_bus()


class TestSimulated(DriverContract):
    """The simulated driver."""


@pytest.mark.skipif((_why := why_no_multicast(free_port())) is not None, reason=f"needs multicast on loopback: {_why}")
class TestKnxByRouting(DriverContract):
    """The KNX driver on a multicast group."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[SimulatedRig]:
        async with _built(KnxRig()) as made:
            yield made

    async def test_a_start_without_a_bus_says_so(self, rig: Rig) -> None:
        """Routing knows no connection: that nobody is there is found by asking."""
        await rig.break_bus()
        await rig.driver.start(rig.devices)
        await raises_soon(BusUnavailable, lambda: rig.driver.read(rig.actuator, rig.kind))
        assert "nobody answers" in (rig.driver.health or "")
        await rig.mend_bus()
        await reports_until(rig.driver, lambda r: r.device_id == rig.actuator.device_id)
        assert rig.driver.health is None


@needs_bus
class TestKnxThroughKnxd(DriverContract):
    """The KNX driver in a tunnel."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[TunnelRig]:
        specs = [
            {"id": 2, "command": "0/4/2", "status": "5/4/2"},
            {"id": 6, "command": "3/4/2", "upDown": "1/4/2", "status": "4/4/2", "travelMs": 3000},
        ]
        with bus() as on, actuators(on, specs) as made:
            built = TunnelRig(on, made)
            yield built
            await built.driver.stop()
