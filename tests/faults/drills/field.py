"""The actuators: a bus in the simulated building's protocol (`infra.simulator.server`) that moves at once and counts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Any

import msgspec

from agents.gateways import knx_mapping
from agents.rules.devices import ACTUATES
from infra.simulator.server import Request
from schemas.records import Bus
from tests.faults.drills.plan import Plan, devices


class Point(msgspec.Struct):
    """One actuator: what it was told, in order, and when (seconds since 1970); `value` is where it stands."""

    device_id: int
    status: str
    value: float = 0.0
    heard: list[float] = []
    heard_at: list[float] = []


class Field:
    """Serves the plan's actuators on a port, in a thread of its own; it outlives every gateway."""

    def __init__(self, plan: Plan, port: int) -> None:
        self.port = port
        self.points: dict[int, Point] = {}
        self._by_write: dict[str, Point] = {}
        self._by_status: dict[str, Point] = {}
        self._listeners: set[asyncio.StreamWriter] = set()
        for device in (each for number in range(plan.rooms) for each in devices(number) if each.bus is Bus.knx):
            kind = ACTUATES[device.role]
            point = Point(device.device_id, knx_mapping.status_address(device, kind), heard=[])
            self.points[device.device_id] = self._by_status[point.status] = point
            self._by_write[knx_mapping.write_address(device, kind)] = point
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="field", daemon=True)

    @property
    def telegrams(self) -> int:
        """All telegrams with a target so far."""
        return sum(len(point.heard) for point in self.points.values())

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._client, "127.0.0.1", self.port))
        self._loop.run_forever()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                for answer in self._answer(msgspec.json.decode(line, type=Request), writer):
                    writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        self._listeners.discard(writer)
        writer.close()

    def _answer(self, request: Request, writer: asyncio.StreamWriter) -> list[dict[str, Any]]:
        if request.op == "subscribe":
            self._listeners.add(writer)
            return [{"id": request.id, "speed": 1.0}, *map(_report, self.points.values())]
        point = (self._by_write if request.op == "write" else self._by_status).get(request.address)
        if point is None:
            return [{"id": request.id, "silent": True}]
        if request.op == "read":
            return [{"id": request.id, "value": point.value}]
        point.heard.append(request.value)
        point.heard_at.append(time.time())
        point.value = request.value
        return [{"id": request.id, "ok": True}, _report(point)]


def _report(point: Point) -> dict[str, Any]:
    return {"address": point.status, "value": point.value, "at": time.time_ns() // 1_000_000}
