"""PURE: the mean of the last 3 h, as the rules, the API and the statistics all count it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from schemas.records import Kind
from schemas.rows import Bucket

SPAN = timedelta(hours=3)
AVERAGED = frozenset({Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.co2_ppm})
"""Kinds that have averages; motion and positions do not."""


def mean(buckets: Iterable[Bucket], kind: Kind, now: datetime) -> float | None:
    """Mean of a kind's readings over the 3 h before `now`, from closed and open buckets together; None without readings."""
    total, count = 0.0, 0
    for bucket in buckets:
        if bucket.kind is kind and bucket.start_at > now - SPAN:
            total += bucket.total
            count += bucket.count
    return total / count if count else None
