"""Carrying out one command: write ahead, touch the bus, wait out the travel, confirm by read-back, note how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from agents.gateways.decide import Next
from agents.gateways.drivers.base import BusUnavailable, DeviceSilent, Driver, NothingSent
from agents.gateways.effects import Effects
from agents.gateways.knx_functions import NotOnKnx
from agents.gateways.log import utc_now
from agents.gateways.zwave_mapping import NotOnZwave
from agents.rules.arbitration import same
from schemas.commands import Command, Effect
from schemas.records import Device, EffectState, Kind, ResultStatus
from streams.waiting import happens

TRIES = 2
"""A target is told so often to a device that does not get there: the first telegram may have been lost without a sign."""
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_LOOK_EVERY_S = 0.5
_GRACE_S = 2.0
_AT_ONCE_S = 0.1
_logger = logging.getLogger(__name__)


class Ended(Struct, frozen=True):
    """How a command ended."""

    status: ResultStatus
    reported_pct: float | None = None
    reason: str = ""
    confirmed_s: float | None = None
    """From the telegram to the read-back that confirmed it."""


class Reported:
    """The last value each actuator reported by itself, and a way to wait for the next."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, Kind], float] = {}
        self._news = asyncio.Condition()

    @property
    def last(self) -> Mapping[tuple[int, Kind], float]:
        """Values by device and kind."""
        return self._last

    async def note(self, device_id: int, kind: Kind, value: float) -> None:
        """A report came."""
        async with self._news:
            self._last[device_id, kind] = value
            self._news.notify_all()

    async def wait_until_there(self, device_id: int, kind: Kind, target_pct: float) -> None:
        """Return when the device has reported the target."""

        def there() -> bool:
            value = self._last.get((device_id, kind))
            return value is not None and same(value, target_pct)

        async with self._news:
            await self._news.wait_for(there)


async def actuate(
    command: Command,
    device: Device,
    verdict: Next,
    *,
    driver: Driver,
    effects: Effects,
    reported: Reported,
    newer: asyncio.Event,
    as_owner: Callable[[], Awaitable[None]],
) -> Ended:
    """Carry out a command and note both ends of it.

    `newer` set means another command for the device waits: give way to it. `as_owner` returns while the line is ours.
    """
    if verdict is Next.begin:
        await effects.put(_effect(command, EffectState.started))
    ended = await _carry_out(command, device, driver, reported, newer, as_owner, look_first=verdict is Next.look)
    await effects.put(_effect(command, EffectState.done, ended))
    return ended


async def _carry_out(
    command: Command,
    device: Device,
    driver: Driver,
    reported: Reported,
    newer: asyncio.Event,
    as_owner: Callable[[], Awaitable[None]],
    *,
    look_first: bool,
) -> Ended:
    pause_s, why, tries = _PAUSE_S, "", 0
    while True:
        if newer.is_set():
            return Ended(ResultStatus.superseded, reason="a newer command came while this one waited for the bus")
        try:
            if gave_up := await _until_reachable(command, device, driver, newer, perhaps_told=look_first):
                return gave_up
            if look_first and driver.confirms(device, command.kind):
                value = await driver.read(device, command.kind)
                if same(value, command.target_pct):
                    return Ended(ResultStatus.done, value)
            if utc_now() > command.expires_at:
                return Ended(ResultStatus.expired, reason=f"not begun by {command.expires_at:%H:%M:%S} UTC{why}")
            await as_owner()
            from_pct = reported.last.get((device.device_id, command.kind))
            told_at = asyncio.get_running_loop().time()
            written = await driver.write(device, command.kind, command.target_pct)
            if written.confirmed_pct is not None and same(written.confirmed_pct, command.target_pct):
                confirmed_s = asyncio.get_running_loop().time() - told_at
                return Ended(ResultStatus.done, written.confirmed_pct, confirmed_s=confirmed_s)
            tries += 1
            travel_s = driver.travel_s(device, from_pct, command.target_pct)
            ended = await _confirm(command, device, driver, reported, newer, travel_s, written.look_after_s)
            if ended.status is not ResultStatus.failed or tries >= TRIES or utc_now() > command.expires_at:
                return ended
            look_first = False
            _logger.warning("device %d is told once more: %s", device.device_id, ended.reason)
        except (DeviceSilent, NotOnKnx, NotOnZwave) as error:
            return Ended(ResultStatus.failed, reason=str(error))
        except BusUnavailable as error:
            if tries or not isinstance(error, NothingSent):
                look_first = True  # the telegram may have gone out, and anything may have happened since
            why = f"; the bus was away: {error}"
            if utc_now() > command.expires_at:
                status, what = (ResultStatus.unverified, "confirmed") if look_first else (ResultStatus.expired, "begun")
                return Ended(status, reason=f"not {what} by {command.expires_at:%H:%M:%S} UTC{why}")
            _logger.warning("device %d waits for the bus: %s", device.device_id, error)
            await happens(newer, pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)


