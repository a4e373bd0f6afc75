"""The simulated building as a server: JSON lines on loopback.

Its KNX devices speak KNXnet/IP besides (`infra.simulator.knx`), its Z-Wave nodes are zwave-js's mock nodes
(`infra.simulator.zwave`), each where there is a port for it.

A line to it: `{"op": "subscribe", "bus": "knx"}` (answers `hello`, then every present value, then reports as they come),
`{"op": "write", "id": 1, "bus": "knx", "address": "3/4/10", "value": 100}`, `{"op": "read", "id": 2, "bus": ..., "address": ...}`,
`{"op": "counts", "id": 3}`. The answer bears the `id`; an address nobody has answers `{"id": 2, "silent": true}`.
A report: `{"address": "4/4/10", "value": 37.5, "at": 1700000000000}`, `at` in Unix milliseconds of real time, whatever the speed.
The clock of the story starts with the first subscription, or the first telegram on the KNX line; where there are Z-Wave nodes of
their own, once a host knows them all too, but it does not wait for that for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from infra.simulator.knx import KnxDevices
from infra.simulator.play import TICK_S, Play
from infra.simulator.wiring import Point
from infra.simulator.zwave import ZwaveDevices
from schemas.records import Bus
from streams.notify import notify
from streams.settings import BadSetting, Settings
from streams.waiting import happens

_STALLED_BYTES = 1 << 20
_MOST_TICKS = 40
_ZWAVE_KNOWN_WITHIN_S = 20.0
_logger = logging.getLogger(__name__)


class Request(msgspec.Struct):
    """One line from a client."""

    op: str
    id: int = 0
    bus: Bus = Bus.unknown
    address: str = ""
    value: float = 0.0


class Simulator:
    """Serves one `Play` to any number of gateways."""

    def __init__(self, seed: int, speed: float, knx_port: int | None = None, zwave_port: int | None = None) -> None:
        self._play = Play(seed, datetime.now(UTC), speed)
        self._knx = None if knx_port is None else KnxDevices(self._play, knx_port, self._tell, lambda: self._started.set())
        self._zwave = None if zwave_port is None else ZwaveDevices(self._play, zwave_port, self._tell)
        self._speed = speed
        self._clients: set[asyncio.StreamWriter] = set()
        self._listeners: dict[asyncio.StreamWriter, Bus] = {}
        self._started = asyncio.Event()

    async def serve(self, port: int) -> None:
        """Serve on loopback until cancelled; ready once it listens."""
        server = await asyncio.start_server(self._client, "127.0.0.1", port)
        async with server, asyncio.TaskGroup() as tasks:
            if self._knx is not None:
                tasks.create_task(self._knx.run())
            if self._zwave is not None:
                tasks.create_task(self._zwave.run())
            notify(ready=True)
            _logger.info("simulated building on 127.0.0.1:%d", port)
            try:
                await self._run()
            finally:
                for client in self._clients:
                    client.transport.abort()

    async def _run(self) -> None:
        await self._started.wait()
        if self._zwave is not None:
            await happens(self._zwave.known, _ZWAVE_KNOWN_WITHIN_S)
        started, ticks = time.monotonic(), 0
        while True:
            behind = int((time.monotonic() - started) / TICK_S) - ticks
            if behind > _MOST_TICKS:  # the machine slept: do not race through what was missed
                ticks += behind - 1
                behind = 1
            for _ in range(behind):
                self._play.tick()
                ticks += 1
                self._tell()
            await asyncio.sleep(max(0.01, started + (ticks + 1) * TICK_S - time.monotonic()))

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                try:
                    request = msgspec.json.decode(line, type=Request)
                except msgspec.DecodeError as error:
                    _send(writer, {"error": str(error)})
                    continue
                self._answer(request, writer)
                await writer.drain()
        except (ConnectionError, ValueError) as error:  # ValueError: a line longer than the reader's limit
            _logger.info("a client went: %s", error)
        finally:
            self._clients.discard(writer)
            self._listeners.pop(writer, None)
            writer.close()

    def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        play, answer = self._play, {"id": request.id}
        try:
            match request.op:
                case "subscribe":
                    _send(writer, answer | {"hello": "atrium simulator", "speed": self._speed})
                    for point, value in play.present(request.bus):
                        _send(writer, _report(point, value))
                    self._listeners[writer] = request.bus
                    self._started.set()
                case "write":
                    play.write(request.bus, request.address, request.value)
                    _send(writer, answer | {"ok": True})
                    self._tell()
                case "read":
                    _send(writer, answer | {"value": play.read(request.bus, request.address)})
                case "counts":
                    counts = {str(device_id): count._asdict() for device_id, count in play.counts.items()}
                    _send(writer, answer | {"counts": counts, "elapsed_s": play.floor.elapsed_s})
                case _:
                    _send(writer, answer | {"error": f"unknown op {request.op!r}"})
        except KeyError:
            _send(writer, answer | {"silent": True})

    def _tell(self) -> None:
        for point, value in self._play.reports():
            if self._knx is not None and point.bus is Bus.knx:
                self._knx.tell(point, value)
            if self._zwave is not None and point.bus is Bus.zwave:
                self._zwave.tell(point, value)
            for writer, bus in list(self._listeners.items()):
                if bus is not point.bus:
                    continue
                if writer.transport.get_write_buffer_size() > _STALLED_BYTES:  # it has stopped reading; it will connect again
                    writer.transport.abort()
                    self._listeners.pop(writer)
                else:
                    _send(writer, _report(point, value))


def _report(point: Point, value: float) -> dict[str, Any]:
    return {"address": point.status, "value": value, "at": time.time_ns() // 1_000_000}


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    if not writer.is_closing():
        writer.write(msgspec.json.encode(message) + b"\n")


async def _serve_until_told(settings: Settings, port: int) -> None:
    ports = settings.simulator_knx_port, settings.simulator_zwave_port
    simulator = Simulator(settings.simulator_seed, settings.simulator_speed, *ports)
    serving = asyncio.ensure_future(simulator.serve(port))
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def main(settings: Settings) -> None:
    """Entry point of the role `simulator`. Raises `BadSetting` without a port."""
    if settings.simulator_port is None:
        raise BadSetting("ATRIUM_SIMULATOR_PORT is not set: run under `atrium up`, which sets it, or give a port")
    asyncio.run(_serve_until_told(settings, settings.simulator_port))
