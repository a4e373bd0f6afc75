"""Which readings can be believed: at all (else they are dead letters, with the reason), and beside what their sensor said."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isfinite

from msgspec import Struct
from msgspec.structs import replace

from schemas.records import CommandResult, Kind, Policy, Reading
from schemas.rows import Plausibility, Sensed

JUDGED = frozenset({Kind.temperature_c, Kind.humidity_pct, Kind.co2_ppm})
"""Kinds whose course says whether a value can be believed; the others may jump, or stand still for days."""
MAX_AHEAD = timedelta(minutes=5)
"""A device's clock may run ahead of the broker's stamp by so much."""

PHYSICAL_RANGE: dict[Kind, tuple[float, float]] = {
    Kind.temperature_c: (-60.0, 85.0),  # storage range of building sensors; outdoor records are -89 and 57
    Kind.humidity_pct: (0.0, 100.0),
    Kind.illuminance_lx: (0.0, 200_000.0),  # direct sun is about 120,000 lx
    Kind.co2_ppm: (0.0, 100_000.0),
    Kind.motion: (0.0, 1.0),
    Kind.battery_pct: (0.0, 100.0),
    Kind.closed_pct: (0.0, 100.0),
    Kind.valve_pct: (0.0, 100.0),
    Kind.level_pct: (0.0, 100.0),
    Kind.occupancy_reference: (0.0, 1.0),
    Kind.slat_pct: (0.0, 100.0),
    Kind.setpoint_c: (-60.0, 85.0),
    Kind.hvac_mode: (0.0, 4.0),
    Kind.wind_m_s: (0.0, 120.0),  # gusts: the record is 113 m/s (Barrow Island, 1996)
    Kind.rain: (0.0, 1.0),
    Kind.alarm: (0.0, 1.0),
    Kind.window_open: (0.0, 1.0),
    Kind.illuminance_pct: (0.0, 100.0),
}
"""Lowest and highest possible value of each kind, in its unit."""


class Refusal(Struct, frozen=True):
    """Why an event is set aside: a word for machines and a sentence for people."""

    reason: str
    detail: str


def refusal(reading: Reading, logged_at: datetime) -> Refusal | None:
    """Why this reading cannot be used, or None. `logged_at` is the broker's stamp."""
    bounds = PHYSICAL_RANGE.get(reading.kind)
    if bounds is None:
        return Refusal("unknown_kind", f"device {reading.device_id} sent a kind this version does not know")
    if bounds[0] <= reading.value <= bounds[1]:
        if reading.at <= logged_at or reading.at - logged_at <= MAX_AHEAD:
            return None
        return Refusal(
            "from_the_future",
            f"device {reading.device_id} says {reading.at:%Y-%m-%dT%H:%M:%SZ}, logged {logged_at:%Y-%m-%dT%H:%M:%SZ}",
        )
    return _impossible(reading.device_id, reading.kind, reading.value, bounds)


def refusal_of_result(result: CommandResult) -> Refusal | None:
    """Why what an actuator reports at a command's end cannot be, or None; every actuator's value is a percentage."""
    low, high = bounds = 0.0, 100.0
    if result.reported_pct is None or low <= result.reported_pct <= high:
        return None
    return _impossible(result.device_id, "reported_pct", result.reported_pct, bounds)


def _impossible(device_id: int, what: str, value: float, bounds: tuple[float, float]) -> Refusal:
    if not isfinite(value):
        return Refusal("not_finite", f"device {device_id}: {what} = {value}")
    return Refusal("out_of_range", f"device {device_id}: {what} = {value:g}, possible are {bounds[0]:g} to {bounds[1]:g}")


def possible(reading: Reading) -> bool:
    """Whether the value lies within what its kind can be at all."""
    low, high = PHYSICAL_RANGE.get(reading.kind, (0.0, 0.0))
    return low <= reading.value <= high


def judged(was: Sensed, reading: Reading, policy: Policy, stamped_at: datetime) -> Sensed:
    """The sensor's last value after a reading of a kind in `JUDGED`, in the order of its time.

    A value that jumps from a fresh one beyond the policy's limit is kept aside as suspect, and believed when the next one is near
    it; a value that has not moved for `stuck_after_s` is a stuck sensor's, not the room's.
    """
    kind, value = reading.kind, reading.value
    limit = _spike_limit(kind, policy)
    jumps = limit and abs(value - was.value) > limit and (was.suspect is None or abs(value - was.suspect) > limit)
    if jumps and stamped_at - was.logged_at < timedelta(seconds=policy.reading_stale_s):
        return replace(was, flag=Plausibility.spike, flagged_at=stamped_at, suspect=value)
    if value != was.value:
        return Sensed(reading.device_id, kind, value, reading.at, stamped_at, Plausibility.plausible, None, None, stamped_at)
    since = was.changed_at or was.logged_at
    stuck = policy.stuck_after_s > 0 and stamped_at - since >= timedelta(seconds=policy.stuck_after_s)
    flag, flagged_at = (Plausibility.stuck, stamped_at) if stuck else (Plausibility.plausible, None)
    return Sensed(reading.device_id, kind, value, reading.at, stamped_at, flag, flagged_at, None, since)


def _spike_limit(kind: Kind, policy: Policy) -> float:
    """How far a value may jump; 0: as far as it likes."""
    if kind is Kind.temperature_c:
        return policy.spike_temperature_k
    if kind is Kind.humidity_pct:
        return policy.spike_humidity_pct
    return policy.spike_co2_ppm
