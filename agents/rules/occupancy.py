"""Whether people are in a room, from motion: an instant makes it occupied, a timeout after the last one makes it vacant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from schemas.records import Kind, Policy, Position
from schemas.rows import Occupancy, OccupancyState, Sensed

MOVING = 0.5
"""A motion reading at or above this is motion."""


def unknown_since(position: Position, now: datetime) -> Occupancy:
    """Nothing is known of people yet."""
    return Occupancy(position, OccupancyState.unknown, now, OccupancyState.unknown, now, motion=False)


def on_motion(was: Occupancy, sensed: Iterable[Sensed], policy: Policy, position: Position, now: datetime) -> Occupancy:
    """After a motion reading: any sensor's fresh motion occupies; the last one's falling edge starts the vacancy timeout."""
    stale = timedelta(seconds=policy.motion_stale_s)
    known = [s for s in sensed if s.kind is Kind.motion]
    moving = [s.logged_at for s in known if s.value >= MOVING and now - s.logged_at < stale]
    if not known:
        return was if was.light is OccupancyState.unknown and not was.motion else unknown_since(position, now)
    if moving:
        return _occupied(was, max(moving), position, now)
    if was.motion or was.still_since_at is None:
        return replace(was, position=position, motion=False, still_since_at=now)
    return was


def _occupied(was: Occupancy, motion_at: datetime, position: Position, now: datetime) -> Occupancy:
    light_since = was.light_since_at if was.light is OccupancyState.occupied else now
    heating_since = was.heating_since_at if was.heating is OccupancyState.occupied else now
    return Occupancy(
        position, OccupancyState.occupied, light_since, OccupancyState.occupied, heating_since, motion=True, motion_at=motion_at
    )


def on_time(was: Occupancy, policy: Policy, position: Position, now: datetime) -> Occupancy:
    """What the passing of time makes of it: timeouts after stillness, and motion nobody refreshed becomes unknown."""
    if was.motion and was.motion_at is not None:
        stale_at = was.motion_at + timedelta(seconds=policy.motion_stale_s)
        if now >= stale_at:
            return Occupancy(
                position, OccupancyState.unknown, stale_at, OccupancyState.unknown, stale_at, motion=False, motion_at=was.motion_at
            )
        return was
    if was.still_since_at is None:
        return was
    light_at, heating_at = _vacant_at(was, policy)
    if light_at is not None and now >= light_at:
        was = replace(was, position=position, light=OccupancyState.vacant, light_since_at=light_at)
    if heating_at is not None and now >= heating_at:
        was = replace(was, position=position, heating=OccupancyState.vacant, heating_since_at=heating_at)
    return was


def next_change_at(was: Occupancy, policy: Policy) -> datetime | None:
    """When time alone will change it next."""
    if was.motion and was.motion_at is not None:
        return was.motion_at + timedelta(seconds=policy.motion_stale_s)
    return min((at for at in _vacant_at(was, policy) if at is not None), default=None)


def _vacant_at(was: Occupancy, policy: Policy) -> tuple[datetime | None, datetime | None]:
    """When light and heating become vacant; None where they are already, or where no timeout runs."""
    if was.still_since_at is None:
        return None, None
    light = None if was.light is OccupancyState.vacant else was.still_since_at + timedelta(seconds=policy.vacancy_timeout_light_s)
    heating = (
        None if was.heating is OccupancyState.vacant else was.still_since_at + timedelta(seconds=policy.vacancy_timeout_heating_s)
    )
    return light, heating
