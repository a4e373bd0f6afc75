"""The old project's 16 routes, as its phone app and scripts call them: GET, `uuid`, `major`, `minor`, and `percentage` where set.

Success is `{"success": true, ...}`, any error `{"success": false}` with a fitting status. Values are whole numbers, halves rounded
up. Blinds speak percent OPEN here (`open_blinds` = 100) and `closed_pct = 100 - open` inside. A set answers once Kafka has
acknowledged the intent, which then holds against automation for the policy's `manual_lease_s` (2 h).

**What a read of an actuator answers.** While a command is on its way, the value wanted: a client that sets 30 reads 30, not a blind
in mid-travel. Once it is answered, the value reported, which is the truth should the blind have stuck. Where nothing was reported
yet, the value wanted. So that this holds for the very next request too, a read waits (2 s at most) until the room has folded the
last intent that was set through this process.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from api.acting import whole_ms
from api.guard import writes
from api.intents import NotAcknowledged
from api.keys import CLOCK, INTENTS, REPLICA
from api.positions import wait_for
from api.problems import RETRY_AFTER_S, Problem
from api.replica import beacon_key
from api.views import average, is_recorded, newest_actuators, reading_view
from schemas.records import Beacon, Intent, IntentAction, Kind, Position, ResultStatus
from schemas.rows import Actuator

log = logging.getLogger(__name__)
SETTLE_S = 2.0
LAST_SET: web.AppKey[dict[str, Position]] = web.AppKey("last_set")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)
_MOST_ID = 0xFFFF

Answer = dict[str, Any]
Legacy = Callable[[web.Request, Beacon], Awaitable[Answer]]


class Refused(Exception):
    """An old-style error: `{"success": false}` with this status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def whole(value: float) -> int:
    """The nearest whole number, halves up."""
    return math.floor(value + 0.5)


def _parameter(query: Mapping[str, str], name: str, most: int) -> int:
    text = query.get(name, "")
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise Refused(400, f"{name} must be a whole number from 0 to {most}")
    return int(text)


def find_beacon(request: web.Request) -> Beacon:
    """The beacon the request names. Raises `Refused` 400 for parameters that name none, 404 for one we do not have."""
    query = request.query
    uuid = query.get("uuid", "")
    if not _UUID.fullmatch(uuid):
        raise Refused(400, "uuid must be 32 hexadecimal digits in five groups")
    key = beacon_key(uuid, _parameter(query, "major", _MOST_ID), _parameter(query, "minor", _MOST_ID))
    beacon = request.app[REPLICA].beacons.get(key)
    if beacon is None:
        raise Refused(404, f"no beacon {key}")
    return beacon


def _setter(kind: Kind, fixed_pct: float | None = None) -> Legacy:
    async def set_value(request: web.Request, beacon: Beacon) -> Answer:
        asked = float(_parameter(request.query, "percentage", 100)) if fixed_pct is None else fixed_pct
        if not _actuators(request, beacon, kind):
            raise Refused(404, f"room {beacon.room_id} has no actuator of kind {kind}")
        if is_recorded(request.app[REPLICA].rooms.get(beacon.room_id)):
            raise Refused(409, f"room {beacon.room_id} is a recording: nobody can act in it")
        value_pct = 100 - asked if kind is Kind.closed_pct else asked
        at = whole_ms(request.app[CLOCK]())
        intent = Intent(action=IntentAction.set, kind=kind, value_pct=value_pct, source="api", at=at)
        try:
            position = await request.app[INTENTS].append(beacon.room_id, intent)
        except NotAcknowledged as error:
            raise Refused(503, f"Kafka did not acknowledge: {error}") from error
        request.app[LAST_SET][beacon.room_id] = position
        return {}

    return set_value


def _reader(kind: Kind, *names: str) -> Legacy:
    async def read_actuator(request: web.Request, beacon: Beacon) -> Answer:
        sets = request.app[LAST_SET]
        last = sets.get(beacon.room_id)
        folded = last is not None and await wait_for(request.app[REPLICA], beacon.room_id, last, SETTLE_S)
        if folded and sets.get(beacon.room_id) is last:  # a set that came meanwhile is waited for by the next read
            del sets[beacon.room_id]
        known = [value for one in _actuators(request, beacon, kind) if (value := settled_pct(one)) is not None]
        if not known:
            raise Refused(404, f"room {beacon.room_id} knows no {kind} yet")
        mean = sum(known) / len(known)
        value = whole(100 - mean if kind is Kind.closed_pct else mean)
        return dict.fromkeys(names, value)

    return read_actuator


def settled_pct(actuator: Actuator) -> float | None:
    """The value a client is told: wanted while a command is on its way or nothing was reported, else reported.

    A strayed actuator is commanded again, by the room within its policy's bounds or by a person's new intent. A report that came
    after that command counts at once, for the actuator may never get there.
    """
    if actuator.reported_pct is None:
        return actuator.desired_pct
    failed = actuator.last_status not in (ResultStatus.unknown, ResultStatus.done)
    strayed = failed and _not_before(actuator)
    return actuator.desired_pct if actuator.pending_command_id is not None and not strayed else actuator.reported_pct


