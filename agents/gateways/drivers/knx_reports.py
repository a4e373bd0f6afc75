"""What the devices of a bus say, on its way to the gateway: at once, but a device that floods is heard at most so often."""

from __future__ import annotations

import asyncio

from agents.gateways.drivers.base import Hand, Report
from agents.gateways.drivers.outbox import Outbox
from schemas.records import Kind

HOLD_S = 0.2
"""A value that follows another of the same object sooner waits so long; of those that wait the newest is told."""


class Reports:
    """The way into `outbox`; hands are never held."""

    def __init__(self, outbox: Outbox) -> None:
        self.held_back = 0
        self._outbox = outbox
        self._told_at: dict[tuple[int, Kind], float] = {}
        self._held: dict[tuple[int, Kind], Report] = {}

    def put(self, said: Report | Hand) -> None:
        """Somebody said something."""
        if isinstance(said, Hand):
            self._outbox.put(said)
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
        self._outbox.put(report)
