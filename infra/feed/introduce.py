"""The room a recording is fed into: made in PostgreSQL, and carried into Kafka as the directory does it."""

from __future__ import annotations

import json

import asyncpg
from msgspec import Struct

from agents.carrying import Published, carry
from schemas.codecs import Codecs
from schemas.errors import BuildingError
from schemas.records import Bus, Clock, DeviceRole
from streams.database import exclusive
from streams.producer import Producer
from streams.settings import Settings

_ACTUATORS = (DeviceRole.radiator_valve, DeviceRole.blind, DeviceRole.dimmer)


class WrongClock(BuildingError):
    """The room lives by another clock than the recording would."""

    reason = "wrong_clock"


class Wanted(Struct, frozen=True, kw_only=True):
    """What the room has to be. `zone` is where its day begins, None: as the default policy says."""

    room_id: str
    clock: Clock
    zone: str | None
    name: str
    floor: int
    actuators: bool


async def introduce(settings: Settings, codecs: Codecs, wanted: Wanted) -> int:
    """Make the room what it has to be; returns the device its readings come from, once the room's log has it.

    Raises `WrongClock`, and what the database and Kafka raise.
    """
    published, producer = Published(settings, codecs), Producer(settings)
    try:
        async with exclusive(settings.database) as db:
            async with db.transaction():
                sensor = await _prepare(db, wanted)
            await carry(db, published, producer, codecs)
    finally:
        await producer.close()
        await published.close()
    return sensor


async def _prepare(db: asyncpg.Connection, wanted: Wanted) -> int:
    room_id = wanted.room_id
    roles = {(row["role"], row["bus"]): row["device_id"] for row in await db.fetch(
        "SELECT device_id, role, bus FROM building.devices WHERE room_id = $1 ORDER BY device_id DESC", room_id
    )}  # fmt: skip
    if await db.fetchval("SELECT 1 FROM building.rooms WHERE room_id = $1", room_id) is None:
        number = await db.fetchval("SELECT coalesce(max(number), 0) + 1 FROM building.rooms WHERE floor = $1", wanted.floor)
        await db.execute(
            "INSERT INTO building.rooms (room_id, number, floor, name) VALUES ($1, $2, $3, $4)",
            room_id, number, wanted.floor, wanted.name,
        )  # fmt: skip
    await _set_clock(db, wanted, bare=not roles)
    for role in _ACTUATORS if wanted.actuators else ():
        if (role.value, Bus.recorded.value) not in roles:
            await _add(db, wanted, role)
    known: int | None = roles.get((DeviceRole.multisensor.value, Bus.recorded.value))
    return known if known is not None else await _add(db, wanted, DeviceRole.multisensor)


async def _set_clock(db: asyncpg.Connection, wanted: Wanted, *, bare: bool) -> None:
    """Give a bare room the clock; one with devices must have it already."""
    document = json.loads(await db.fetchval("SELECT document FROM building.policies WHERE room_id = $1", wanted.room_id) or "{}")
    clock = Clock(document.get("clock", Clock.live))
    if clock is wanted.clock:
        return
    if wanted.clock is Clock.live:
        raise WrongClock(f"room {wanted.room_id} lives in the time of its recordings: take another room for --shift-to-now")
    if not bare:
        raise WrongClock(f"room {wanted.room_id} is a live room with devices: take a room of its own for the recording")
    document |= {"clock": wanted.clock.value} | ({"time_zone": wanted.zone} if wanted.zone else {})
    await db.execute(
        "INSERT INTO building.policies (room_id, document) VALUES ($1, $2)"
        " ON CONFLICT (room_id) DO UPDATE SET document = EXCLUDED.document",
        wanted.room_id, json.dumps(document),
    )  # fmt: skip


async def _add(db: asyncpg.Connection, wanted: Wanted, role: DeviceRole) -> int:
    device_id: int = await db.fetchval(
        "INSERT INTO building.devices (device_id, name, room_id, role, bus, line_id)"
        " SELECT coalesce(max(device_id), 0) + 1, $1, $2, $3, $4, $5 FROM building.devices RETURNING device_id",
        f"recorded {role.value.replace('_', ' ')}", wanted.room_id, role.value, Bus.recorded.value, f"recorded-{wanted.room_id}",
    )  # fmt: skip
    return device_id
