"""A Z-Wave network through python-openzwave, which runs in a child process: `Network` over that child's messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from agents.gateways.drivers.openzwave_process import NoSuchValue, OpenZwaveProcess
from agents.gateways.drivers.zwave_calling_off import call_off
from agents.gateways.drivers.zwave_network import Event, Lost, NodeChanged, Set, Told
from agents.gateways.openzwave_values import node_of_openzwave, value_of_openzwave
from agents.gateways.zwave_mapping import Node, Status, Value
from schemas.errors import BuildingError

READY_S = 60.0
"""An interview that has nothing to say for so long has come to a stop; one of many nodes takes longer, and says so all the time."""
_JOIN_S, _INTERVIEW_S, _NEWS_S = 60.0, 60.0, 2.0
_SAID = {
    "Starting": "OpenZWave begins",
    "Waiting": "waiting: press the button on the device now",
    "Sleeping": "waiting for the node to wake up",
    "InProgress": "the stick speaks with the node",
    "Completed": "done",
    "NodeOK": "done: the node answers",
    "Cancel": "ended: nothing happened in time",
    "Failed": "failed",
    "NodeFailed": "failed: the node does not answer",
    "Error": "failed",
}
"""OpenZWave's states of a controller command, for people."""
_FAILED = frozenset({"Cancel", "Failed", "NodeFailed", "Error"})
_ENDED = _FAILED | {"Completed", "NodeOK"}


