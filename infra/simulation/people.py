"""Who is in an office room when: working days with a lunch break and short absences, and the windows they open to air.

Assumptions, not measurements; both sets of rules get the very same people.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from msgspec import Struct

ZONE = ZoneInfo("Europe/Zurich")
STIR_S = 240.0
"""A seated person moves so that a motion sensor sees it about so often."""
_ARRIVE, _LEAVE, _LUNCH = time(8, 0), time(17, 30), time(12, 0)
_ABSENCES = 3.0
_AIRING = timedelta(minutes=10)


class Stay(Struct, frozen=True):
    """A span in which so many people are in the room; `airing_at` is when they open the window, if they do."""

    since: datetime
    until: datetime
    people: int
    airing_at: datetime | None = None

    def airs(self, at: datetime) -> bool:
        """Whether the window stands open."""
        return self.airing_at is not None and self.airing_at <= at < self.airing_at + _AIRING


def stays(first: date, days: int, rng: Random) -> list[Stay]:
    """Every stay of the span, in order of time."""
    return [stay for number in range(days) for stay in _day(first + timedelta(days=number), rng)]


def _day(day: date, rng: Random) -> Iterator[Stay]:
    if day.weekday() >= 5 or rng.random() < 0.15:  # weekend, or away
        return
    people = 1 if rng.random() < 0.7 else 2
    arrives, leaves = _about(day, _ARRIVE, 40, rng), _about(day, _LEAVE, 50, rng)
    gone = _about(day, _LUNCH, 15, rng)
    edges = [(arrives, gone), (gone + timedelta(minutes=rng.uniform(30, 60)), leaves)]
    for since, until in edges:
        airing_at = since + timedelta(minutes=rng.uniform(20, 60))
        while since < until:
            stay_min = rng.expovariate(_ABSENCES / 8 / 60)
            ends = min(until, since + timedelta(minutes=max(5.0, stay_min)))
            yield Stay(since, ends, people, airing_at if since <= airing_at < ends else None)
            since = ends + timedelta(minutes=rng.uniform(3, 25))


def _about(day: date, wall: time, spread_min: float, rng: Random) -> datetime:
    return datetime.combine(day, wall, tzinfo=ZONE) + timedelta(minutes=rng.gauss(0, spread_min))