async def _until_reachable(
    command: Command, device: Device, driver: Driver, newer: asyncio.Event, *, perhaps_told: bool
) -> Ended | None:
    """Wait for a device that sleeps; how the command ended instead, if something came before its waking."""
    reachable = asyncio.ensure_future(driver.reachable(device))
    interrupted = asyncio.ensure_future(newer.wait())
    left_s = (command.expires_at - utc_now()).total_seconds()
    try:
        await asyncio.wait({reachable, interrupted}, timeout=max(_AT_ONCE_S, left_s), return_when=asyncio.FIRST_COMPLETED)
        if reachable.done():
            await reachable
            return None
    finally:
        reachable.cancel()
        interrupted.cancel()
    if newer.is_set():
        return Ended(ResultStatus.superseded, reason="a newer command came while the device slept")
    status = ResultStatus.unverified if perhaps_told else ResultStatus.expired
    return Ended(status, reason=f"the device did not wake up by {command.expires_at:%H:%M:%S} UTC")


async def _confirm(
    command: Command,
    device: Device,
    driver: Driver,
    reported: Reported,
    newer: asyncio.Event,
    travel_s: float,
    look_after_s: float | None,
) -> Ended:
    """Wait out the travel, or what is worth waiting for before the first look, and read back. Raises `BusUnavailable`."""
    loop = asyncio.get_running_loop()
    told_at = loop.time()
    ends = told_at + travel_s
    arrived = asyncio.ensure_future(reported.wait_until_there(device.device_id, command.kind, command.target_pct))
    interrupted = asyncio.ensure_future(newer.wait())
    try:
        wait_s = travel_s if look_after_s is None else look_after_s
        await asyncio.wait({arrived, interrupted}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        arrived.cancel()
        interrupted.cancel()
    while True:
        try:
            value = await driver.read(device, command.kind)
            if not driver.confirms(device, command.kind):
                return Ended(ResultStatus.unverified, value, f"no status object of its own: {value:g} % is an echo")
            if same(value, command.target_pct):
                return Ended(ResultStatus.done, value, confirmed_s=loop.time() - told_at)
            last = Ended(ResultStatus.failed, value, f"asked for {command.target_pct:g} %, reads {value:g} %")
        except DeviceSilent as error:
            if not driver.confirms(device, command.kind):
                return Ended(ResultStatus.unverified, None, f"no status object of its own, and no echo: {error}")
            last = Ended(ResultStatus.failed, None, f"not read back: {error}")
        if newer.is_set():
            return Ended(ResultStatus.superseded, last.reported_pct, "a newer command came while it was under way")
        if loop.time() > ends + _GRACE_S:
            return last
        await happens(newer, _LOOK_EVERY_S)


def _effect(command: Command, state: EffectState, ended: Ended | None = None) -> Effect:
    return Effect(
        command_id=command.command_id, device_id=command.device_id, state=state, kind=command.kind, target_pct=command.target_pct,
        cause=command.cause, at=utc_now(),
        status=ended.status if ended else ResultStatus.unknown, reported_pct=ended.reported_pct if ended else None,
    )  # fmt: skip
