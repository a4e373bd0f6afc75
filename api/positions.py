"""Positions in URLs, and waiting until a room has reached one."""

from __future__ import annotations

import asyncio
from urllib.parse import quote, unquote

from api.problems import Problem, not_yet
from api.replica import Replica
from schemas.records import Position

POSITION_WAIT_S = 5.0
"""How long a read that names a position waits for it before it answers 503."""


async def wait_for_min_position(replica: Replica, room_id: str, min_position: str | None) -> None:
    """Wait until the room contains the event there. Raises a 503 problem when it does not in time, 422 for what is no position."""
    if min_position is not None and not await wait_for(replica, room_id, parse_position(min_position), POSITION_WAIT_S):
        raise not_yet(f"room {room_id} has not reached {min_position} within {POSITION_WAIT_S:g} s")


async def wait_for(replica: Replica, room_id: str, position: Position, timeout_s: float) -> bool:
    """Wait until the room's row contains the event at `position`; False when it does not in time."""
    changed = asyncio.Event()

    def watch(rooms: frozenset[str]) -> None:
        if room_id in rooms:
            changed.set()

    replica.watchers.append(watch)
    try:
        async with asyncio.timeout(timeout_s):
            while not replica.reached(room_id, position):
                await changed.wait()
                changed.clear()
    except TimeoutError:
        return False
    finally:
        replica.watchers.remove(watch)
    return True


def format_position(position: Position) -> str:
    """As `min_position` takes it: log id, partition, offset. Kafka's ids may hold `+` and `/`, so it is quoted for an URL."""
    return f"{quote(position.log_id, safe='')}:{position.partition}:{position.offset}"


def parse_position(text: str) -> Position:
    """The reverse of `format_position`. Raises a 422 problem."""
    log_id, _, rest = text.partition(":")
    partition, _, offset = rest.partition(":")
    if not log_id or not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in (partition, offset)):
        raise Problem(422, "Unprocessable Content", "`min_position` is log id, partition and offset, joined by colons")
    return Position(unquote(log_id), int(partition), int(offset))  # quoted once or, by a careful client, twice