def _not_before(actuator: Actuator) -> bool:
    """Whether the last report came with or after the last command."""
    reported_at, desired_at = actuator.reported_at, actuator.desired_at
    return reported_at is not None and desired_at is not None and reported_at >= desired_at


def _actuators(request: web.Request, beacon: Beacon, kind: Kind) -> list[Actuator]:
    return [one for one in newest_actuators(request.app[REPLICA], beacon.room_id) if one.kind is kind]


def _sensor(kind: Kind) -> Legacy:
    async def read_sensor(request: web.Request, beacon: Beacon) -> Answer:
        replica = request.app[REPLICA]
        reading = reading_view(replica, replica.rooms.get(beacon.room_id), kind, request.app[CLOCK]())
        if reading is None:
            raise Refused(404, f"room {beacon.room_id} has no {kind} yet")
        return {"value": whole(reading.value)}

    return read_sensor


def _average(kind: Kind, name: str) -> Legacy:
    async def read_average(request: web.Request, beacon: Beacon) -> Answer:
        mean = average(request.app[REPLICA], beacon.room_id, kind, request.app[CLOCK]())
        if mean is None:
            raise Refused(404, f"room {beacon.room_id} has no {kind} of the last 3 h")
        return dict.fromkeys((name, "value"), whole(mean.value))

    return read_average


async def _devices(request: web.Request, beacon: Beacon) -> Answer:
    devices = request.app[REPLICA].devices.values()
    here = sorted((device.device_id, device.name) for device in devices if device.room_id == beacon.room_id)
    return {"devices": [{"id": device_id, "name": name} for device_id, name in here]}


def _beacons(request: web.Request) -> Answer:
    """Every beacon of the building; the one route that needs no beacon, for it is how a client learns them."""
    replica = request.app[REPLICA]
    found = sorted(replica.beacons.items())
    return {
        "beacons": [
            {"uuid": beacon.uuid, "major": beacon.major, "minor": beacon.minor, "room_number": info.number}
            for _, beacon in found
            if (info := replica.infos.get(beacon.room_id)) is not None
        ]
    }


WRITES: dict[str, Legacy] = {
    "/open_blinds": _setter(Kind.closed_pct, 100.0),
    "/close_blinds": _setter(Kind.closed_pct, 0.0),
    "/percentage_blinds": _setter(Kind.closed_pct),
    "/percentage_radiator": _setter(Kind.valve_pct),
    "/percentage_dimmers": _setter(Kind.level_pct),
}
READS: dict[str, Legacy] = {
    "/read_percentage_blinds": _reader(Kind.closed_pct, "percentage", "value"),
    "/dimmer_get_level": _reader(Kind.level_pct, "value"),
    "/sensor_get_temperature": _sensor(Kind.temperature_c),
    "/sensor_get_humidity": _sensor(Kind.humidity_pct),
    "/sensor_get_luminance": _sensor(Kind.illuminance_lx),
    "/sensor_get_motion": _sensor(Kind.motion),
    "/avg_temperature": _average(Kind.temperature_c, "avg_temperature"),
    "/avg_humidity": _average(Kind.humidity_pct, "avg_humidity"),
    "/avg_luminance": _average(Kind.illuminance_lx, "avg_luminance"),
    "/get_devices": _devices,
}
BEACONS = "/get_beacons"
PATHS = frozenset((*WRITES, *READS, BEACONS))


def is_legacy(path: str) -> bool:
    """Whether errors of this path are told the old way."""
    return (path.rstrip("/") or "/") in PATHS


def _handler(route: Legacy | None) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        replica = request.app[REPLICA]
        if not replica.caught_up:
            raise Refused(503, "; ".join(replica.reasons()))
        answer = _beacons(request) if route is None else await route(request, find_beacon(request))
        return web.json_response({"success": True} | answer)

    return handle


@web.middleware
async def legacy_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the errors of the old routes the old way; the reason goes to the log only."""
    if not is_legacy(request.path):
        return await handler(request)
    headers: dict[str, str] = {}
    try:
        return await handler(request)
    except (Refused, Problem) as error:
        log.info("%s refused with %d: %s", request.path, error.status, error)
        status = error.status
    except web.HTTPException as error:
        status = error.status
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    except Exception:
        log.exception("%s failed", request.path)
        status = 500
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return web.json_response({"success": False}, status=status, headers=headers)


def add_legacy_routes(app: web.Application) -> None:
    """Put the 16 routes into the app's router, each with and without a trailing slash. HEAD is not served: it would act."""
    app[LAST_SET] = {}
    for path, route in (*WRITES.items(), *READS.items(), (BEACONS, None)):
        handler = _handler(route)
        if path in WRITES:
            handler = writes(handler)
        for spelling in (path, f"{path}/"):
            app.router.add_get(spelling, handler, allow_head=path not in WRITES)
