"""A person's hold on an actuator, and what ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from schemas.records import Intent, Kind, LeaseEnd, Policy
from schemas.rows import Actuator, Lease, Occupancy, OccupancyState

FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Stands as the end of a lease that only its release ends: the field cannot be empty."""


def lease_of(intent: Intent, value_pct: float, policy: Policy, now: datetime) -> Lease:
    """The hold an intent asks for. One until the room is vacant ends after `lease_longest_s` at the latest."""
    return Lease(value_pct, intent.source or "hand", intent.reason, now, _until(intent, policy, now), _ends(intent))


def extended(lease: Lease, intent: Intent, policy: Policy, now: datetime) -> Lease:
    """The same hold with another end."""
    reason = intent.reason or lease.reason
    return replace(lease, until_at=_until(intent, policy, now), ends=_ends(intent), reason=reason)


def on_time(actuator: Actuator, people: Occupancy) -> Actuator:
    """A lease until the room is vacant ends when it has become so since: a hand in an empty room counts as somebody there."""
    lease = actuator.lease
    if lease is None or lease.ends is not LeaseEnd.vacant:
        return actuator
    state, since = people.light, people.light_since_at
    if actuator.kind is Kind.valve_pct:
        state, since = people.heating, people.heating_since_at
    return replace(actuator, lease=None) if state is OccupancyState.vacant and since > lease.since_at else actuator


def ends_at(actuator: Actuator) -> datetime | None:
    """When time alone ends the lease; None without one, or where only its release does."""
    lease = actuator.lease
    return None if lease is None or lease.ends is LeaseEnd.relinquished else lease.until_at


def _ends(intent: Intent) -> LeaseEnd:
    return LeaseEnd.at if intent.ends is LeaseEnd.unknown else intent.ends


def _until(intent: Intent, policy: Policy, now: datetime) -> datetime:
    match _ends(intent):
        case LeaseEnd.relinquished:
            return FOR_EVER
        case LeaseEnd.vacant:
            return intent.until_at or now + timedelta(seconds=policy.lease_longest_s)
        case _:
            return intent.until_at or now + timedelta(seconds=policy.manual_lease_s)
