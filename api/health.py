"""`/health/live`: the process answers. `/health/ready`: it has the building and can tell how current it is."""

from __future__ import annotations

from aiohttp import web
from msgspec import json

from api.keys import CLOCK, NEIGHBOURS, REPLICA
from api.problems import RETRY_AFTER_S
from api.views import status_view


async def live(_request: web.Request) -> web.Response:
    """200 as long as the event loop turns."""
    return web.json_response({"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """503 with reasons until caught up; then 200, `degraded` with reasons when what it serves is not current or others wait."""
    replica = request.app[REPLICA]
    status = status_view(replica, request.app[CLOCK]())
    reasons = [*status.reasons, *request.app[NEIGHBOURS].reasons]
    word = "ready" if replica.caught_up and not reasons else "degraded" if replica.caught_up else "starting"
    body = {"status": word, "reasons": reasons, "lag": status.lag, "stalled_s": status.stalled_s}
    headers = {} if replica.caught_up else {"Retry-After": str(RETRY_AFTER_S)}
    return web.Response(
        status=200 if replica.caught_up else 503, body=json.encode(body), content_type="application/json", headers=headers
    )
