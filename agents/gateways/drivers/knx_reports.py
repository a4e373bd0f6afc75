"""What the devices of a bus say, on its way to the gateway: at once, but a device that floods is heard at most so often."""

from __future__ import annotations

import asyncio

from agents.gateways.drivers.base import Hand, Report
from schemas.records import Kind

HOLD_S = 0.2
"""A value that follows another of the same object sooner waits so long; of those that wait the newest is told."""
_MOST = 10_000


class Reports:
    """A queue of reports; hands are never held."""

    def __init__(self) -> None:
        self.held_back = 0
        self._queue: asyncio.Queue[Report | Hand] = asyncio.Queue()
        self._told_at: dict[tuple[int, Kind], float] = {}
        self._held: dict[tuple[int, Kind], Report] = {}

    async def get(self) -> Report | Hand:
        """The next one; waits for it."""
        return await self._queue.get()

    def put(self, said: Report | Hand) -> None:
        """Somebody said something."""
        if isinstance(said, Hand):
            self._pass_on(said)
            return
        loop, key = asyncio.get_running_loop(), (said.device_id, said.kind)
        wait_s = self._told_at.get(key, -HOLD_S) + HOLD_S - loop.time()
        if key in self._held:
            self.held_back += 1
            self._held[key] = said
        elif wait_s > 0:
            self._held[key] = said
            loop.call_later(wait_s, self._release, key)
        else:
            self._tell(said)

    def _release(self, key: tuple[int, Kind]) -> None:
        self._tell(self._held.pop(key))

    def _tell(self, report: Report) -> None:
        self._told_at[report.device_id, report.kind] = asyncio.get_running_loop().time()
        self._pass_on(report)

    def _pass_on(self, said: Report | Hand) -> None:
        if self._queue.qsize() >= _MOST:  # nobody fetches them: the newest matter most
            self._queue.get_nowait()
        self._queue.put_nowait(said)
