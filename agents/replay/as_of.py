"""A room as it was at a past time: its last snapshot before, and the events from there on."""

from __future__ import annotations

from datetime import datetime, timedelta

from agents.replay.replay import replay
from agents.replay.stored import NoHistory, Span
from schemas.rows import Room

_NEXT = timedelta(microseconds=1)


def room_as_of(dsn: str, room_id: str, at: datetime) -> Room:
    """The row after every event logged at or before `at` (of a live room: as its table had it then).

    Raises `NoHistory` where nobody had introduced the room yet, `DatabaseUnavailable`.
    """
    span = Span(since=at + _NEXT, until=at + _NEXT, room_ids=(room_id,))
    try:
        room = replay(dsn, span).rooms.get(room_id)
    except NoHistory:
        room = None
    if room is None:
        raise NoHistory(f"history knows nothing of room {room_id} at {at:%Y-%m-%dT%H:%M:%S}Z")
    return room
