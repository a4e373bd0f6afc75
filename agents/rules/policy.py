"""The policy's clock: building-local day and night."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.records import Policy

_PERCENT_FIELDS = tuple(name for name in Policy.__struct_fields__ if name.endswith("_pct"))
_SPAN_FIELDS = tuple(name for name in Policy.__struct_fields__ if name.endswith("_s"))
_ILLUMINANCE_FIELDS = tuple(name for name in Policy.__struct_fields__ if name.endswith("_lx"))
_CLOCK_FIELDS = ("day_starts", "day_ends")
_LONGEST_S = 2**31 - 1
"""Avro's int."""


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def fault(policy: Policy) -> str | None:
    """Why a policy cannot be used, naming the field and what would do; None when it can."""
    return next((f"{name}: {complaint}" for name, complaint in faults(policy)), None)


def faults(policy: Policy) -> Iterator[tuple[str, str]]:
    """Every reason why a policy cannot be used: field, and what would do."""
    try:
        _zone(policy.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield "time_zone", f"{policy.time_zone!r} is not an IANA time zone such as Europe/Zurich"
    for name in _CLOCK_FIELDS:
        wall = getattr(policy, name)
        if wall.tzinfo is not None or wall.microsecond % 1000:
            yield name, f"{wall} is not a local time without a zone, to the millisecond, such as 07:00:00"
    for name in _PERCENT_FIELDS:
        if not 0 <= getattr(policy, name) <= 100:
            yield name, f"{getattr(policy, name)} is not a percentage from 0 to 100"
    for name in _SPAN_FIELDS:
        if not 0 <= getattr(policy, name) <= _LONGEST_S:
            yield name, f"{getattr(policy, name)} s is not a span from 0 to {_LONGEST_S} s"
    for name in _ILLUMINANCE_FIELDS:
        if not 0 <= getattr(policy, name) <= 200_000:
            yield name, f"{getattr(policy, name)} lx is not an illuminance from 0 to 200000"
    if policy.humid_clear_below_pct > policy.humid_above_pct:
        yield (
            "humid_clear_below_pct",
            f"{policy.humid_clear_below_pct} must not be above humid_above_pct ({policy.humid_above_pct})",
        )
    if policy.dark_at_most_lx > policy.bright_above_lx:
        yield "dark_at_most_lx", f"{policy.dark_at_most_lx} must not be above bright_above_lx ({policy.bright_above_lx})"
    if policy.day_starts == policy.day_ends:
        yield "day_ends", f"{policy.day_ends} must differ from day_starts"


def is_day(policy: Policy, now: datetime) -> bool:
    """Whether the local wall clock stands from `day_starts` up to, not including, `day_ends`."""
    local = now.astimezone(_zone(policy.time_zone)).time()
    if policy.day_starts <= policy.day_ends:
        return policy.day_starts <= local < policy.day_ends
    return local >= policy.day_starts or local < policy.day_ends


def next_boundary(policy: Policy, now: datetime) -> datetime:
    """The next instant (UTC) at which the local clock reaches `day_starts` or `day_ends`, summer time counted."""
    return next(at for at in _boundaries(policy.time_zone, policy.day_starts, policy.day_ends, now.date()) if at > now)


@lru_cache(maxsize=256)  # a third of deciding, were it not remembered
def _boundaries(time_zone: str, day_starts: time, day_ends: time, utc_day: date) -> tuple[datetime, ...]:
    """Every boundary around a UTC day, in order; local clocks are at most 14 h off."""
    zone = _zone(time_zone)
    return tuple(sorted({
        datetime.combine(utc_day + timedelta(days=days), wall, tzinfo=zone).replace(fold=fold).astimezone(UTC)
        for days in (-1, 0, 1, 2, 3)
        for wall in (day_starts, day_ends)
        for fold in (0, 1)
    }))  # fmt: skip
