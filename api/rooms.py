"""`/v1/rooms`: what the building knows, and the intents of people."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from aiohttp import web
from msgspec import Struct

from api.acting import Accepted, Instant, Percent, Reason, Source, append, open_room, unprocessable, whole_ms
from api.keys import CLOCK, replica_of
from api.leases import LONGEST_HOLD
from api.positions import wait_for_min_position
from api.problems import Problem
from api.replica import Replica
from api.typed import TypedRoutes
from api.views import BuildingView, RoomView, building_view, newest_actuators, room_view
from schemas.records import Intent, IntentAction, Kind

routes = TypedRoutes()


class IntentRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Take an actuator by hand or give it back. `closed_pct`: 100 = closed. Without `until_at`: the room's policy says how long."""

    action: Literal["set", "release"]
    kind: Literal["closed_pct", "valve_pct", "level_pct"]
    value_pct: Percent | None = None
    device_id: int | None = None
    until_at: Instant | None = None
    source: Source = "api"
    reason: Reason = ""


@routes.route("GET", "/v1/rooms", errors=(503,))
async def list_rooms(request: web.Request) -> BuildingView:
    """Every room of the building."""
    return building_view(replica_of(request), request.app[CLOCK]())


@routes.route("GET", "/v1/rooms/{room_id}", errors=(404, 503))
async def get_room(request: web.Request, room_id: str, min_position: str | None = None) -> RoomView:
    """One room; with `min_position` (as an intent's answer gives it) not before it contains that event of its log."""
    replica = replica_of(request)
    await wait_for_min_position(replica, room_id, min_position)
    view = room_view(replica, room_id, request.app[CLOCK]())
    if view is None:
        raise Problem(404, "Not Found", f"the building has no room {room_id!r}")
    return view


@routes.route("POST", "/v1/rooms/{room_id}/intents", status=202, errors=(404, 409, 503))
async def post_intent(request: web.Request, room_id: str, body: IntentRequest) -> Accepted:
    """Take an actuator by hand, or give it back to automation; answers once Kafka has acknowledged it."""
    replica, now = replica_of(request), request.app[CLOCK]()
    open_room(request, room_id)
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
    return await append(request, room_id, intent)


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
        raise unprocessable(*wrong)