class OpenZwaveNetwork:
    """`Network` over a stick at a serial port. `packages`: where the library is installed; `state`: where OpenZWave keeps nodes."""

    def __init__(
        self, port: str, *, packages: Path, state: Path, key: str | None = None, ready_s: float = READY_S, log: bool = False
    ) -> None:
        self._python = packages / "openzwave" / "bin" / "python"
        self._settings = {"port": port, "folder": str(state), "network_key": key, "log": log}
        self._ready_s = ready_s
        self._child: OpenZwaveProcess | None = None
        self._nodes: dict[int, Node] = {}
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._commands: asyncio.Queue[Mapping[str, Any] | BusUnavailable] = asyncio.Queue()
        self._ready: asyncio.Future[None] | None = None
        self._idle = True
        self._heard = 0
        self._news = asyncio.Event()

    @property
    def nodes(self) -> Mapping[int, Node]:
        """The nodes as they are now, without the stick itself."""
        return self._nodes

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return None if self._child is None else self._child.pid

    async def open(self) -> None:
        """Start the child; returns once every node that is awake was asked for all it knows. Raises `BusUnavailable`."""
        await self.close()
        self._nodes = {}
        while not self._events.empty():
            self._events.get_nowait()
        ready = self._ready = asyncio.get_running_loop().create_future()
        child = self._child = OpenZwaveProcess(self._python, self._take, self._ended)
        try:
            await child.start(self._settings)
            await self._progress(ready)
        except BaseException:
            await self.close()
            raise

    async def _progress(self, ready: asyncio.Future[None]) -> None:
        while not ready.done():
            heard = self._heard
            await asyncio.wait([ready], timeout=self._ready_s)
            if not ready.done() and heard == self._heard:
                stages = ", ".join(f"node {node.node_id} at {node.stage}" for node in self._nodes.values() if not node.ready)
                raise BusUnavailable(f"OpenZWave was not ready after {self._ready_s:.0f} s without any news: {stages or 'no node'}")
        await ready

    async def close(self) -> None:
        """End the child; calls under way end with `BusUnavailable`."""
        child, self._child = self._child, None
        if child is not None:
            await child.close()

    async def events(self) -> Event:
        """What happened next; waits for it."""
        return await self._events.get()

    async def set_level(self, node_id: int, endpoint: int, wire: int, transition_s: float | None) -> Set:
        """Multilevel Switch Set. `Set.sent` once the node's radio acknowledged. Raises `DeviceSilent`, `BusUnavailable`."""
        try:
            await self._process().ask("set", node=node_id, endpoint=endpoint, level=wire, transition_s=transition_s)
        except NoSuchValue:
            return Set.refused
        return Set.sent

    async def get(self, value: Value) -> Value:
        """Ask a node for a value over the radio. Raises `DeviceSilent`, `BusUnavailable`."""
        try:
            told = await self._process().ask(
                "get", node=value.node_id, endpoint=value.endpoint, command_class=value.command_class, type=value.type
            )
        except NoSuchValue as error:
            raise DeviceSilent(str(error)) from None
        return replace(value, number=told["number"], unit=told["unit"])

    async def ping(self, node_id: int) -> bool:
        """Whether the node acknowledges. Raises `BusUnavailable`."""
        try:
            return bool((await self._process().ask("ping", node=node_id))["acknowledged"])
        except DeviceSilent:
            return False

    async def include(self, *, pin: str | None, secure: bool) -> AsyncGenerator[str, None]:
        """Let a node join for a minute. OpenZWave knows encryption S0 alone, which asks for no PIN.

        Raises `BusUnavailable`, and `DeviceSilent` where none joins.
        """
        if secure and self._settings["network_key"] is None:
            raise BusUnavailable("OpenZWave has no security key: set ZWAVE_S0_KEY, or include without encryption")
        if pin is not None:
            yield "the PIN is not needed: OpenZWave joins nodes with S0, not with S2"
        known = set(self._nodes)
        async with aclosing(self._command("include", "the inclusion", secure=secure)) as command:
            async for said in command:
                yield said
        await self._until(lambda: set(self._nodes) != known, _NEWS_S)
        for node_id in sorted(set(self._nodes) - known):
            async with aclosing(self._interview(node_id)) as interview:
                async for said in interview:
                    yield said

    async def exclude(self) -> AsyncGenerator[str, None]:
        """Let a node leave its network, for a minute. Raises `BusUnavailable`, and `DeviceSilent` where none leaves."""
        known = set(self._nodes)
        async with aclosing(self._command("exclude", "the exclusion")) as command:
            async for said in command:
                yield said
        await self._until(lambda: set(self._nodes) != known, _NEWS_S)
        self._process()  # one that is started anew knows no node yet: none of them has left
        for node_id in sorted(known - set(self._nodes)):
            yield f"node {node_id} has left"

    async def heal(self, node_id: int | None) -> AsyncGenerator[str, None]:
        """Let a node, or one after the other without those that sleep, look for its neighbours anew.

        Raises `BusUnavailable`, `DeviceSilent` at the end.
        """
        failed = []
        for each in [node_id] if node_id is not None else sorted(self._nodes):
            node = self._nodes.get(each)
            if node_id is None and node is not None and node.status is Status.asleep:
                yield f"node {each}: skipped"
                continue
            try:
                async with aclosing(self._command("heal", "the search for routes", node=each)) as command:
                    async for said in command:
                        yield f"node {each}: {said}"
            except DeviceSilent as error:
                failed.append(f"node {each}: its routes could not be rebuilt: {error}")
                yield failed[-1]
        if failed:
            raise DeviceSilent("; ".join(failed))

    async def _command(self, op: str, what: str, **fields: Any) -> AsyncGenerator[str, None]:
        """A controller command, from its beginning to its end, or for a minute.

        Raises `DeviceSilent` where it fails or nothing happens, `BusUnavailable` where the child ends or it cannot be called off.
        """
        child, self._commands = self._process(), asyncio.Queue()
        self._idle = False
        begun = asyncio.ensure_future(child.ask(op, **fields))
        state = why = ""
        try:
            try:
                await asyncio.shield(begun)
            except NoSuchValue as error:
                raise BusUnavailable(str(error)) from None
            while state not in _ENDED:
                async with asyncio.timeout(_JOIN_S):
                    told = await self._commands.get()
                if isinstance(told, BusUnavailable):
                    raise told
                state = told["state"]
                why = "" if told["error"] == "None" else f" ({told['error']})"
                if state not in _FAILED:
                    yield f"{_SAID.get(state, state)}{why}"
        except TimeoutError:
            raise DeviceSilent(f"nothing happened for {_JOIN_S:.0f} s") from None
        finally:
            if state not in _ENDED:
                await call_off(what, self._end(child, begun))
        if state in _FAILED:
            raise DeviceSilent(f"{_SAID[state]}{why}")

    async def _end(self, child: OpenZwaveProcess, begun: asyncio.Future[Mapping[str, Any]]) -> None:
        """Call off what has begun, or begins yet when the radio has its turn."""
        try:
            await begun
            while not self._idle:
                await child.ask("cancel")
                await self._until(lambda: self._idle, _NEWS_S)
        except BuildingError:  # it was declined, or the child has ended
            return

    async def _interview(self, node_id: int) -> AsyncGenerator[str, None]:
        yield f"node {node_id} has joined; its interview begins"
        said = ""
        while (node := self._nodes.get(node_id)) is not None and not node.ready:
            if node.stage == said and not await self._until(lambda said=said: self._stage(node_id) != said, _INTERVIEW_S):  # type: ignore[misc]
                yield f"node {node_id}: no progress for {_INTERVIEW_S:.0f} s: it goes on when the node says something"
                return
            said = self._stage(node_id)
            yield f"node {node_id}: interview at {said}"

    def _stage(self, node_id: int) -> str:
        node = self._nodes.get(node_id)
        return "" if node is None else node.stage

    async def _until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait for news until the condition holds; whether it does."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _process(self) -> OpenZwaveProcess:
        if self._child is None or self._ready is None or not self._ready.done():
            raise BusUnavailable("OpenZWave does not run")
        return self._child

    def _ended(self, why: str) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(BusUnavailable(why))
            return
        self._commands.put_nowait(BusUnavailable(why))
        self._events.put_nowait(Lost(why))

    def _take(self, message: Mapping[str, Any]) -> None:
        self._heard += 1
        match message["event"]:
            case "ready":
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(None)
            case "node":
                known = self._nodes.get(message["node"])
                self._changed(node_of_openzwave(message, () if known is None else known.values))
            case "removed":
                if self._nodes.pop(message["node"], None) is not None:
                    self._events.put_nowait(NodeChanged(message["node"]))
            case "known":
                self._remember(value_of_openzwave(message))
            case "value":
                value = value_of_openzwave(message)
                self._remember(value)
                self._events.put_nowait(Told(value, datetime.fromtimestamp(message["at"] / 1000, UTC)))
            case "controller":
                self._idle = message["state"] in _ENDED
                self._commands.put_nowait(message)
        self._news.set()

    def _changed(self, node: Node) -> None:
        if self._nodes.get(node.node_id) != node:
            self._nodes[node.node_id] = node
            self._events.put_nowait(NodeChanged(node.node_id))

    def _remember(self, value: Value) -> None:
        node = self._nodes.get(value.node_id) or Node(value.node_id, Status.unknown, ready=False, listening=True)
        values = {each.address: each for each in node.values}
        if value.number is not None or value.address not in values:
            values[value.address] = value
            self._nodes[value.node_id] = replace(node, values=tuple(values.values()))
