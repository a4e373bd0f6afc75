"""Holding an actuator by hand, locking one or a room for maintenance, and acting on a whole floor at once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Literal

from aiohttp import web
from msgspec import Struct

from api.acting import Accepted, Instant, Percent, Reason, Source, actuator_of, append, asked_at, open_room, unprocessable, whole_ms
from api.keys import replica_of
from api.problems import Problem, not_yet
from api.typed import TypedRoutes
from api.views import is_recorded, newest_actuators
from schemas.records import Intent, IntentAction, Kind, LeaseEnd

routes = TypedRoutes()
LONGEST_HOLD = timedelta(days=7)
_FLOOR_WIDE = {"all_off": (Kind.level_pct, 0.0), "all_up": (Kind.closed_pct, 0.0)}


class LeaseRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Hold an actuator at `value_pct` (`closed_pct`: 100 = closed); without a value: extend the hold there is.

    `until` says what ends it: `at` an instant (without `until_at`, after the policy's `manual_lease_s`), `vacant` the room's
    becoming empty, `relinquished` only its release.
    """

    value_pct: Percent | None = None
    until: Literal["at", "vacant", "relinquished"] = "at"
    until_at: Instant | None = None
    source: Source = "api"
    reason: Reason = ""


class LockRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Stop automation and people alike: who locks and why. Without a value the actuators stay where they stand."""

    source: Source
    reason: Reason
    value_pct: Percent | None = None


class FloorRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """All lamps of a floor off, or all its blinds up; an intent for each room, held as by hand."""

    action: Literal["all_off", "all_up"]
    until: Literal["at", "vacant", "relinquished"] = "at"
    until_at: Instant | None = None
    source: Source = "api"
    reason: Reason = ""


class FloorAccepted(Struct, frozen=True):
    """The intents by room."""

    rooms: dict[str, Accepted]


@routes.route("POST", "/v1/rooms/{room_id}/actuators/{device_id}/lease", status=202, errors=(404, 409, 503))
async def post_lease(request: web.Request, room_id: str, device_id: str, body: LeaseRequest) -> Accepted:
    """Hold an actuator by hand, or extend the hold; answers once Kafka has acknowledged it."""
    actuator = actuator_of(request, room_id, device_id)
    at = asked_at(request)
    _check_end(body.until, body.until_at, at)
    if body.value_pct is None and actuator.lease is None:
        raise unprocessable("`value_pct` is missing: nobody holds the actuator, so there is nothing to extend")
    action = IntentAction.extend if body.value_pct is None else IntentAction.set
    return await append(request, room_id, _intent(action, actuator.kind, actuator.device_id, body.value_pct, body, at))


@routes.route("DELETE", "/v1/rooms/{room_id}/actuators/{device_id}/lease", status=202, errors=(404, 409, 503))
async def delete_lease(request: web.Request, room_id: str, device_id: str, source: Source = "api") -> Accepted:
    """Give an actuator back to automation."""
    actuator = actuator_of(request, room_id, device_id)
    intent = Intent(IntentAction.release, actuator.kind, asked_at(request), device_id=actuator.device_id, source=source)
    return await append(request, room_id, intent)


@routes.route("POST", "/v1/rooms/{room_id}/actuators/{device_id}/lock", status=202, errors=(404, 409, 503))
async def post_device_lock(request: web.Request, room_id: str, device_id: str, body: LockRequest) -> Accepted:
    """Lock an actuator for maintenance until it is unlocked."""
    actuator = actuator_of(request, room_id, device_id)
    intent = Intent(
        IntentAction.lock,
        actuator.kind,
        asked_at(request),
        body.value_pct,
        actuator.device_id,
        source=body.source,
        reason=body.reason,
    )
    return await append(request, room_id, intent)


@routes.route("DELETE", "/v1/rooms/{room_id}/actuators/{device_id}/lock", status=202, errors=(404, 409, 503))
async def delete_device_lock(request: web.Request, room_id: str, device_id: str, source: Source = "api") -> Accepted:
    """Unlock an actuator."""
    actuator = actuator_of(request, room_id, device_id)
    intent = Intent(IntentAction.unlock, actuator.kind, asked_at(request), device_id=actuator.device_id, source=source)
    return await append(request, room_id, intent)


@routes.route("POST", "/v1/rooms/{room_id}/lock", status=202, errors=(404, 409, 503))
async def post_room_lock(request: web.Request, room_id: str, body: LockRequest) -> Accepted:
    """Lock every actuator of a room for maintenance until they are unlocked."""
    open_room(request, room_id)
    if body.value_pct is not None:
        raise unprocessable("`value_pct` goes with one actuator: a room's stay where they stand")
    intent = Intent(IntentAction.lock, Kind.unknown, asked_at(request), source=body.source, reason=body.reason)
    return await append(request, room_id, intent)


@routes.route("DELETE", "/v1/rooms/{room_id}/lock", status=202, errors=(404, 409, 503))
async def delete_room_lock(request: web.Request, room_id: str, source: Source = "api") -> Accepted:
    """Unlock every actuator of a room."""
    open_room(request, room_id)
    return await append(request, room_id, Intent(IntentAction.unlock, Kind.unknown, asked_at(request), source=source))


@routes.route("POST", "/v1/floors/{floor}/intents", status=202, errors=(404, 503))
async def post_floor_intent(request: web.Request, floor: str, body: FloorRequest) -> FloorAccepted:
    """All off or all up on a floor: fanned out to its rooms. Repeating it is harmless, should some room not be acknowledged."""
    replica, at = replica_of(request), asked_at(request)
    _check_end(body.until, body.until_at, at)
    if not any(str(info.floor) == floor for info in replica.infos.values()):
        raise Problem(404, "Not Found", f"the building has no floor {floor!r}")
    kind, value_pct = _FLOOR_WIDE[body.action]
    rooms = [
        room_id
        for room_id, info in sorted(replica.infos.items())
        if str(info.floor) == floor
        and not is_recorded(replica.rooms.get(room_id))
        and any(actuator.kind is kind for actuator in newest_actuators(replica, room_id))
    ]
    intent = _intent(IntentAction.set, kind, None, value_pct, body, at)
    told = await asyncio.gather(*(append(request, room_id, intent) for room_id in rooms), return_exceptions=True)
    accepted = {room_id: one for room_id, one in zip(rooms, told, strict=True) if isinstance(one, Accepted)}
    for failed in told:
        if isinstance(failed, Problem):
            missing = ", ".join(room_id for room_id in rooms if room_id not in accepted)
            raise not_yet(f"not acknowledged for rooms {missing}: ask again, what stands already is not doubled")
        if isinstance(failed, BaseException):
            raise failed
    return FloorAccepted(accepted)


def _intent(
    action: IntentAction,
    kind: Kind,
    device_id: int | None,
    value_pct: float | None,
    body: LeaseRequest | FloorRequest,
    at: datetime,
) -> Intent:
    until_at = whole_ms(body.until_at) if body.until_at else None
    return Intent(action, kind, at, value_pct, device_id, until_at, body.source, body.reason, LeaseEnd(body.until))


def _check_end(until: str, until_at: datetime | None, now: datetime) -> None:
    if until_at is None:
        return
    if until == "relinquished":
        raise unprocessable("`until_at` does not go with `relinquished`, which only a release ends")
    if not now < until_at <= now + LONGEST_HOLD:
        raise unprocessable(f"`until_at` must lie ahead, at most {LONGEST_HOLD.days} days")
