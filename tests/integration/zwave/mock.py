"""zwave-js's mock controller as a building: its nodes, the Z-Wave JS server on it, and what a test does to both.

async with building([multisensor(2), dimmer(3, supervision=True)]) as built:
    await built.mock.tell(2, temperature=21.4)
    built.server.kill()
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.gateways.drivers.zwave_js import ZwaveJsNetwork
from infra.zwave import node, parts
from infra.zwave.parts import Description
from streams.settings import read_settings
from tests.processes import Running, free_port, home_of_its_own

_ANSWER_S = 10.0


def _missing() -> str | None:
    try:
        node.node()
    except node.NodeFailed as error:
        return str(error)
    return None if node.installed(read_settings(os.environ).packages) else "the Z-Wave JS server is not installed: run `make setup`"


needs_zwave_js = pytest.mark.skipif((_why := _missing()) is not None, reason=_why or "")


def multisensor(node_id: int, **fields: Any) -> Description:
    """Multilevel Sensor, Notification, Battery. `fields`: sleeping, fahrenheit, scales, binary (motion so), values."""
    product = {"manufacturerId": 0x0086, "productType": 0x0002, "productId": 0x0064, "firmware": "1.13"}
    return {"id": node_id, "kind": "multisensor", **product, **fields}


def dimmer(node_id: int, **fields: Any) -> Description:
    """Multilevel Switch 4. `fields`: supervision, sleeping, level, travelMs (a full way, where a Set says nothing), endpoints."""
    return {"id": node_id, "kind": "dimmer", **fields}


class Refused(AssertionError):
    """The mock did not do what it was asked."""


class Mock:
    """A client of the mock's control port. `events`: what it told by itself, as `{"event": "level", "node": 3, "level": 42}`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.events: list[dict[str, Any]] = []
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, also again after the mock was killed and started."""
        await self.close()
        self.events.clear()
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._reading = asyncio.create_task(self._read(reader))
        await self.ask(None, "subscribe")

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if self._writer is not None:
            self._writer.close()
        self._reading = self._writer = None

    async def tell(self, node_id: int, *, push: bool = True, endpoint: int = 0, **values: float | bool) -> None:
        """New values: temperature (°C), humidity, illuminance, motion, battery, co2; told by the node unless `push` is false."""
        await self.ask(node_id, "tell", values=values, push=push, endpoint=endpoint)

    async def hand(self, node_id: int, level: int, *, endpoint: int = 0, push: bool = True) -> None:
        """Somebody turns the dimmer itself; the node tells so unless `push` is false."""
        await self.ask(node_id, "hand", level=level, endpoint=endpoint, push=push)

    async def raw(self, node_id: int, type_: int, scale: int, value: float, *, endpoint: int = 0) -> None:
        """A Multilevel Sensor Report of any type and scale."""
        await self.ask(node_id, "raw", type=type_, scale=scale, value=value, endpoint=endpoint)

    async def frame(self, node_id: int, cc: int, command: int, payload: Sequence[int], *, endpoint: int = 0) -> None:
        """Any command of any class, by its bytes."""
        await self.ask(node_id, "frame", cc=cc, command=command, payload=list(payload), endpoint=endpoint)

    async def dead(self, node_id: int, *, on: bool = True) -> None:
        """The node neither acknowledges nor says anything, until `on` is false."""
        await self.ask(node_id, "dead", on=on)

    async def slow(self, node_id: int, ms: int) -> None:
        """The node acknowledges at once and answers so much later."""
        await self.ask(node_id, "slow", ms=ms)

    async def dies_after_set(self, node_id: int) -> None:
        """The node takes the next Set's level, and neither acknowledges it nor says anything from then on."""
        await self.ask(node_id, "dies_after_set")

    async def wake(self, node_id: int) -> None:
        """A sleeping node wakes up, says so, and stays awake until it is told that there is nothing more, or for 10 s."""
        await self.ask(node_id, "wake")

    async def join(self, description: Description) -> None:
        """A new node is about to join: it does as soon as the host lets it."""
        await self.ask(None, "join", description=description)

    async def leave(self, node_id: int) -> None:
        """A node leaves as soon as the host lets it."""
        await self.ask(node_id, "leave")

    async def unplug(self) -> None:
        """Pull the stick out: the host's connection ends and no new one is taken; nodes keep their levels."""
        await self.ask(None, "unplug")

    async def plug(self) -> None:
        await self.ask(None, "plug")

    async def counts(self, node_id: int) -> dict[str, Any]:
        """Of any node: awake, gets. Of a dimmer: frames (Sets), changes (by Sets), level, target, levels, durations."""
        counts: dict[str, Any] = (await self.ask(None, "counts"))["counts"][str(node_id)]
        return counts

    async def level(self, node_id: int, endpoint: int = 0) -> int | None:
        """Where a channel of a dimmer stands; None where nothing ever touched it."""
        level: int | None = (await self.counts(node_id))["levels"].get(str(endpoint))
        return level

    async def settled(self, within_s: float = 60) -> None:
        """Wait until the host has got to know every listening node and asks no more."""
        async with asyncio.timeout(within_s):
            while not (await self.ask(None, "subscribe"))["settled"]:  # noqa: ASYNC110  # another process's state
                await asyncio.sleep(0.1)

    async def ask(self, node_id: int | None, op: str, **fields: Any) -> dict[str, Any]:
        """One request. Raises `Refused`, and `ConnectionError` where the mock has gone."""
        if self._writer is None or self._reading is None or self._reading.done():
            raise ConnectionError("not connected to the mock")
        request_id = next(self._ids)
        answer = self._answers[request_id] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"id": request_id, "op": op, "node": node_id, **fields}).encode() + b"\n")
        async with asyncio.timeout(_ANSWER_S):
            told = await answer
        if not told["ok"]:
            raise Refused(f"{op} {fields}: {told['error']}")
        return told

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                told = json.loads(line)
                if "event" in told:
                    self.events.append(told)
                else:
                    self._answers.pop(told["id"]).set_result(told)
        except ConnectionError:
            pass  # what waits is told below
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the mock has gone"))
        self._answers.clear()


