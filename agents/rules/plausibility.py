"""Which readings can be believed at all. What fails here goes to the dead letters, with the reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isfinite

from msgspec import Struct

from schemas.records import CommandResult, Kind, Reading

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
