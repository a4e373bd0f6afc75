"""Averages over the last 3 h from 5-minute buckets of event time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from schemas.averages import AVERAGED as AVERAGED  # for the rules that import it from here
from schemas.averages import SPAN
from schemas.records import Position, Reading
from schemas.rows import AveragesRow, Bucket

BUCKET = timedelta(minutes=5)
_OPEN = 2 * BUCKET
"""A bucket is open while its own 5 minutes last and the next ones, its grace."""


class Filed(Struct, frozen=True, gc=False):
    """The open buckets after a reading; `late` when the reading came after its bucket had closed."""

    buckets: tuple[Bucket, ...]
    late: bool


def bucket_start(at: datetime) -> datetime:
    """The multiple of 5 min at or before an instant."""
    return at.replace(minute=at.minute - at.minute % 5, second=0, microsecond=0)


def file_reading(buckets: tuple[Bucket, ...], reading: Reading, now: datetime) -> Filed:
    """Add a reading to its own time's bucket; `at` ahead of `now` counts as now. Open are the current bucket and the previous."""
    at = reading.at if reading.at < now else now
    for index, bucket in enumerate(buckets):
        if bucket.kind is reading.kind and bucket.start_at <= at and at - bucket.start_at < BUCKET:
            if now - bucket.start_at >= _OPEN:
                return Filed(buckets, late=True)
            filled = Bucket(reading.kind, bucket.start_at, bucket.total + reading.value, bucket.count + 1)
            return Filed((*buckets[:index], filled, *buckets[index + 1 :]), late=False)
    start = bucket_start(at)
    if now - start >= _OPEN:
        return Filed(buckets, late=True)
    return Filed((*buckets, Bucket(reading.kind, start, reading.value, 1)), late=False)


def closed_by(buckets: tuple[Bucket, ...], now: datetime) -> tuple[Bucket, ...]:
    """The buckets whose grace has passed: those before the previous one."""
    newest_closed = now - _OPEN
    return tuple([bucket for bucket in buckets if bucket.start_at <= newest_closed])


def with_closed(row: AveragesRow | None, closed: Iterable[Bucket], position: Position) -> AveragesRow:
    """The row with these buckets set. Setting one again changes nothing; what is 3 h older than the newest drops out."""
    known = {(bucket.start_at, bucket.kind): bucket for bucket in (row.buckets if row else ())}
    known.update({(bucket.start_at, bucket.kind): bucket for bucket in closed})
    newest = max(start for start, _ in known)
    kept = sorted(key for key in known if key[0] > newest - SPAN)
    return AveragesRow(position, tuple(known[key] for key in kept))
