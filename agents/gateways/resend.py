"""Telling devices their last target again, for those that fall back when they hear nothing for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent, Driver
from agents.gateways.knx_functions import NotOnKnx
from schemas.commands import Effect
from schemas.records import Device, EffectState, ResultStatus

_TOLD = (ResultStatus.done, ResultStatus.unverified, ResultStatus.failed)
"""How a command ended whose target went out on the bus."""
_logger = logging.getLogger(__name__)


class Resend:
    """Resends the targets of a driver's devices, spread over their interval. `busy` tells whether a command is at a device now."""

    def __init__(
        self, driver: Driver, busy: Callable[[int], bool], as_owner: Callable[[], Awaitable[None]], look_every_s: float = 1.0
    ) -> None:
        self._driver, self._busy, self._as_owner, self._look_every_s = driver, busy, as_owner, look_every_s
        self._due_at: dict[int, float] = {}

    async def run(self, devices: Callable[[], Iterable[Device]], last: Callable[[int], Effect | None]) -> None:
        """Serve until cancelled."""
        while True:
            await asyncio.sleep(self._look_every_s)
            for device, every_s in [(d, s) for d in devices() if (s := self._driver.resend_s(d)) is not None]:
                await self._look(device, every_s, last(device.device_id))

    async def _look(self, device: Device, every_s: float, effect: Effect | None) -> None:
        now = asyncio.get_running_loop().time()
        first = now + every_s * (device.device_id % 16 + 1) / 16  # not all of them at once
        if now < self._due_at.setdefault(device.device_id, first):
            return
        self._due_at[device.device_id] = now + every_s
        if effect is None or effect.state is not EffectState.done or effect.status not in _TOLD:
            return
        await self._as_owner()
        if self._busy(device.device_id):
            return
        try:
            await self._driver.write(device, effect.kind, effect.target_pct)
        except (BusUnavailable, DeviceSilent, NotOnKnx) as error:
            _logger.warning("device %d did not hear its target again: %s", device.device_id, error)
