"""What the room's sensors say now: means of what is fresh and plausible, and the facts that a proposal names as its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from schemas.commands import Input
from schemas.records import Kind
from schemas.rows import OccupancyState, Plausibility, Room, Sensed

OCCUPIED, DAY = "occupied", "day"
"""Names of inputs that are no kind."""


def mean_of(room: Room, kind: Kind, now: datetime) -> float | None:
    """Mean of the last values of a kind that are neither stale nor stuck, in its unit; None without any."""
    counting = _counting(room, kind, now)
    return _mean(counting) if counting else None


def temperatures_c(room: Room, now: datetime) -> list[float]:
    """The last temperature of each sensor that is neither stale nor stuck."""
    return [s.value for s in _counting(room, Kind.temperature_c, now)]


def extreme(room: Room, which: Callable[..., Sensed], limit: float) -> Input:
    """The coldest (`min`) or hottest (`max`) sensor's temperature as an input."""
    sensed = _last_known(room, Kind.temperature_c)
    if not sensed:
        return Input(Kind.temperature_c.value, limit, None, limit)
    found = which(sensed, key=lambda s: s.value)
    return Input(Kind.temperature_c.value, found.value, found.at, limit)


def _counting(room: Room, kind: Kind, now: datetime) -> list[Sensed]:
    stale_at = now - timedelta(seconds=room.policy.reading_stale_s)
    stuck = Plausibility.stuck
    return [s for s in room.sensed if s.kind is kind and s.logged_at > stale_at and s.flag is not stuck]


def _last_known(room: Room, kind: Kind) -> list[Sensed]:
    """What counts now or, where nothing does, all there was."""
    return _counting(room, kind, room.now_at) or [s for s in room.sensed if s.kind is kind]


def _mean(sensed: Sequence[Sensed]) -> float:
    return sum([s.value for s in sensed]) / len(sensed)


def measured(room: Room, kind: Kind, limit: float) -> Input:
    """The newest reading behind a kind's mean, as an input; where none is fresh, the last one known."""
    sensed = _last_known(room, kind)
    if not sensed:
        return Input(kind.value, limit, None, limit)
    return Input(kind.value, round(_mean(sensed), 2), max(s.at for s in sensed), limit)


def people(room: Room, *, heating: bool = False) -> Input:
    """Whether somebody is there, since when."""
    state, since = room.occupancy.light, room.occupancy.light_since_at
    if heating:
        state, since = room.occupancy.heating, room.occupancy.heating_since_at
    return Input(OCCUPIED, float(state is OccupancyState.occupied), since)


def daytime(room: Room) -> Input:
    """Whether it is day by the local clock."""
    return Input(DAY, float(bool(room.day)))
