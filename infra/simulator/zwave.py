"""The simulated building's Z-Wave nodes, which are zwave-js's own mock nodes in a process of their own (infra/zwave/mock.cjs).

They hold what they measured last and where they stand; here they are told what there is to measure, and tell who dimmed them.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable

import msgspec
from msgspec import Struct

from agents.gateways import zwave_levels
from infra.building_plan import DEVICES
from infra.simulator.play import Play
from infra.simulator.wiring import POINTS, Point
from schemas.records import Bus, Kind

_NODES = {device.device_id: device.zwave_node for device in DEVICES if device.bus is Bus.zwave}
_DIMMERS = {_NODES[point.device_id]: point for point in POINTS if point.bus is Bus.zwave and point.write is not None}
_NAMES = {
    Kind.temperature_c: "temperature",
    Kind.humidity_pct: "humidity",
    Kind.illuminance_lx: "illuminance",
    Kind.motion: "motion",
    Kind.battery_pct: "battery",
}
_PAUSE_S = 0.2
_STALLED_BYTES = 1 << 20
_logger = logging.getLogger(__name__)


class Line(Struct):
    """A line from the nodes: an answer (`id`) or an event."""

    id: int | None = None
    ok: bool = True
    error: str = ""
    event: str = ""
    node: int = 0
    endpoint: int = 0
    level: int = 0
    boot: str | None = None
    """In the answer to a subscription: which run of the process this is."""
    levels: dict[int, int] = {}
    settled: bool = False


class ZwaveDevices:
    """Joins a `Play` to the nodes. `moved` is called when a dimmer was; `known` is set once a host knows every node."""

    def __init__(self, play: Play, port: int, moved: Callable[[], None]) -> None:
        self._play, self._port, self._moved = play, port, moved
        self._writer: asyncio.StreamWriter | None = None
        self._ids = itertools.count(1)
        self._boot: str | None = None
        self.known = asyncio.Event()

    async def run(self) -> None:
        """Take part until cancelled; the nodes' process may come and go."""
        while True:
            try:
                reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
                self._send(op="subscribe")
                while line := await reader.readline():
                    self._take(msgspec.json.decode(line, type=Line))
            except (OSError, ValueError) as error:  # ValueError: a line that is none, or longer than the reader's limit
                _logger.debug("simulated Z-Wave nodes: %s", error)
            finally:
                if self._writer is not None:
                    self._writer.transport.abort()
                    self._writer = None
            await asyncio.sleep(_PAUSE_S)

    def tell(self, point: Point, value: float) -> None:
        """A sensor measures something and says so by itself; a dimmer has said so already."""
        if point.kind in _NAMES:
            told = bool(value) if point.kind is Kind.motion else value
            self._send(op="tell", node=_NODES[point.device_id], values={_NAMES[point.kind]: told})

    def _take(self, line: Line) -> None:
        if not line.ok:
            _logger.warning("simulated Z-Wave nodes: %s", line.error)
        if line.boot is not None:
            self._begin(line.boot, line.levels)
        if line.settled or line.event == "settled":
            self.known.set()
        if line.event == "level" and line.node in _DIMMERS and not line.endpoint:
            self._dim(_DIMMERS[line.node], line.level)
            self._moved()

    def _begin(self, boot: str, levels: dict[int, int]) -> None:
        """Lamps stay as they are when the process on one side is another: this one's, or the nodes'."""
        first, anew = self._boot is None, self._boot != boot
        self._boot = boot
        for node, point in _DIMMERS.items():
            level = zwave_levels.to_wire(self._play.read(Bus.zwave, point.status))
            if not first and anew:
                self._send(op="hand", node=node, level=level, push=False)
            elif node in levels and levels[node] != level:
                self._dim(point, levels[node])
        for point, value in self._play.present(Bus.zwave):
            self.tell(point, value)
        self._moved()

    def _dim(self, point: Point, wire: int) -> None:
        level_pct = zwave_levels.from_wire(wire)
        if point.write is not None and level_pct is not None:
            self._play.write(Bus.zwave, point.write, level_pct)

    def _send(self, **request: object) -> None:
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > _STALLED_BYTES:  # it has stopped reading: connect again
            writer.transport.abort()
            return
        writer.write(msgspec.json.encode({"id": next(self._ids), **request}) + b"\n")
