"""`/v1/rooms`: what the building knows, and the intents of people."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from aiohttp import web
from msgspec import Meta, Struct

from api.intents import NotAcknowledged
from api.keys import CLOCK, INTENTS, replica_of
from api.problems import Problem, not_yet
from api.replica import Replica
from api.typed import TypedRoutes
from api.views import BuildingView, RoomView, building_view, is_recorded, newest_actuators, room_view
from schemas.records import Intent, IntentAction, Kind, Position

routes = TypedRoutes()
LONGEST_HOLD = timedelta(days=7)
POSITION_WAIT_S = 5.0
"""How long a read that names a position waits for it before it answers 503."""
Percent = Annotated[float, Meta(ge=0, le=100)]


class IntentRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Take an actuator by hand or give it back. `closed_pct`: 100 = closed. Without `until_at`: the room's policy says how long."""

    action: Literal["set", "release"]
    kind: Literal["closed_pct", "valve_pct", "level_pct"]
    value_pct: Percent | None = None
    device_id: int | None = None
    until_at: Annotated[datetime, Meta(tz=True)] | None = None
    source: Annotated[str, Meta(min_length=1, max_length=40)] = "api"
    reason: Annotated[str, Meta(max_length=200)] = ""


class Accepted(Struct, frozen=True):
    """The intent stands in the room's log; read with `min_position` to see what came of it."""

    position: Position
    min_position: str


@routes.route("GET", "/v1/rooms", errors=(503,))
async def list_rooms(request: web.Request) -> BuildingView:
    """Every room of the building."""
    return building_view(replica_of(request), request.app[CLOCK]())


@routes.route("GET", "/v1/rooms/{room_id}", errors=(404, 503))
async def get_room(request: web.Request, room_id: str, min_position: str | None = None) -> RoomView:
    """One room; with `min_position` (as an intent's answer gives it) not before it contains that event of its log."""
    replica = replica_of(request)
    if min_position is not None and not await wait_for(replica, room_id, parse_position(min_position)):
        raise not_yet(f"room {room_id} has not reached {min_position} within {POSITION_WAIT_S:g} s")
    view = room_view(replica, room_id, request.app[CLOCK]())
    if view is None:
        raise Problem(404, "Not Found", f"the building has no room {room_id!r}")
    return view


@routes.route("POST", "/v1/rooms/{room_id}/intents", status=202, errors=(404, 409, 503))
async def post_intent(request: web.Request, room_id: str, body: IntentRequest) -> Accepted:
    """Take an actuator by hand, or give it back to automation; answers once Kafka has acknowledged it."""
    replica, now = replica_of(request), request.app[CLOCK]()
    if room_id not in replica.infos:
        raise Problem(404, "Not Found", f"the building has no room {room_id!r}")
    if is_recorded(replica.rooms.get(room_id)):
        raise Problem(409, "Conflict", f"room {room_id} is a recording: nobody can act in it")
    _check(replica, room_id, body, now)
    intent = Intent(
        action=IntentAction(body.action),
        kind=Kind(body.kind),
        at=whole_ms(now),
        value_pct=body.value_pct,
        device_id=body.device_id,
        until_at=whole_ms(body.until_at) if body.until_at else None,
        source=body.source,
        reason=body.reason,
    )
    try:
        position = await request.app[INTENTS].append(room_id, intent)
    except NotAcknowledged as error:
        raise not_yet(f"Kafka did not acknowledge: {error}") from error
    return Accepted(position, format_position(position))


def _check(replica: Replica, room_id: str, body: IntentRequest, now: datetime) -> None:
    """Raise a 422 problem for what the types cannot say."""
    wrong = []
    if (body.value_pct is None) == (body.action == "set"):
        wrong.append("`value_pct` goes with `set` and only with it")
    if body.until_at is not None and not now < body.until_at <= now + LONGEST_HOLD:
        wrong.append(f"`until_at` must lie ahead, at most {LONGEST_HOLD.days} days")
    there = [one for one in newest_actuators(replica, room_id) if one.kind == body.kind]
    if not any(body.device_id in (None, one.device_id) for one in there):
        wrong.append(f"room {room_id} has no such actuator of kind {body.kind}")
    if wrong:
        errors = [{"in": "body", "detail": detail} for detail in wrong]
        raise Problem(422, "Unprocessable Content", "; ".join(wrong), errors=errors)


async def wait_for(replica: Replica, room_id: str, position: Position, timeout_s: float = POSITION_WAIT_S) -> bool:
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


def whole_ms(instant: datetime) -> datetime:
    """Cut to the milliseconds that Avro's timestamp-millis keeps."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
