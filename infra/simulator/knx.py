"""The simulated building's KNX devices on a real line: each a participant of KNXnet/IP Routing with an address of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from xknx import XKNX
from xknx.dpt.payload import DPTArray
from xknx.exceptions import XKNXException
from xknx.io import ConnectionConfig, ConnectionType
from xknx.telegram import GroupAddress, IndividualAddress, Telegram
from xknx.telegram.apci import GroupValueRead, GroupValueResponse, GroupValueWrite

from agents.gateways import knx_mapping
from agents.gateways.knx_dpt import NotThatDpt, decode, encode
from agents.gateways.knx_functions import Part
from agents.gateways.knx_mapping import GroupObject
from infra.building_plan import DEVICES
from infra.simulator.play import Play
from infra.simulator.wiring import BY_STATUS, Point
from schemas.records import Bus

_OBJECTS = {
    found.address: found
    for device in DEVICES
    if device.bus is Bus.knx
    for found in knx_mapping.objects_of(device).by_name.values()
}  # fmt: skip
_POSITIONS = {found.device_id: found.address for found in _OBJECTS.values() if found.part is Part.command}
_logger = logging.getLogger(__name__)


class KnxDevices:
    """Joins a `Play` to the line. `moved` is called after each telegram that told a device something, `met` on each at all."""

    def __init__(self, play: Play, port: int, moved: Callable[[], None], met: Callable[[], None]) -> None:
        self._play, self._moved, self._met = play, moved, met
        connection = ConnectionConfig(connection_type=ConnectionType.ROUTING, local_ip="127.0.0.1", multicast_port=port)
        self._xknx = XKNX(connection_config=connection, telegram_received_cb=self._hear)
        self._to_say: asyncio.Queue[Telegram] = asyncio.Queue()

    async def run(self) -> None:
        """Take part until cancelled. Raises xknx's `CommunicationError` where there is no multicast."""
        await self._xknx.start()
        try:
            while True:
                telegram = await self._to_say.get()
                try:
                    await self._xknx.cemi_handler.send_telegram(telegram)
                except XKNXException as error:
                    _logger.warning("not said: %s", error)
        finally:
            await self._xknx.stop()

    def tell(self, point: Point, value_pct: float) -> None:
        """A device says its value by itself."""
        self._say(point.device_id, point.status, GroupValueWrite(DPTArray(_byte(value_pct))))

    def _hear(self, telegram: Telegram) -> None:
        address, payload = str(telegram.destination_address), telegram.payload
        self._met()
        if isinstance(payload, GroupValueRead) and (Bus.knx, address) in BY_STATUS:
            value = GroupValueResponse(DPTArray(_byte(self._play.read(Bus.knx, address))))
            self._say(BY_STATUS[Bus.knx, address].device_id, address, value)
        elif isinstance(payload, GroupValueWrite) and (found := _OBJECTS.get(address)) is not None:
            try:
                self._take(found, decode(found.dpt, payload.value.value))
            except NotThatDpt as error:
                _logger.warning("%s: %s", address, error)

    def _take(self, found: GroupObject, value: float) -> None:
        if found.part is Part.command:
            self._play.write(Bus.knx, found.address, value)
        elif found.part is Part.move:
            self._play.write(Bus.knx, _POSITIONS[found.device_id], value * 100)
        self._moved()

    def _say(self, device_id: int, address: str, payload: GroupValueWrite | GroupValueResponse) -> None:
        source = IndividualAddress(f"1.1.{device_id}")
        self._to_say.put_nowait(Telegram(GroupAddress(address), payload=payload, source_address=source))


def _byte(value_pct: float) -> tuple[int, ...]:
    raw = encode("5.001", value_pct)
    assert isinstance(raw, tuple)
    return raw
