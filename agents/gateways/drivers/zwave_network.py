"""The seam between the Z-Wave driver and whatever holds the stick: Z-Wave JS or OpenZWave. Numbers are the wire's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from agents.gateways.drivers.base import BusUnavailable
from agents.gateways.zwave_mapping import Node, Value


class NodeNotYet(BusUnavailable):
    """The network is well, the node has to be waited for: it sleeps."""


class Told(Struct, frozen=True):
    """A node told a value, by itself or asked; `at` is the time the network gives it (UTC)."""

    value: Value
    at: datetime


class NodeChanged(Struct, frozen=True):
    """A node came, went, was interviewed, fell asleep, woke up, died or came back: `Network.nodes` has how it is now."""

    node_id: int


class Lost(Struct, frozen=True):
    """The connection is gone; nothing more comes until `open` has been called again."""

    why: str


Event = Told | NodeChanged | Lost


class Set(StrEnum):
    """What became of a Set."""

    confirmed = "confirmed"
    """The node says so itself (Supervision)."""
    working = "working"
    """The node says that it is on its way (Supervision); it has to be asked later."""
    sent = "sent"
    """It went out and was acknowledged by the node's radio; what it did has to be asked."""
    refused = "refused"
    """The node says that it will not (Supervision), or has no such value."""


class Network(Protocol):
    """One Z-Wave network. Every call may raise `BusUnavailable`; those that use the radio `DeviceSilent` besides."""

    async def open(self) -> None:
        """Connect; returns once it is known which nodes there are. Raises `BusUnavailable`."""

    async def close(self) -> None:
        """Disconnect; calls under way end with `BusUnavailable`."""

    @property
    def nodes(self) -> Mapping[int, Node]:
        """The nodes as they are now, without the controller itself."""

    async def events(self) -> Event:
        """What happened next; waits for it. In the order in which it happened."""

    async def set_level(self, node_id: int, endpoint: int, wire: int, transition_s: float | None) -> Set:
        """Multilevel Switch Set, 0 to 99; `transition_s` None: the node's own. Raises `DeviceSilent` where nobody acknowledges."""

    async def get(self, value: Value) -> Value:
        """Ask a node for a value over the radio, never from a cache; its answer is an event as well. Raises `DeviceSilent`."""

    async def ping(self, node_id: int) -> bool:
        """Whether the node acknowledges (No Operation)."""

    def include(self, *, pin: str | None, secure: bool) -> AsyncIterator[str]:
        """Let a node join; says in words what happens, the interview included, and ends with it or when the iterator is closed.

        `pin`: the five digits on the device, which authenticated S2 asks for; `secure` False joins without any encryption.
        """

    def exclude(self) -> AsyncIterator[str]:
        """Let a node leave its network; says in words what happens."""

    def heal(self, node_id: int | None) -> AsyncIterator[str]:
        """Rebuild the routes of a node, or of all; says in words what happens."""
