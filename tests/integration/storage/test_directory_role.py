"""The role `directory` on real services: what is committed is in Kafka at once, and after every outage."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest

from agents.building import Building
from agents.carrying import read_building, read_topics
from agents.directory import fill
from infra.database import migrate
from infra.seed import seed
from schemas.records import DeviceChanged
from streams.compacted import read_to_end
from streams.database import connection
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import ROOM_EVENTS
from tests.conftest import Services
from tests.processes import Running, role, wait_until


@pytest.fixture
def seeded(fresh: Settings) -> Settings:
    async def prepare() -> None:
        await migrate(fresh.database)
        await seed(fresh.database)
        await fill(fresh)

    asyncio.run(prepare())
    return fresh


def change(settings: Settings, *statements: str) -> None:
    async def run() -> None:
        async with connection(settings.database) as db, db.transaction():
            for statement in statements:
                await db.execute(statement)

    asyncio.run(run())


def both(settings: Settings) -> tuple[Building, Building]:
    """The building as the database and as Kafka has it."""

    async def read() -> tuple[Building, Building]:
        async with connection(settings.database) as db:
            return await read_building(db), await read_topics(settings, await register_all(settings.registry))

    return asyncio.run(read())


def agrees(settings: Settings) -> bool:
    database, kafka = both(settings)
    return database == kafka


def entries(settings: Settings) -> list[tuple[str, DeviceChanged]]:
    """Room and event of every device's coming and going, in the order of the broker's stamps."""
    codecs = asyncio.run(register_all(settings.registry))
    found = []
    for message in read_to_end(settings, ROOM_EVENTS):
        event = codecs.decode(message.value())
        if isinstance(event, DeviceChanged):
            found.append((message.timestamp()[1], message.key().decode(), event))
    return [(room, event) for _, room, event in sorted(found, key=lambda each: each[0])]


def told(running: Running, what: str) -> bool:
    return any(what in status for status in running.read_statuses())


def test_a_restart_in_the_middle_carries_what_changed_meanwhile(seeded: Settings) -> None:
    with role("directory", seeded) as running:
        running.kill()
        change(seeded, "UPDATE building.devices SET room_id = '10' WHERE device_id = 9", "DELETE FROM building.beacons")
        running.start()
        wait_until(lambda: agrees(seeded), "Kafka says what the database says")
        assert both(seeded)[1].devices["9"].room_id == "10"
        assert [room for room, event in entries(seeded) if event.device_id == 9][-2:] == ["1", "10"]


def test_what_is_committed_while_postgres_or_kafka_is_away_comes_when_they_are_back(own: Services, seeded: Settings) -> None:
    with role("directory", seeded) as running:
        own.postgres.kill()
        wait_until(lambda: told(running, "waiting for PostgreSQL"), "the lost PostgreSQL is told")
        own.postgres.start()
        change(seeded, "UPDATE building.rooms SET name = 'after PostgreSQL' WHERE room_id = '2'")
        wait_until(lambda: agrees(seeded), "Kafka says what the database says")
        wait_until(lambda: running.read_statuses()[-1] == "", "it is well again")

        own.broker.kill()
        change(seeded, "UPDATE building.rooms SET name = 'after Kafka' WHERE room_id = '2'")
        wait_until(lambda: told(running, "waiting for Kafka"), "the lost Kafka is told", within_s=60)
        own.broker.start()
        wait_until(lambda: running.read_statuses()[-1] == "", "it is well again", within_s=60)
        wait_until(lambda: agrees(seeded), "Kafka says what the database says")
        assert both(seeded)[1].rooms["2"].name == "after Kafka"


def test_two_directories_write_everything_once_and_a_device_leaves_before_it_enters(seeded: Settings) -> None:
    before = len(entries(seeded))
    with role("directory", seeded), role("directory", seeded, label="directory-2"):
        for number in range(10):
            room = ("2", "10", "11", "1")[number % 4]
            change(seeded, f"UPDATE building.devices SET room_id = '{room}' WHERE device_id = 9")
            wait_until(lambda room=room: both(seeded)[1].devices["9"].room_id == room, f"device 9 is in room {room}")
        assert agrees(seeded)
    news = [(room, event) for room, event in entries(seeded)[before:] if event.device_id == 9]
    assert max(Counter((room, event.revision) for room, event in news).values()) == 1
    assert len(news) == 20
    for (_, left), (_, entered) in zip(news[::2], news[1::2], strict=True):
        assert (left.device, left.revision + 1) == (None, entered.revision)


def test_a_missed_notification_is_healed_by_the_comparison(seeded: Settings) -> None:
    with role("directory", msgspec.structs.replace(seeded, directory_reconcile_s=1.5)):
        change(
            seeded,
            "ALTER TABLE building.devices DISABLE TRIGGER tell_directory",
            "UPDATE building.devices SET name = 'unheard' WHERE device_id = 5",
            "ALTER TABLE building.devices ENABLE TRIGGER tell_directory",
        )
        wait_until(lambda: both(seeded)[1].devices["5"].name == "unheard", "the comparison carried what nobody told")


def test_an_unusable_policy_is_told_and_stops_nothing(seeded: Settings) -> None:
    with role("directory", seeded) as running:
        change(
            seeded,
            """UPDATE building.policies SET document = '{"humid_above_pct": 600}' WHERE room_id = '1'""",
            "UPDATE building.rooms SET name = 'goes on' WHERE room_id = '1'",
        )
        wait_until(lambda: both(seeded)[1].rooms["1"].name == "goes on", "the rest is carried")
        wait_until(lambda: told(running, "of rooms 1"), "the policy is told")
