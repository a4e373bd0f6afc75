"""What the driver knows of a Z-Wave node beyond what its network tells: whose turn it is, whether it answers, what it last said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agents.gateways.drivers.base import DeviceSilent
from agents.gateways.drivers.zwave_breaker import Breaker
from agents.gateways.zwave_mapping import Address, Node, Status, Value

T = TypeVar("T")
PAUSE_S = 0.3
LATE_S = 4.0
"""Z-Wave JS waits a second for a report."""


class Peer:
    """One node. Calls to it are made one at a time, in the order they were asked for; nodes go side by side."""

    def __init__(self, node_id: int) -> None:
        self.node_id = node_id
        self.breaker = Breaker()
        self._turn = asyncio.Lock()
        self._called_dead = False
        self._not_asleep = asyncio.Event()
        self._not_asleep.set()
        self._awaited: dict[Address, set[asyncio.Future[Value]]] = {}

    def follow(self, node: Node | None) -> None:
        """Its network says how it is now."""
        asleep = node is not None and not node.listening and node.status is Status.asleep
        if asleep:
            self._not_asleep.clear()
        else:
            self._not_asleep.set()
        self._called_dead = node is not None and node.status is Status.dead
        if self._called_dead:
            if not self._turn.locked():  # else the call under way has more tries, and says itself how it ends
                self.breaker.dead(time.monotonic())
        elif node is None or asleep or node.status in (Status.alive, Status.awake):  # nobody to leave alone, or nothing to hold up
            self.breaker.well()

    def start_anew(self, node: Node | None) -> None:
        """There is a new connection: what the node did not answer through the old one says nothing."""
        self.breaker.well()
        self.follow(node)

    def hear(self, value: Value) -> None:
        """It told a value."""
        self.breaker.well()
        for awaited in self._awaited.pop(value.address, ()):
            if not awaited.done():
                awaited.set_result(value)

    async def answer(self, value: Value, ask: Callable[[], Awaitable[Value]]) -> Value:
        """Ask it for a value. A slow node's answer may come when its network waits no more: it is waited for without the radio.

        Raises `DeviceSilent`.
        """
        awaited: asyncio.Future[Value] = asyncio.get_running_loop().create_future()

        async def ask_when_it_is_our_turn() -> Value:
            self._awaited.setdefault(value.address, set()).add(awaited)  # not before: what was told till then is no answer
            return await ask()

        try:
            return await self.call(ask_when_it_is_our_turn)
        except DeviceSilent:
            if self.breaker.shut_out:
                raise
            await asyncio.wait({awaited}, timeout=LATE_S)
            if not awaited.done():
                raise
            return awaited.result()
        finally:
            self._awaited.get(value.address, set()).discard(awaited)

    async def awake(self) -> None:
        """Return once it does not sleep."""
        await self._not_asleep.wait()

    @property
    def asleep(self) -> bool:
        """Whether it sleeps now."""
        return not self._not_asleep.is_set()

    async def call(self, over_the_radio: Callable[[], Awaitable[T]], tries: int = 1) -> T:
        """Call it when it is its turn; between tries others have theirs. Raises `DeviceSilent`, at once where it is left alone."""
        async with self._turn:
            if self.breaker.shut_out:
                raise self.silence()
            for left in reversed(range(tries)):
                try:
                    result = await over_the_radio()
                except DeviceSilent:
                    self.breaker.failed(time.monotonic())
                    if not left:
                        if self._called_dead:
                            self.breaker.dead(time.monotonic())
                        raise
                    await asyncio.sleep(PAUSE_S)
                else:
                    self.breaker.well()
                    return result
            raise AssertionError("no tries")

    def silence(self) -> DeviceSilent:
        """What is said of it while it is left alone."""
        wait_s = self.breaker.next_probe_s(time.monotonic())
        return DeviceSilent(f"Z-Wave node {self.node_id} does not answer: it is tried again in {wait_s:.0f} s")

    async def probe(self, ping: Callable[[], Awaitable[bool]]) -> None:
        """Ping it, where it is still left alone when its turn comes: whether it is to be further. Raises what the ping raises."""
        async with self._turn:
            if not self.breaker.shut_out:
                return
            answers = False
            try:
                answers = await ping()
            finally:  # a ping that ended otherwise is no answer either: the next one has its pause before it
                if answers:
                    self.breaker.well()
                else:
                    self.breaker.dead(time.monotonic())
