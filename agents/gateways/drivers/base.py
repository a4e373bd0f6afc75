"""The seam between a gateway role and a bus: what every driver (simulated, KNX, Z-Wave) offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from schemas.errors import BuildingError
from schemas.records import Device, Kind


class BusUnavailable(BuildingError):
    """The bus or its server cannot be reached now: retried with backoff, shown in health."""

    reason = "bus_unavailable"


class NothingSent(BusUnavailable):
    """The bus or the device cannot be reached now, and this call has sent nothing."""


class DeviceSilent(BuildingError):
    """The bus is there, the device does not answer."""

    reason = "device_silent"


class Report(Struct, frozen=True):
    """A value a device reported by itself or when read, in the unit its kind names; `at` is the device's time (UTC)."""

    device_id: int
    kind: Kind
    value: float
    at: datetime


class Hand(Struct, frozen=True):
    """A person moved an actuator past us, at a wall button; `at` is when we heard of it (UTC)."""

    device_id: int
    kind: Kind
    value_pct: float
    at: datetime
    source: str


class Written(Struct, frozen=True):
    """What is known once a target went out, beyond that."""

    confirmed_pct: float | None = None
    """Where the device says it is, in its answer to this very target; None: it has to be asked."""
    look_after_s: float | None = None
    """When a first look is worth it; None: at the end of its travel, since it tells by itself when it is there."""


class Driver(Protocol):
    """One bus. Percent values are Atrium's (`closed_pct`: 100 = closed); the driver's mapping does the bus's own scaling."""

    async def start(self, devices: Sequence[Device]) -> None:
        """Connect and serve these devices; called again, serve these instead. Raises `BusUnavailable`."""

    async def stop(self) -> None:
        """Disconnect; pending calls end with `BusUnavailable`."""

    async def reports(self) -> Report | Hand:
        """The next value a device reported, or a person's hand; waits for one. Raises what ended the driver's own work: a bug."""

    async def reachable(self, device: Device) -> None:
        """Return once the device can be told something: at once, but for one that sleeps."""

    async def write(self, device: Device, kind: Kind, target_pct: float) -> Written:
        """Send an absolute target once. Returns when the bus took it, not when the device is there."""

    async def read(self, device: Device, kind: Kind) -> float:
        """Ask the device for its present value. Raises `DeviceSilent`, `BusUnavailable`."""

    def travel_s(self, device: Device, from_pct: float | None, to_pct: float) -> float:
        """How long the device may take from one value to another, seconds."""

    def confirms(self, device: Device, kind: Kind) -> bool:
        """Whether the device tells its state by an object of its own; else what is read back is an echo of what was written."""

    def resend_s(self, device: Device) -> float | None:
        """How often the device must hear its target again, seconds; None: once is enough."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """What the driver counts, by name."""

    @property
    def health(self) -> str | None:
        """None when well, else what is wrong, for people."""
