"""The stream filled from the database, on real Kafka, PostgreSQL and registry."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import asyncpg
import pytest

from agents.building import Building
from agents.carrying import read_building, read_topics
from agents.directory import fill
from infra.database import migrate
from infra.seed import seed
from schemas.codecs import DEFAULT_POLICY, Codecs
from schemas.records import DeviceChanged, PolicyChanged
from streams.compacted import read_to_end
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import ROOM_EVENTS


@pytest.fixture
async def filled(fresh: Settings) -> Settings:
    await migrate(fresh.database)
    await seed(fresh.database)
    await fill(fresh)
    return fresh


async def topics_of(settings: Settings) -> Building:
    return await read_topics(settings, await register_all(settings.registry))


async def logs_of(settings: Settings) -> dict[str, list[Any]]:
    """Room id to its directory events, in order."""
    codecs: Codecs = await register_all(settings.registry)
    logs: dict[str, list[Any]] = defaultdict(list)
    for message in read_to_end(settings, ROOM_EVENTS):
        event = codecs.decode(message.value())
        if isinstance(event, DeviceChanged | PolicyChanged):
            logs[message.key().decode()].append(event)
    return logs


async def news(settings: Settings, before: dict[str, list[Any]]) -> dict[str, list[Any]]:
    after = await logs_of(settings)
    return {room: log[len(before[room]) :] for room, log in after.items() if log[len(before[room]) :]}


async def test_topics_say_what_the_database_says(filled: Settings, db: asyncpg.Connection) -> None:
    building = await read_building(db)
    assert len(building.devices) == 16
    assert await topics_of(filled) == building


async def test_filling_again_renews_the_simulated_devices_and_nothing_else(filled: Settings, db: asyncpg.Connection) -> None:
    await db.execute("UPDATE building.devices SET simulated = false WHERE device_id = 9")
    await fill(filled)
    before, logs = await topics_of(filled), await logs_of(filled)
    await fill(filled)
    after = await topics_of(filled)
    assert (after.rooms, after.beacons, after.policies) == (before.rooms, before.beacons, before.policies)
    assert after.devices["9"] == before.devices["9"]
    expected: dict[str, set[Any]] = defaultdict(set)
    for key, device in after.devices.items():
        if key != "9":
            assert device.revision > before.devices[key].revision + 1
            expected[device.room_id] |= {
                DeviceChanged(device.device_id, device.revision - 1), DeviceChanged(device.device_id, device.revision, device),
            }  # fmt: skip
    told = await news(filled, logs)
    assert {room: set(events) for room, events in told.items()} == expected
    for events in told.values():
        for left in (event for event in events if event.device is None):
            entered = next(event for event in events if event.device is not None and event.device_id == left.device_id)
            assert events.index(left) < events.index(entered)


async def test_where_nothing_is_simulated_filling_again_writes_nothing(filled: Settings, db: asyncpg.Connection) -> None:
    await db.execute("UPDATE building.devices SET simulated = false")
    await fill(filled)
    before, logs = await topics_of(filled), await logs_of(filled)
    await fill(filled)
    assert await topics_of(filled) == before
    assert await news(filled, logs) == {}


async def test_a_moved_device_a_changed_policy_and_a_gone_beacon_reach_kafka(filled: Settings, db: asyncpg.Connection) -> None:
    await db.execute("UPDATE building.devices SET simulated = false")
    await fill(filled)
    logs = await logs_of(filled)
    await db.execute("UPDATE building.devices SET room_id = '2', zwave_node = 44 WHERE device_id = 9")
    await db.execute("""UPDATE building.policies SET document = '{"humid_above_pct": 60}' WHERE room_id = '10'""")
    await db.execute("DELETE FROM building.beacons WHERE minor = 10279")
    await fill(filled)
    told, topics = await news(filled, logs), await topics_of(filled)
    moved = topics.devices["9"]
    assert told["1"] == [DeviceChanged(9, moved.revision - 1)]
    assert told["2"] == [DeviceChanged(9, moved.revision, moved)]
    assert [event.policy.humid_above_pct for event in told["10"]] == [60.0]
    assert len(topics.beacons) == 3


async def test_a_policy_that_cannot_be_used_stops_nothing_and_changes_nothing(filled: Settings, db: asyncpg.Connection) -> None:
    await db.execute("""UPDATE building.policies SET document = '{"humid_above_pct": 600}' WHERE room_id = '1'""")
    await db.execute("""UPDATE building.policies SET document = '{"light_on_pct": 80}' WHERE room_id = '2'""")
    await fill(filled)
    policies = (await topics_of(filled)).policies
    assert policies["1"] is not None and policies["1"].humid_above_pct == DEFAULT_POLICY.humid_above_pct
    assert policies["2"] is not None and policies["2"].light_on_pct == 80.0


async def test_a_database_made_anew_is_still_newer_than_what_the_rooms_know(filled: Settings, db: asyncpg.Connection) -> None:
    before = await topics_of(filled)
    await db.execute("DROP SCHEMA building, history, recordings CASCADE; DROP TABLE public.migrations")
    await migrate(filled.database)
    await seed(filled.database)
    await db.execute("UPDATE building.rooms SET name = 'Atelier' WHERE room_id = '1'")
    await fill(filled)
    after = await topics_of(filled)
    assert after == await read_building(db)
    assert after.rooms["1"].name == "Atelier"
    old = {(topic.name, key): record for topic, key, record in before.records()}
    for topic, key, record in after.records():
        assert record == old[topic.name, key] or record.revision > old[topic.name, key].revision
