"""The driver of the simulated building (`infra.simulator`): one connection, kept up by itself, for one bus."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from agents.gateways import knx_mapping, zwave_mapping
from agents.gateways.drivers.base import BusUnavailable, DeviceSilent, Hand, Report, Written
from agents.gateways.drivers.outbox import Outbox
from agents.rules.devices import ACTUATES
from schemas.records import Bus, Device, DeviceRole, Kind

BLIND_TRAVEL_S = 30.0
_SETTLE_S = 2.0
_ANSWER_S = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


class Line(msgspec.Struct):
    """One line from the simulator: an answer (`id`) or a report (`address`)."""

    id: int | None = None
    address: str | None = None
    value: float | None = None
    at: int = 0
    speed: float | None = None
    silent: bool = False
    error: str | None = None


class SimulatedDriver:
    """`drivers.base.Driver` for one bus of the simulated building. On every (re)connection each present value is reported once."""

    def __init__(self, bus: Bus, port: int) -> None:
        self._bus, self._port = bus, port
        self._objects: dict[str, tuple[int, Kind]] = {}
        self._outbox = Outbox()
        self._answers: dict[int, asyncio.Future[Line]] = {}
        self._ids = itertools.count(1)
        self._writer: asyncio.StreamWriter | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._speed = 1.0
        self.trouble: str | None = "not started"

    @property
    def health(self) -> str | None:
        """None when connected, else what is wrong."""
        return self._outbox.trouble or self.trouble

    async def start(self, devices: Sequence[Device]) -> None:
        """Connect and serve these devices; called again, serve these instead. Raises `BusUnavailable`."""
        self._objects = {address: (device.device_id, kind) for device in devices for kind, address in _status_addresses(device)}
        if self._keeper is None:
            reader = await self._connect()
            self._keeper = asyncio.create_task(self._keep(reader))
            self._outbox.watch(self._keeper)
        await self._ask({"op": "subscribe"})

    async def stop(self) -> None:
        """Disconnect; pending calls end with `BusUnavailable`."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None
        self._lost("stopped")

    async def reports(self) -> Report | Hand:
        """The next value a device reported; waits for one. Raises what ended the driver's own work."""
        return await self._outbox.get()

    async def reachable(self, device: Device) -> None:
        """At once: nothing sleeps."""

    async def write(self, device: Device, kind: Kind, target_pct: float) -> Written:
        """Send an absolute target once. Raises `DeviceSilent`, `BusUnavailable`."""
        address = _write_address(device, kind)
        if (await self._ask({"op": "write", "address": address, "value": target_pct})).silent:
            raise DeviceSilent(f"nobody listens on {self._bus} {address}")
        return Written()

    async def read(self, device: Device, kind: Kind) -> float:
        """Ask the device for its present value. Raises `DeviceSilent`, `BusUnavailable`."""
        address = _status_address(device, kind)
        answer = await self._ask({"op": "read", "address": address})
        if answer.silent or answer.value is None:
            raise DeviceSilent(f"nobody answers on {self._bus} {address}")
        return answer.value

    def travel_s(self, device: Device, from_pct: float | None, to_pct: float) -> float:
        """How long the device may take from one value to another, seconds."""
        way_pct = abs(to_pct - from_pct) if from_pct is not None else 100.0
        return _SETTLE_S + (BLIND_TRAVEL_S * way_pct / 100 if device.role is DeviceRole.blind else 0.0) / self._speed

    def confirms(self, device: Device, kind: Kind) -> bool:
        """Always: the simulated building answers for the device itself."""
        return True

    def resend_s(self, device: Device) -> float | None:
        """Never: nothing is lost, nothing falls back."""
        return None

    @property
    def metrics(self) -> Mapping[str, float]:
        """Nothing else is counted on this way."""
        return {"reports_dropped": self._outbox.dropped}

    async def _connect(self) -> asyncio.StreamReader:
        try:
            async with asyncio.timeout(_ANSWER_S):  # wait_for may lose a cancellation (python/cpython issue 86296)
                reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        except (OSError, TimeoutError) as error:
            self._lost(f"simulated {self._bus} bus on port {self._port}: {error}")
            raise BusUnavailable(self.trouble or "") from error
        self.trouble = None
        return reader

    async def _keep(self, reader: asyncio.StreamReader) -> None:
        """Read lines for ever; when the connection ends, connect and subscribe again."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                while line := await reader.readline():
                    self._take(msgspec.json.decode(line, type=Line))
                    pause_s = _FIRST_PAUSE_S
                self._lost(f"the simulated {self._bus} bus closed the connection")
            except (OSError, ValueError) as error:
                self._lost(f"simulated {self._bus} bus: {error}")
            while self._writer is None:
                await asyncio.sleep(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
                with contextlib.suppress(BusUnavailable):  # `trouble` says it; the next round tries again
                    reader = await self._connect()
                    self._send({"id": 0, "op": "subscribe", "bus": self._bus})

    def _take(self, line: Line) -> None:
        self._speed = line.speed or self._speed
        if line.id is not None:
            answer = self._answers.pop(line.id, None)
            if answer is not None and not answer.done():
                answer.set_result(line)
        elif line.address in self._objects and line.value is not None:
            device_id, kind = self._objects[line.address]
            at = datetime.fromtimestamp(line.at / 1000, UTC)
            self._outbox.put(Report(device_id=device_id, kind=kind, value=line.value, at=at))

    async def _ask(self, request: dict[str, Any]) -> Line:
        request_id = next(self._ids)
        answer: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answer
        try:
            self._send({"id": request_id, "bus": self._bus, **request})
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except TimeoutError:
            raise BusUnavailable(f"the simulated {self._bus} bus did not answer within {_ANSWER_S:g} s") from None
        finally:
            self._answers.pop(request_id, None)

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer is None:
            raise BusUnavailable(self.trouble or "not connected")
        self._writer.write(msgspec.json.encode(message) + b"\n")

    def _lost(self, why: str) -> None:
        self.trouble = why
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(BusUnavailable(why))


def _status_addresses(device: Device) -> list[tuple[Kind, str]]:
    kinds: tuple[Kind, ...] = zwave_mapping.REPORTS.get(device.role, ())
    if device.bus is Bus.knx:
        kinds = (ACTUATES[device.role],) if device.role in ACTUATES else ()
    return [(kind, _status_address(device, kind)) for kind in kinds]


def _status_address(device: Device, kind: Kind) -> str:
    return knx_mapping.status_address(device, kind) if device.bus is Bus.knx else zwave_mapping.value_address(device, kind)


def _write_address(device: Device, kind: Kind) -> str:
    return knx_mapping.write_address(device, kind) if device.bus is Bus.knx else zwave_mapping.value_address(device, kind)
