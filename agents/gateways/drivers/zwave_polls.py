"""Filling gaps: a value that nobody has told for long is asked for, one at a time. What nodes tell themselves needs no asking."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from agents.gateways.zwave_mapping import NotOnZwave
from schemas.records import Device, Kind
from streams.waiting import happens

_BATTERY_S = 86_400.0
"""A battery lasts for months; asking shortens it."""
_LOOK_EVERY_S = 0.2
_logger = logging.getLogger(__name__)


class Polls:
    """When each value was last heard or asked for, and whose turn it is."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._at_s: dict[tuple[int, Kind], float] = {}
        self._look = asyncio.Event()
        self.made = 0

    def anew(self) -> None:
        """Nothing is known any more: everything is asked for."""
        self._at_s.clear()

    def look(self) -> None:
        """Somebody has just become reachable: a node that wakes up sleeps again at once if it is asked nothing."""
        self._look.set()

    def forget(self, device_id: int) -> None:
        """What a device told is no longer known: it is asked for."""
        self._at_s = {key: at_s for key, at_s in self._at_s.items() if key[0] != device_id}

    def heard(self, device_id: int, kind: Kind) -> None:
        """A value came, or is being asked for."""
        self._at_s[device_id, kind] = time.monotonic()

    def not_asked(self, device_id: int, kind: Kind) -> None:
        """It could not be asked: it is due still, behind all that are due longer."""
        self._at_s[device_id, kind] = time.monotonic() - self._interval_s(kind)

    def _interval_s(self, kind: Kind) -> float:
        return _BATTERY_S if kind is Kind.battery_pct else self._every_s

    def oldest(self, pollable: Iterable[tuple[Device, Kind]]) -> tuple[Device, Kind] | None:
        """The value that has been due longest, if any is; sensors before lamps, whose first word has the light settle."""
        now, never = time.monotonic(), float("-inf")
        found, most = None, (0.0, False)
        for device, kind in pollable:
            over_s = now - self._at_s.get((device.device_id, kind), never) - self._interval_s(kind)
            if over_s > 0 and (over_s, kind is not Kind.level_pct) > most:
                found, most = (device, kind), (over_s, kind is not Kind.level_pct)
        return found

    async def run(self, poll: Callable[[], Awaitable[bool]]) -> None:
        """Poll until cancelled."""
        while True:
            try:
                made = await poll()
            except (DeviceSilent, NotOnZwave) as error:
                made = True
                _logger.info("not told: %s", error)
            except BusUnavailable as error:  # at once, perhaps: whoever is to hear that it is gone must have its turn
                made = False
                _logger.info("not told: %s", error)
            self.made += made
            if not made:
                self._look.clear()
                await happens(self._look, _LOOK_EVERY_S)
