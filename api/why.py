"""`GET /v1/rooms/{id}/why`: why each actuator is as it is, in a sentence, with the facts behind it."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from msgspec import Struct

from api.keys import CLOCK, replica_of
from api.positions import wait_for_min_position
from api.problems import Problem
from api.typed import TypedRoutes
from api.views import device_name, newest_actuators, why_of
from schemas.commands import Proposal
from schemas.records import Kind, Position
from schemas.rows import Sent

routes = TypedRoutes()


class Reasons(Struct, frozen=True):
    """One actuator: the sentence, the priority array, who holds, who lost, the last commands with their causes, newest first."""

    device_id: int
    name: str
    kind: Kind
    why: str
    slots: tuple[Proposal, ...]
    winner: Proposal | None
    losers: tuple[Proposal, ...]
    fault: str
    commands: tuple[Sent, ...]


class WhyView(Struct, frozen=True):
    """A room's reasons as of `now_at`; `policy_revision` is the policy in force."""

    room_id: str
    now_at: datetime
    position: Position | None
    policy_revision: int
    actuators: tuple[Reasons, ...]


@routes.route("GET", "/v1/rooms/{room_id}/why", errors=(404, 503))
async def get_why(request: web.Request, room_id: str, min_position: str | None = None) -> WhyView:
    """Why each actuator of a room is as it is."""
    replica, now = replica_of(request), request.app[CLOCK]()
    await wait_for_min_position(replica, room_id, min_position)
    if room_id not in replica.infos:
        raise Problem(404, "Not Found", f"the building has no room {room_id!r}")
    row = replica.rooms.get(room_id)
    reasons = tuple(
        Reasons(
            one.device_id, device_name(replica, one.device_id), one.kind, why_of(replica, one, row, now), one.slots, one.winner,
            one.losers, one.fault, one.recent,
        )
        for one in newest_actuators(replica, room_id)
    )  # fmt: skip
    return WhyView(room_id, now, row.position if row else None, row.policy.revision if row else 0, reasons)
