"""The Z-Wave driver against the contract of all drivers, on zwave-js's mock controller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from agents.gateways.drivers.openzwave import OpenZwaveNetwork
from agents.gateways.drivers.zwave import ZwaveDriver
from agents.gateways.drivers.zwave_js import ZwaveJsNetwork
from agents.gateways.drivers.zwave_network import Network
from infra.building_plan import DEVICES, ZWAVE_LINE
from schemas.records import Kind
from tests.integration.driver_contract import DriverContract
from tests.integration.zwave.mock import Building, dimmer, kept_building, multisensor, needs_zwave_js
from tests.integration.zwave.pty import PACKAGES, Pty, needs_openzwave, serial_port


class ZwaveRig:
    """The driver over a network, and devices 9, 10, 11 of the seeded building on the mock controller."""

    blind = None
    kind = Kind.level_pct

    def __init__(self, network: Network, built: Building) -> None:
        self.driver = ZwaveDriver(network, ZWAVE_LINE)
        self.built = built
        self.devices = [device for device in DEVICES if device.device_id in (9, 10, 11)]
        self.actuator = self.devices[1]

    async def break_bus(self) -> None:
        self.built.server.kill()

    async def mend_bus(self) -> None:
        await self.built.start(self.built.server)
        await self.built.known()


NODES = [multisensor(2, manufacturerId=0xFFFF), dimmer(3, supervision=True), dimmer(4)]


@pytest.fixture(scope="module")
def kept() -> Iterator[Building]:
    """One building for all."""
    with kept_building(NODES) as built:
        yield built


async def _rig(kept: Building, actuator: int) -> AsyncIterator[ZwaveRig]:
    await kept.mock.open()
    if kept.server.process is None or kept.server.process.poll() is not None:
        await kept.start(kept.server)
    await kept.known()
    made = ZwaveRig(ZwaveJsNetwork(kept.url), kept)
    made.actuator = made.devices[actuator]
    yield made
    await made.driver.stop()
    await kept.mock.close()


@needs_zwave_js
class TestZwaveJs(DriverContract):
    """Through the Z-Wave JS server, a dimmer that confirms by Supervision."""

    @pytest.fixture
    async def rig(self, kept: Building) -> AsyncIterator[ZwaveRig]:
        async for made in _rig(kept, actuator=1):
            yield made


class OpenZwaveRig(ZwaveRig):
    """OpenZWave's child on the same stick, behind a serial port."""

    def __init__(self, built: Building, port: Pty) -> None:
        super().__init__(OpenZwaveNetwork(str(port.path), packages=PACKAGES, state=built.home / "openzwave"), built)
        self._port = port

    async def break_bus(self) -> None:
        await self._port.unplug()

    async def mend_bus(self) -> None:
        await self._port.plug()


@needs_zwave_js
@needs_openzwave
class TestOpenZwave(DriverContract):
    """Through python-openzwave."""

    @pytest.fixture
    async def rig(self, kept: Building) -> AsyncIterator[OpenZwaveRig]:
        kept.server.stop()  # a stick has one host
        await kept.mock.open()
        async with serial_port(kept.home / "tty", kept.serial_port) as port:
            made = OpenZwaveRig(kept, port)
            yield made
            await made.driver.stop()
        await kept.mock.close()


@needs_zwave_js
async def test_a_dimmer_without_supervision_is_asked(kept: Building) -> None:
    """The same with one that has to be asked."""
    async for rig in _rig(kept, actuator=2):
        await DriverContract().test_what_is_written_is_read_back_and_reported(rig)