class Building:
    """A running mock, and on it a Z-Wave JS server unless the test brings its own host."""

    def __init__(self, home: Path, nodes: Sequence[Description]) -> None:
        modules = node.installed(read_settings(os.environ).packages)
        assert modules is not None
        self.home, self.serial_port, self.server_port = home, free_port(), free_port()
        self.mock = Mock(free_port())
        stick = parts.mock_part(modules, os.environ, nodes, serial_port=self.serial_port, control_port=self.mock.port)
        self.stick = Running(stick, home / "logs")
        self.server = Running(
            parts.server_part(home, modules, os.environ, self.server_port, stick=self.serial_url, mock=True), home / "logs"
        )

    @property
    def url(self) -> str:
        """Of the Z-Wave JS server."""
        return f"ws://127.0.0.1:{self.server_port}"

    @property
    def serial_url(self) -> str:
        """Where a host finds the stick."""
        return f"tcp://127.0.0.1:{self.serial_port}"

    async def start(self, what: Running) -> None:
        """Start `stick` or `server` (again), and return when it is ready."""
        what.launch()
        async with asyncio.timeout(what.part.ready_within_s):
            while not await asyncio.to_thread(what._is_ready):
                assert what.process is not None and what.process.poll() is None, f"{what.part.name} ended:\n{what.tail()}"
                await asyncio.sleep(0.05)
        if what is self.stick:
            await self.mock.open()

    async def known(self, within_s: float = 60) -> None:
        """Wait until the server has got to know every listening node: it asks no more, and says of each that it is ready.

        That it asks no more may be a busy machine's pause in the middle of an interview.
        """
        await self.mock.settled(within_s)
        network = ZwaveJsNetwork(self.url)
        async with asyncio.timeout(within_s):
            await network.open()
            try:
                while not all(each.ready for each in network.nodes.values() if each.listening):
                    await network.events()
            finally:
                await network.close()


@contextmanager
def kept_building(nodes: Sequence[Description]) -> Iterator[Building]:
    """A building for all tests of a module, whose interviews take longer than they do; whoever needs the server starts it."""
    with home_of_its_own("zwave") as home:
        built = Building(home, nodes)
        try:
            built.stick.start()
            yield built
        finally:
            built.server.stop()
            built.stick.stop()


@asynccontextmanager
async def building(nodes: Sequence[Description], *, server: bool = True, settled: bool = True) -> AsyncIterator[Building]:
    """A building with these nodes. `server`: with the Z-Wave JS server on it; `settled`: which knows them all."""
    with home_of_its_own("zwave") as home, contextlib.ExitStack() as stack:
        built = Building(home, nodes)
        stack.callback(built.stick.stop)
        stack.callback(built.server.stop)
        try:
            await built.start(built.stick)
            if server:
                await built.start(built.server)
                if settled:
                    await built.known()
            yield built
        except BaseException:
            for running in (built.stick, built.server):
                if running.process is not None:
                    print(f"--- {running.part.name}:\n{running.tail()}")
            raise
        finally:
            await built.mock.close()
