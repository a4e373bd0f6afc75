"""The seam between a gateway role and a bus: what every driver (simulated, KNX, Z-Wave) offers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from schemas.errors import BuildingError
from schemas.records import Device, Kind


class BusUnavailable(BuildingError):
    """The bus or its server cannot be reached now: retried with backoff, shown in health."""

    reason = "bus_unavailable"


class DeviceSilent(BuildingError):
    """The bus is there, the device does not answer."""

    reason = "device_silent"


class Report(Struct, frozen=True):
    """A value a device reported by itself or when read, in the unit its kind names; `at` is the device's time (UTC)."""

    device_id: int
    kind: Kind
    value: float
    at: datetime


class Driver(Protocol):
    """One bus. Percent values are Atrium's (`closed_pct`: 100 = closed); the driver's mapping does the bus's own scaling."""

    async def start(self, devices: Sequence[Device]) -> None:
        """Connect and serve these devices; called again, serve these instead. Raises `BusUnavailable`."""

    async def stop(self) -> None:
        """Disconnect; pending calls end with `BusUnavailable`."""

    async def reports(self) -> Report:
        """The next value a device reported; waits for one."""

    async def write(self, device: Device, kind: Kind, target_pct: float) -> None:
        """Send an absolute target once. Returns when the bus took it, not when the device is there."""

    async def read(self, device: Device, kind: Kind) -> float:
        """Ask the device for its present value. Raises `DeviceSilent`, `BusUnavailable`."""

    def travel_s(self, device: Device, from_pct: float | None, to_pct: float) -> float:
        """How long the device may take from one value to another, seconds."""

    @property
    def health(self) -> str | None:
        """None when well, else what is wrong, for people."""
