"""The directory: carries rooms, beacons, devices and policies from PostgreSQL into Kafka.

Today it fills the stream once, before the roles start; everything is idempotent by revision, so running it again is harmless.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterable

import asyncpg
import msgspec

from agents.building import BadPolicy, Building, R, Write, beacon_key, difference, outdated, policy_of
from schemas.codecs import Codecs
from schemas.errors import Undecodable, UnknownSchema
from schemas.records import Beacon, Device, Policy, RoomInfo
from streams.compacted import last_values
from streams.database import exclusive
from streams.decoding import decode
from streams.producer import Producer
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import BEACONS, DEVICES, POLICIES, ROOM_EVENTS, ROOMS, Topic

_logger = logging.getLogger(__name__)


async def fill(settings: Settings) -> None:
    """Make Kafka say what the database says; the devices of the simulated building leave their rooms and enter anew.

    Raises `DatabaseUnavailable`, `RegistryUnavailable`, `SendFailed`, `KafkaException`.
    """
    codecs = await register_all(settings.registry)
    async with exclusive(settings.database) as db:
        topics = await read_topics(settings, codecs)
        building = await read_building(db)
        simulated = {key for key, device in building.devices.items() if device.simulated and key in topics.devices}
        await renew(db, topics, {(DEVICES.name, key) for key in simulated} | outdated(building, topics))
        writes = difference(await read_building(db), topics, anew=simulated)
        await send(settings, codecs, writes)
    _logger.info("directory: %d records written to Kafka", len(writes))


async def read_building(db: asyncpg.Connection) -> Building:
    """The building as one moment of the database has it; unusable policies are logged and left out."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        rooms = [msgspec.convert(dict(row), RoomInfo) for row in await db.fetch("SELECT * FROM building.rooms")]
        beacons = [
            msgspec.convert({**row, "uuid": str(row["uuid"])}, Beacon) for row in await db.fetch("SELECT * FROM building.beacons")
        ]
        devices = [msgspec.convert(dict(row), Device) for row in await db.fetch("SELECT * FROM building.devices")]
        policies = await db.fetch("SELECT * FROM building.policies")
    return Building(
        rooms={room.room_id: room for room in rooms},
        beacons={beacon_key(beacon): beacon for beacon in beacons},
        devices={str(device.device_id): device for device in devices},
        policies={row["room_id"]: _policy_or_none(row) for row in policies},
    )


def _policy_or_none(row: asyncpg.Record) -> Policy | None:
    try:
        return policy_of(row["room_id"], row["revision"], json.loads(row["document"]))
    except BadPolicy as error:
        _logger.error("%s; the room keeps the policy it has", error)
        return None


async def read_topics(settings: Settings, codecs: Codecs) -> Building:
    """The building as the compacted topics have it."""
    rooms, beacons, devices, policies = await asyncio.gather(
        _records(settings, codecs, ROOMS, RoomInfo),
        _records(settings, codecs, BEACONS, Beacon),
        _records(settings, codecs, DEVICES, Device),
        _records(settings, codecs, POLICIES, Policy),
    )
    return Building(rooms=rooms, beacons=beacons, devices=devices, policies=policies)


async def _records(settings: Settings, codecs: Codecs, topic: Topic, cls: type[R]) -> dict[str, R]:
    records: dict[str, R] = {}
    for key, value in (await asyncio.to_thread(last_values, settings, topic)).items():
        try:
            record = await decode(settings.registry, codecs, value)
        except (Undecodable, UnknownSchema) as error:
            _logger.warning("%s: key %r is not readable, counted as missing: %s", topic.name, key, error)
            continue
        if isinstance(record, cls):
            records[key.decode(errors="replace")] = record
    return records


async def renew(db: asyncpg.Connection, topics: Building, rows: Iterable[tuple[str, str]]) -> None:
    """Give rows, by topic and key, revisions above everything Kafka has seen."""
    seen = max((record.revision for _, _, record in topics.records()), default=0)
    keys: dict[str, list[str]] = defaultdict(list)
    for topic, key in rows:
        keys[topic].append(key)
    async with db.transaction():
        await db.execute(
            "SELECT setval('building.revision', $1::bigint) WHERE $1::bigint > (SELECT last_value FROM building.revision)",
            seen + seen % 2,
        )
        await db.execute("UPDATE building.rooms SET revision = 0 WHERE room_id = ANY($1)", keys[ROOMS.name])
        await db.execute(
            "UPDATE building.beacons SET revision = 0 WHERE uuid || '/' || major || '/' || minor = ANY($1)", keys[BEACONS.name]
        )
        await db.execute("UPDATE building.devices SET revision = 0 WHERE device_id::text = ANY($1)", keys[DEVICES.name])
        await db.execute("UPDATE building.policies SET revision = 0 WHERE room_id = ANY($1)", keys[POLICIES.name])


async def send(settings: Settings, codecs: Codecs, writes: list[Write]) -> None:
    """Append the records: rooms' logs first, each room's in order, then the compacted topics. Raises `SendFailed`."""
    logs: dict[str, list[Write]] = defaultdict(list)
    rest: dict[str, list[Write]] = defaultdict(list)
    for write in writes:
        if write.topic is ROOM_EVENTS:
            logs[write.key].append(write)
        else:
            rest[f"{write.topic.name} {write.key}"].append(write)
    if not writes:
        return
    producer = Producer(settings)

    async def in_order(series: list[Write]) -> None:
        for write in series:
            value = None if write.record is None else codecs.encode(write.record)
            await producer.send(write.topic.name, write.key, value)

    try:
        await asyncio.gather(*map(in_order, logs.values()))
        await asyncio.gather(*map(in_order, rest.values()))
    finally:
        await producer.close()
