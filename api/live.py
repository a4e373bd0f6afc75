"""`GET /v1/events`: the building as server-sent events. First everything, then each room that changed, and how current it is.

Events: `building` (BuildingView), `room` (RoomView), `status` (StatusView). Once a room is gone `building` comes again. A client
that reconnects gets everything again, so `Last-Event-ID` is not needed. A client that reads slowly gets fewer, newer pictures;
one that reads nothing is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec
from aiohttp import web

from api.keys import CLOCK, REPLICA, replica_of
from api.problems import not_yet
from api.replica import Replica
from api.views import building_view, room_view, status_view
from streams.waiting import happens

HEARTBEAT = timedelta(seconds=5)
PACE = timedelta(milliseconds=200)
"""Changes of a room within this span are told as one."""
SLOWEST = timedelta(seconds=10)
"""A client that takes nothing for this long is dropped."""
MOST_CLIENTS = 200
_RECONNECT_MS = 2000
log = logging.getLogger(__name__)


class Feed:
    """The rooms one client has not been told of yet: never more than there are rooms, however slow it reads."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self.wake = asyncio.Event()

    def add(self, rooms: frozenset[str]) -> None:
        """Note rooms that changed."""
        self._changed |= rooms
        self.wake.set()

    async def next(self, patience: timedelta) -> list[str]:
        """Wait for changed rooms; none after `patience` or when the server stops."""
        if not await happens(self.wake, patience.total_seconds()):
            return []
        self.wake.clear()
        rooms, self._changed = sorted(self._changed), set()
        return rooms


class Live:
    """Every connected client's feed."""

    def __init__(self, replica: Replica) -> None:
        self.closing = False
        self._feeds: set[Feed] = set()
        replica.watchers.append(self._tell)

    def _tell(self, rooms: frozenset[str]) -> None:
        for feed in self._feeds:
            feed.add(rooms)

    @contextmanager
    def subscribe(self) -> Iterator[Feed]:
        """A feed for one client. Raises a 503 problem when there are too many or the server stops."""
        if self.closing or len(self._feeds) >= MOST_CLIENTS:
            raise not_yet("the server is stopping" if self.closing else f"{MOST_CLIENTS} clients are connected already")
        feed = Feed()
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._feeds)

    async def close(self, _app: web.Application) -> None:
        """End every stream."""
        self.closing = True
        for feed in self._feeds:
            feed.wake.set()


LIVE = web.AppKey("live", Live)


async def events(request: web.Request) -> web.StreamResponse:
    """The stream of one client."""
    replica, live, clock = replica_of(request), request.app[LIVE], request.app[CLOCK]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"})
    with live.subscribe() as feed:
        await response.prepare(request)
        try:
            shown = set(replica.infos)
            await _send(response, f"retry: {_RECONNECT_MS}\n\n".encode() + _event("building", building_view(replica, clock())))
            while not live.closing:
                changed = await feed.next(HEARTBEAT)
                if changed:
                    await _send(response, _news(request, changed, shown))
                    await asyncio.sleep(PACE.total_seconds())
                elif not live.closing:
                    await _send(response, b": still here\n\n" + _event("status", status_view(replica, clock())))
            await response.write_eof()
        except TimeoutError:
            log.info("dropped a live client at %s that read nothing for %s", request.remote, SLOWEST)
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            log.debug("a live client left")
    return response


def _news(request: web.Request, changed: list[str], shown: set[str]) -> bytes:
    """The changed rooms, or everything when one of them that the client was shown is gone. Keeps `shown` as it is then."""
    replica, now = request.app[REPLICA], request.app[CLOCK]()
    gone = any(room_id in shown and room_id not in replica.infos for room_id in changed)
    shown.clear()
    shown.update(replica.infos)
    if gone:
        return _event("building", building_view(replica, now))
    views = (room_view(replica, room_id, now) for room_id in changed)
    return b"".join(_event("room", view) for view in views if view is not None)


def _event(name: str, data: msgspec.Struct) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(SLOWEST.total_seconds()):
        await response.write(data)
