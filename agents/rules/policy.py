"""The policy's clock: building-local day and night."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.records import Policy

_PERCENT_FIELDS = tuple(name for name in Policy.__struct_fields__ if name.endswith("_pct"))
_SPAN_FIELDS = tuple(name for name in Policy.__struct_fields__ if name.endswith("_s"))
_ILLUMINANCE_FIELDS = tuple(name for name in Policy.__struct_fields__ if name.endswith("_lx"))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def fault(policy: Policy) -> str | None:
    """Why a policy cannot be used, naming the field and what would do; None when it can."""
    try:
        _zone(policy.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"time_zone: {policy.time_zone!r} is not an IANA time zone such as Europe/Zurich"
    for name in _PERCENT_FIELDS:
        if not 0 <= getattr(policy, name) <= 100:
            return f"{name}: {getattr(policy, name)} is not a percentage from 0 to 100"
    for name in _SPAN_FIELDS:
        if getattr(policy, name) < 0:
            return f"{name}: {getattr(policy, name)} s is negative"
    for name in _ILLUMINANCE_FIELDS:
        if not 0 <= getattr(policy, name) <= 200_000:
            return f"{name}: {getattr(policy, name)} lx is not an illuminance from 0 to 200000"
    if policy.humid_clear_below_pct > policy.humid_above_pct:
        return f"humid_clear_below_pct: {policy.humid_clear_below_pct} must not be above humid_above_pct ({policy.humid_above_pct})"
    if policy.dark_at_most_lx > policy.bright_above_lx:
        return f"dark_at_most_lx: {policy.dark_at_most_lx} must not be above bright_above_lx ({policy.bright_above_lx})"
    if policy.day_starts == policy.day_ends:
        return f"day_ends: {policy.day_ends} must differ from day_starts"
    return None


def is_day(policy: Policy, now: datetime) -> bool:
    """Whether the local wall clock stands from `day_starts` up to, not including, `day_ends`."""
    local = now.astimezone(_zone(policy.time_zone)).time()
    if policy.day_starts <= policy.day_ends:
        return policy.day_starts <= local < policy.day_ends
    return local >= policy.day_starts or local < policy.day_ends


def next_boundary(policy: Policy, now: datetime) -> datetime:
    """The next instant (UTC) at which the local clock reaches `day_starts` or `day_ends`, summer time counted."""
    zone = _zone(policy.time_zone)
    today = now.astimezone(zone).date()
    candidates = [
        datetime.combine(today + timedelta(days=days), wall, tzinfo=zone).replace(fold=fold).astimezone(UTC)
        for days in (0, 1, 2)
        for wall in (policy.day_starts, policy.day_ends)
        for fold in (0, 1)
    ]
    return min(at for at in candidates if at > now)
