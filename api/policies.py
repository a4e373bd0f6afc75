"""`/v1/policies`: the documents of the building, its floors and rooms; an ETag is a document's revision."""

from __future__ import annotations

import re
from typing import Any, Protocol

import msgspec
from aiohttp import web
from msgspec import Struct

from api.keys import REPLICA
from api.problems import Problem, not_yet
from api.typed import TypedRoutes
from schemas.errors import BuildingError
from schemas.policy import BUILDING, BadPolicy, Document
from streams.database import DatabaseUnavailable
from streams.policy_documents import NoScope, Stored, Superseded

routes = TypedRoutes()
_ETAG = re.compile(r'"([0-9]{1,18})"')


class PolicyStore(Protocol):
    """Where policy documents are kept."""

    async def read(self, scope: str) -> Stored:
        """The document of a scope. Raises `NoScope`, `DatabaseUnavailable`."""

    async def replace(self, scope: str, document: Document, expected: int | None) -> Stored:
        """Put a document in the place of a revision. Raises `BadPolicy`, `Superseded`, `NoScope`, `DatabaseUnavailable`."""


POLICIES: web.AppKey[PolicyStore | None] = web.AppKey("policies")


class PolicyView(Struct, frozen=True):
    """A document, its revision (0: none yet), and for a room everything it lives by now."""

    scope: str
    revision: int
    document: dict[str, Any]
    in_force: dict[str, Any] | None = None


@routes.route("GET", "/v1/policies/building", errors=(503,))
async def get_building_policy(request: web.Request) -> web.Response:
    """The building's policy document."""
    return await _get(request, BUILDING)


@routes.route("PUT", "/v1/policies/building", errors=(409, 412, 428, 503))
async def put_building_policy(request: web.Request, body: dict[str, Any]) -> web.Response:
    """Replace the building's policy document; `If-Match` names the one it replaces."""
    return await _put(request, BUILDING, body)


@routes.route("GET", "/v1/policies/floors/{floor}", errors=(404, 503))
async def get_floor_policy(request: web.Request, floor: str) -> web.Response:
    """A floor's policy document."""
    return await _get(request, f"floor/{floor}")


@routes.route("PUT", "/v1/policies/floors/{floor}", errors=(404, 412, 428, 503))
async def put_floor_policy(request: web.Request, floor: str, body: dict[str, Any]) -> web.Response:
    """Replace a floor's policy document; `If-Match` names the one it replaces."""
    return await _put(request, f"floor/{floor}", body)


@routes.route("GET", "/v1/policies/rooms/{room_id}", errors=(404, 503))
async def get_room_policy(request: web.Request, room_id: str) -> web.Response:
    """A room's own policy document, and the policy in force there."""
    return await _get(request, f"room/{room_id}")


@routes.route("PUT", "/v1/policies/rooms/{room_id}", errors=(404, 412, 428, 503))
async def put_room_policy(request: web.Request, room_id: str, body: dict[str, Any]) -> web.Response:
    """Replace a room's own policy document; `If-Match` names the one it replaces."""
    return await _put(request, f"room/{room_id}", body)


async def _get(request: web.Request, scope: str) -> web.Response:
    try:
        return _answer(request, await _store(request).read(scope))
    except BuildingError as error:
        raise _problem(error) from error


async def _put(request: web.Request, scope: str, document: dict[str, Any]) -> web.Response:
    given = request.headers.get("If-Match", "")
    known = _ETAG.fullmatch(given)
    if known is None and given != "*":
        raise Problem(428, "Precondition Required", 'send If-Match with the ETag that GET gives, such as "12", or * for any')
    try:
        return _answer(request, await _store(request).replace(scope, document, int(known[1]) if known else None))
    except BuildingError as error:
        raise _problem(error) from error


def _store(request: web.Request) -> PolicyStore:
    store = request.app[POLICIES]
    if store is None:
        raise not_yet("no database is set: policies cannot be read or changed")
    return store


def _answer(request: web.Request, stored: Stored) -> web.Response:
    kind, _, room_id = stored.scope.partition("/")
    row = request.app[REPLICA].rooms.get(room_id) if kind == "room" else None
    view = PolicyView(stored.scope, stored.revision, stored.document, msgspec.to_builtins(row.policy) if row else None)
    body = msgspec.json.encode(view)
    return web.Response(body=body, content_type="application/json", headers={"ETag": f'"{stored.revision}"'})


def _problem(error: BuildingError) -> Problem:
    match error:
        case BadPolicy(faults=faults):
            errors = [{"in": "body", "name": fault.path, "detail": fault.says} for fault in faults]
            return Problem(422, "Unprocessable Content", "; ".join(map(str, faults)), errors=errors)
        case Superseded():
            return Problem(412, "Precondition Failed", str(error))
        case NoScope():
            return Problem(404, "Not Found", str(error))
        case DatabaseUnavailable():
            return not_yet(str(error))
        case _:
            raise error
