"""What every route that acts on a room shares: is it there, may one act in it, and was the intent acknowledged."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from api.intents import NotAcknowledged
from api.keys import CLOCK, INTENTS, replica_of
from api.positions import format_position
from api.problems import Problem, not_yet
from api.views import is_recorded, newest_actuators
from schemas.records import Intent, Position
from schemas.rows import Actuator

Source = Annotated[str, Meta(min_length=1, max_length=40)]
Reason = Annotated[str, Meta(max_length=200)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Instant = Annotated[datetime, Meta(tz=True)]


class Accepted(Struct, frozen=True):
    """The intent stands in the room's log; read with `min_position` to see what came of it."""

    position: Position
    min_position: str


def open_room(request: web.Request, room_id: str) -> None:
    """Raise a 404 problem for a room the building has not, 409 for a recording."""
    replica = replica_of(request)
    if room_id not in replica.infos:
        raise Problem(404, "Not Found", f"the building has no room {room_id!r}")
    if is_recorded(replica.rooms.get(room_id)):
        raise Problem(409, "Conflict", f"room {room_id} is a recording: nobody can act in it")


def actuator_of(request: web.Request, room_id: str, device_id: str) -> Actuator:
    """The actuator of a room, by its device. Raises a 404 problem where there is none, 409 in a recording."""
    open_room(request, room_id)
    for actuator in newest_actuators(replica_of(request), room_id):
        if str(actuator.device_id) == device_id:
            return actuator
    raise Problem(404, "Not Found", f"room {room_id} has no actuator {device_id!r}")


async def append(request: web.Request, room_id: str, intent: Intent) -> Accepted:
    """Put an intent into the room's log. Raises a 503 problem when Kafka does not acknowledge it."""
    try:
        position = await request.app[INTENTS].append(room_id, intent)
    except NotAcknowledged as error:
        raise not_yet(f"Kafka did not acknowledge: {error}") from error
    return Accepted(position, format_position(position))


def unprocessable(*wrong: str) -> Problem:
    """A 422 problem that names each thing that is wrong."""
    errors = [{"in": "body", "detail": detail} for detail in wrong]
    return Problem(422, "Unprocessable Content", "; ".join(wrong), errors=errors)


def asked_at(request: web.Request) -> datetime:
    """Now, as an intent says it."""
    return whole_ms(request.app[CLOCK]())


def whole_ms(instant: datetime) -> datetime:
    """Cut to the milliseconds that Avro's timestamp-millis keeps."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
