"""A Z-Wave network played by a test: it says what the test has it say, and notes what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from agents.gateways.drivers.zwave_network import Event, Lost, NodeChanged, Set, Told
from agents.gateways.log import utc_now
from agents.gateways.zwave_mapping import Node, Status, Value
from infra.building_plan import ZWAVE_LINE
from schemas.records import Bus, Device, DeviceRole

Answer = Set | bool | Value | Exception | Callable[[], Awaitable[Any]]
TEMPERATURE, LEVEL, BATTERY = "Air temperature", "currentValue", "level"


def temperature(node: int, number: float | None = 21.5, unit: str = "°C", endpoint: int = 0) -> Value:
    return Value(node, endpoint, 0x31, TEMPERATURE, type=1, unit=unit, number=number)


def level(node: int, number: float | None = 0, endpoint: int = 0) -> Value:
    return Value(node, endpoint, 0x26, LEVEL, number=number)


def battery(node: int, number: float | None = 90) -> Value:
    return Value(node, 0, 0x80, BATTERY, unit="%", number=number)


def node(node_id: int, *values: Value, status: Status = Status.alive, **more: Any) -> Node:
    return Node(node_id, status, **{"ready": True, "listening": True, "values": values, **more})


def device(node_id: int | None, role: DeviceRole = DeviceRole.multisensor, **more: Any) -> Device:
    """The device at a node has its number, but where `device_id` says otherwise."""
    said = {"device_id": node_id or 99, "line_id": ZWAVE_LINE, "bus": Bus.zwave, "zwave_node": node_id, **more}
    return Device(revision=1, name="it", room_id="1", role=role, **said)


def dimmer(node_id: int, **more: Any) -> Device:
    return device(node_id, DeviceRole.dimmer, **more)


class Played:
    """`Network`. `answers`: by node what it answers in turn to Sets, Gets or pings; the last one stays, none is "well"."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes: dict[int, Node] = {each.node_id: each for each in nodes}
        self.answers: dict[int, list[Answer]] = {}
        self.silent: set[int] = set()
        self.asked: list[tuple[str, int]] = []
        self.sets: list[tuple[int, int, int, float | None]] = []
        self.away: str | None = None
        self.opened = 0
        self.closed = False
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    def tell(self, value: Value) -> None:
        """A node tells a value."""
        self._events.put_nowait(Told(value, utc_now()))

    def change(self, node_id: int, **how: Any) -> None:
        """A node is otherwise from now on."""
        self.nodes[node_id] = replace(self.nodes[node_id], **how)
        self._events.put_nowait(NodeChanged(node_id))

    def remove(self, node_id: int) -> None:
        """A node leaves the network."""
        del self.nodes[node_id]
        self._events.put_nowait(NodeChanged(node_id))

    def lose(self, why: str) -> None:
        """The connection is gone, until `away` is None again."""
        self.away = why
        self._events.put_nowait(Lost(why))

    def count(self, what: str, node_id: int) -> int:
        return self.asked.count((what, node_id))

    async def open(self) -> None:
        self.opened += 1
        if self.away:
            raise BusUnavailable(self.away)

    async def close(self) -> None:
        self.away = self.away or "closed"
        self.closed = True

    async def events(self) -> Event:
        return await self._events.get()

    async def set_level(self, node_id: int, endpoint: int, wire: int, transition_s: float | None) -> Set:
        self.sets.append((node_id, endpoint, wire, transition_s))
        answer = await self._answer("set", node_id)
        return Set.sent if answer is None else answer

    async def get(self, value: Value) -> Value:
        answer = await self._answer(f"get {value.name}", value.node_id)
        told = answer or next(
            each
            for each in self.nodes[value.node_id].values
            if (each.name, each.endpoint) == (value.name, value.endpoint)
        )  # fmt: skip
        self.tell(told)
        return told

    async def ping(self, node_id: int) -> bool:
        answer = await self._answer("ping", node_id)
        return True if answer is None else answer

    def include(self, *, pin: str | None, secure: bool) -> AsyncIterator[str]:
        raise NotImplementedError

    def exclude(self) -> AsyncIterator[str]:
        raise NotImplementedError

    def heal(self, node_id: int | None) -> AsyncIterator[str]:
        raise NotImplementedError

    async def _answer(self, what: str, node_id: int) -> Any:
        if self.away:
            raise BusUnavailable(self.away)
        self.asked.append((what, node_id))
        if node_id not in self.nodes:
            raise DeviceSilent(f"there is no node {node_id}")
        if node_id in self.silent:
            if what == "ping":
                return False
            raise DeviceSilent(f"node {node_id} does not acknowledge")
        answers: Sequence[Answer] = self.answers.get(node_id, [])
        if not answers:
            return None
        answer = self.answers[node_id].pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return await answer() if callable(answer) else answer
