"""The aiohttp application: everything it answers comes from a replica, everything it wants goes to an intent sink."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from api import health, leases, policies, rooms, why
from api.guard import LOOPBACK_HOSTS, add_headers, host_guard
from api.intents import IntentSink
from api.keys import CLOCK, INTENTS, NEIGHBOURS, REPLICA, Clock
from api.legacy_routes import add_legacy_routes, legacy_errors
from api.live import LIVE, Live, events
from api.neighbours import Neighbours
from api.policies import POLICIES, PolicyStore
from api.problems import problems
from api.replica import Replica
from api.typed import openapi_of

API_VERSION = "1.0"
ROUTES = (rooms.routes, leases.routes, why.routes, policies.routes)
WEB_FOLDER = Path(__file__).parent / "web"
PAGES = {
    "/": ("index.html", "text/html"),
    "/atrium.css": ("atrium.css", "text/css"),
    "/atrium.js": ("atrium.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def create_app(
    replica: Replica,
    intents: IntentSink,
    clock: Clock,
    *,
    neighbours: Neighbours | None = None,
    policies_in: PolicyStore | None = None,
    hosts: Collection[str] = LOOPBACK_HOSTS,
) -> web.Application:
    """Build the app, which answers for `hosts`. `clock` gives aware UTC instants; `neighbours` are told of in health."""
    app = web.Application(middlewares=[problems, legacy_errors, host_guard(hosts)], client_max_size=16 * 1024)
    app[REPLICA] = replica
    app[INTENTS] = intents
    app[CLOCK] = clock
    app[NEIGHBOURS] = neighbours or Neighbours({})
    app[LIVE] = Live(replica)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(app[LIVE].close)
    app[POLICIES] = policies_in
    for each in ROUTES:
        each.add_to(app)
    add_legacy_routes(app)
    document = _document()

    async def openapi(_request: web.Request) -> web.Response:
        return web.json_response(document)

    app.router.add_get("/v1/openapi.json", openapi)
    app.router.add_get("/v1/events", events, allow_head=False)
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    for path, (file_name, content_type) in PAGES.items():
        app.router.add_get(path, _page(WEB_FOLDER / file_name, content_type))
    return app


@cache
def _document() -> dict[str, Any]:
    """The OpenAPI document, made once: that takes most of building an app."""
    return openapi_of(ROUTES, "Atrium", API_VERSION)


def _page(file: Path, content_type: str) -> Handler:
    body = file.read_bytes()

    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers={"Cache-Control": "no-cache"})

    return serve
