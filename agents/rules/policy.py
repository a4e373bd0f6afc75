"""The policy's clock, building-local day and night, and its numbers for one kind of actuator."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from agents.rules.arbitration import Numbers
from schemas.policy import zone_of
from schemas.records import Kind, Policy, Unasked


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


def numbers(policy: Policy, kind: Kind) -> Numbers:
    """The policy's numbers for one kind of actuator."""
    match kind:
        case Kind.valve_pct:
            return Numbers(policy.valve_vacant_pct, policy.valve_dwell_s, policy.valve_min_on_s, policy.valve_min_off_s)
        case Kind.closed_pct:
            return Numbers(policy.blind_default_closed_pct, policy.blind_dwell_s)
        case _:
            return Numbers(policy.light_off_pct, policy.light_dwell_s, policy.light_min_on_s, policy.light_min_off_s)


def unasked(policy: Policy, kind: Kind) -> Unasked:
    """What a value nobody asked for is, for one kind of actuator."""
    match kind:
        case Kind.valve_pct:
            return policy.valve_unasked
        case Kind.closed_pct:
            return policy.blind_unasked
        case _:
            return policy.light_unasked
