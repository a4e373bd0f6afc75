"""The directory's steps: the building as PostgreSQL has it, as Kafka has it, and writing so that they agree.

Everything is idempotent by revision, so doing it again is harmless.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from agents.building import Building, Layer, Phase, Write, beacon_key, difference, outdated, policy_of
from schemas.codecs import Codecs
from schemas.errors import Undecodable, UnknownSchema
from schemas.policy import BadPolicy, scopes_of
from schemas.records import Beacon, Device, Policy, RoomInfo
from streams.compacted import CompactedReader
from streams.decoding import decode
from streams.producer import Producer
from streams.settings import Settings
from streams.topics import BEACONS, DEVICES, POLICIES, ROOMS, Topic

_RECORDS: dict[Topic, type[Struct]] = {ROOMS: RoomInfo, BEACONS: Beacon, DEVICES: Device, POLICIES: Policy}
_logger = logging.getLogger(__name__)


async def read_building(db: asyncpg.Connection) -> Building:
    """The building as one moment of the database has it; unusable policies are logged and left out."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        rooms = [msgspec.convert(dict(row), RoomInfo) for row in await db.fetch("SELECT * FROM building.rooms")]
        beacons = [
            msgspec.convert({**row, "uuid": str(row["uuid"])}, Beacon) for row in await db.fetch("SELECT * FROM building.beacons")
        ]
        devices = [msgspec.convert(dict(row), Device) for row in await db.fetch("SELECT * FROM building.devices")]
        layers = {row["scope"]: _layer(row) for row in await db.fetch("SELECT * FROM building.shared_policies")}
        layers |= {f"room/{row['room_id']}": _layer(row) for row in await db.fetch("SELECT * FROM building.policies")}
    return Building(
        rooms={room.room_id: room for room in rooms},
        beacons={beacon_key(beacon): beacon for beacon in beacons},
        devices={str(device.device_id): device for device in devices},
        policies={room.room_id: _policy_or_none(room.room_id, found) for room in rooms if (found := _layers(room, layers))},
    )


def _layer(row: asyncpg.Record) -> Layer:
    return Layer(row["revision"], json.loads(row["document"]))


def _layers(room: RoomInfo, layers: Mapping[str, Layer]) -> list[Layer]:
    """The documents that concern a room, its own last."""
    return [layers[scope] for scope in scopes_of(room.room_id, room.floor) if scope in layers]


def _policy_or_none(room_id: str, layers: Sequence[Layer]) -> Policy | None:
    try:
        return policy_of(room_id, layers)
    except BadPolicy as error:
        _logger.error("%s; the room keeps the policy it has", error)
        return None


class Published:
    """The building as the compacted topics have it; `read_on` takes in what was written since, by whomever."""

    def __init__(self, settings: Settings, codecs: Codecs) -> None:
        self._settings, self._codecs = settings, codecs
        self._reader = CompactedReader(settings, tuple(_RECORDS))
        self._records: dict[str, dict[str, Any]] = {topic.name: {} for topic in _RECORDS}

    async def read_on(self) -> Building:
        """The building as of now. Raises `KafkaException`."""
        for topic, key, value in await asyncio.to_thread(self._reader.read_on):
            records = self._records[topic]
            records.pop(key, None)
            record = None if value is None else await self._decoded(topic, key, value)
            if record is not None:
                records[key] = record
        return Building(*(dict(self._records[topic.name]) for topic in (ROOMS, BEACONS, DEVICES, POLICIES)))

    async def _decoded(self, topic: str, key: str, value: bytes) -> Struct | None:
        try:
            record = await decode(self._settings.registry, self._codecs, value)
        except (Undecodable, UnknownSchema) as error:
            _logger.warning("%s: key %r is not readable, counted as missing: %s", topic, key, error)
            return None
        wanted = next(cls for each, cls in _RECORDS.items() if each.name == topic)
        return record if isinstance(record, wanted) else None

    async def close(self) -> None:
        """Leave Kafka."""
        await asyncio.to_thread(self._reader.close)


async def read_topics(settings: Settings, codecs: Codecs) -> Building:
    """The building as the compacted topics have it, read from their beginning."""
    published = Published(settings, codecs)
    try:
        return await published.read_on()
    finally:
        await published.close()


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
        await db.execute(  # also of a room without a document: what it follows has an older revision than it had before
            "INSERT INTO building.policies (room_id) SELECT unnest($1::text[]) ON CONFLICT (room_id) DO UPDATE SET revision = 0",
            keys[POLICIES.name],
        )


async def carry(
    db: asyncpg.Connection, published: Published, producer: Producer, codecs: Codecs, *, anew_simulated: bool = False
) -> tuple[Building, int]:
    """Make Kafka say what the database says; the building, and how many records that took. The caller holds `locked(db)`.

    `anew_simulated`: the devices of the simulated building leave their rooms and enter anew.
    """
    topics = await published.read_on()
    building = await read_building(db)
    anew = {key for key, device in building.devices.items() if anew_simulated and device.simulated and key in topics.devices}
    if again := {(DEVICES.name, key) for key in anew} | outdated(building, topics):
        await renew(db, topics, again)
        building = await read_building(db)
    writes = difference(building, topics, anew=anew)
    await send(producer, codecs, writes)
    return building, len(writes)


async def send(producer: Producer, codecs: Codecs, writes: Iterable[Write]) -> None:
    """Append the records, each phase acknowledged before the next begins, each key's in order. Raises `SendFailed`."""
    phases: dict[Phase, dict[tuple[str, str], list[Write]]] = defaultdict(lambda: defaultdict(list))
    for write in writes:
        phases[write.phase][write.topic.name, write.key].append(write)

    async def in_order(series: list[Write]) -> None:
        for write in series:
            value = None if write.record is None else codecs.encode(write.record)
            await producer.send(write.topic.name, write.key, value)

    for phase in sorted(phases):
        ended = await asyncio.gather(*map(in_order, phases[phase].values()), return_exceptions=True)
        for failure in ended:
            if failure is not None:
                raise failure
