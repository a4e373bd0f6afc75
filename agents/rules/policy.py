"""The policy's clock: building-local day and night."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from schemas.policy import zone_of
from schemas.records import Policy


def is_day(policy: Policy, now: datetime) -> bool:
    """Whether the local wall clock stands from `day_starts` up to, not including, `day_ends`."""
    local = now.astimezone(zone_of(policy.time_zone)).time()
    if policy.day_starts <= policy.day_ends:
        return policy.day_starts <= local < policy.day_ends
    return local >= policy.day_starts or local < policy.day_ends


def next_boundary(policy: Policy, now: datetime) -> datetime:
    """The next instant (UTC) at which the local clock reaches `day_starts` or `day_ends`, summer time counted."""
    return next(at for at in _boundaries(policy.time_zone, policy.day_starts, policy.day_ends, now.date()) if at > now)


@lru_cache(maxsize=256)  # a third of deciding, were it not remembered
def _boundaries(time_zone: str, day_starts: time, day_ends: time, utc_day: date) -> tuple[datetime, ...]:
    """Every boundary around a UTC day, in order; local clocks are at most 14 h off."""
    zone = zone_of(time_zone)
    return tuple(sorted({
        datetime.combine(utc_day + timedelta(days=days), wall, tzinfo=zone).replace(fold=fold).astimezone(UTC)
        for days in (-1, 0, 1, 2, 3)
        for wall in (day_starts, day_ends)
        for fold in (0, 1)
    }))  # fmt: skip
