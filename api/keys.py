"""What several handlers find in the app."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from api.intents import IntentSink
from api.neighbours import Neighbours
from api.problems import not_yet
from api.replica import Replica

Clock = Callable[[], datetime]

REPLICA = web.AppKey("replica", Replica)
INTENTS: web.AppKey[IntentSink] = web.AppKey("intents")
CLOCK: web.AppKey[Clock] = web.AppKey("clock")
NEIGHBOURS = web.AppKey("neighbours", Neighbours)


def replica_of(request: web.Request) -> Replica:
    """The replica to answer from. Raises a 503 problem with Retry-After until it has caught up."""
    replica = request.app[REPLICA]
    if not replica.caught_up:
        raise not_yet("; ".join(replica.reasons()))
    return replica
