"""The weekly schedule: which period holds for a kind of actuator now, by the building's own clock, and when that next changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from agents.rules.arbitration import Opinion, Wish
from agents.rules.policy import numbers
from schemas.commands import Input
from schemas.policy import zone_of
from schemas.records import Kind, Policy, SchedulePeriod, Weekday
from schemas.rows import Actuator, Room

_WEEK = tuple(Weekday)[1:8]
_DAY = timedelta(days=1)


def scheduled(room: Room, actuator: Actuator) -> Opinion:
    """The value of the period that holds now: its target or, where it names none, the setback, which is the relinquish default."""
    policy = room.policy
    if not policy.schedule:
        return None
    found = _holding(policy, actuator.kind, room.now_at)
    if found is None:
        return None
    period, until_at = found
    local = until_at.astimezone(zone_of(policy.time_zone))
    value = period.value_pct if period.value_pct is not None else numbers(policy, actuator.kind).default_pct
    reason = f"{period.name}: {period.starts:%H:%M} to {local:%H:%M}"
    return Wish("weekly schedule", value, reason, lambda: (Input("scheduled_until", 1.0, until_at),))


def next_change(policy: Policy, now: datetime) -> datetime | None:
    """The next instant (UTC) at which a period begins or ends; None without a schedule."""
    if not policy.schedule:
        return None
    edges = (edge for _, starts_at, ends_at in _spans(_Calendar(policy), now.date()) for edge in (starts_at, ends_at))
    return min((edge for edge in edges if edge > now), default=now + _DAY)


def _holding(policy: Policy, kind: Kind, now: datetime) -> tuple[SchedulePeriod, datetime] | None:
    """The first declared of the periods that hold now, and its end."""
    holding = [
        (policy.schedule.index(period), ends_at)
        for period, starts_at, ends_at in _spans(_Calendar(policy), now.date())
        if period.kind is kind and starts_at <= now < ends_at
    ]
    if not holding:
        return None
    number, until_at = min(holding)
    return policy.schedule[number], until_at


class _Calendar:
    """What of a policy makes its calendar, as a key to remember the spans by: hashing every period each time would cost more."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __hash__(self) -> int:
        return hash((self.policy.revision, len(self.policy.schedule), self.policy.time_zone))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Calendar):
            return False
        one, two = self.policy, other.policy
        return (one.schedule, one.schedule_exceptions, one.holidays, one.time_zone) == (
            two.schedule, two.schedule_exceptions, two.holidays, two.time_zone
        )  # fmt: skip


@lru_cache(maxsize=256)
def _spans(calendar: _Calendar, utc_day: date) -> tuple[tuple[SchedulePeriod, datetime, datetime], ...]:
    """Every period around a UTC day as instants. A local time that the clocks skip begins when they have moved on."""
    policy = calendar.policy
    zone = zone_of(policy.time_zone)
    found = []
    for local_day in (utc_day + days * _DAY for days in range(-2, 4)):
        for period in _periods_of(policy, local_day):
            ends_on = local_day if period.ends > period.starts else local_day + _DAY
            starts_at = datetime.combine(local_day, period.starts, tzinfo=zone).astimezone(UTC)
            ends_at = datetime.combine(ends_on, period.ends, tzinfo=zone).astimezone(UTC)
            if starts_at < ends_at:
                found.append((period, starts_at, ends_at))
    return tuple(found)


def _periods_of(policy: Policy, local_day: date) -> Iterator[SchedulePeriod]:
    day = day_kind(policy, local_day)
    return (period for period in policy.schedule if day in period.days)


def day_kind(policy: Policy, local_day: date) -> Weekday:
    """Whose periods a day follows: an exception's, the holidays', or its own weekday's."""
    text = local_day.isoformat()
    for exception in policy.schedule_exceptions:
        if exception.first <= text <= exception.last:
            return exception.follow
    return Weekday.holiday if text in policy.holidays else _WEEK[local_day.weekday()]
