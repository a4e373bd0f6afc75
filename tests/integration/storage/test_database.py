"""The migrations and the seed on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest

from infra.database import MIGRATIONS_FOLDER, MigrationError, migrate
from infra.seed import seed
from schemas.records import Bus
from streams.database import DatabaseUnavailable, connect
from streams.settings import Settings
from tests.processes import free_port

FILES = sorted(path.name for path in MIGRATIONS_FOLDER.glob("*.sql"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MIGRATIONS_FOLDER, tmp_path / "migrations"))


async def test_every_migration_is_applied_once_even_by_two_at_once(fresh: Settings) -> None:
    first, second = await asyncio.gather(migrate(fresh.database), migrate(fresh.database))
    assert sorted([first, second]) == [[], FILES]
    assert await migrate(fresh.database) == []


async def test_a_failing_migration_leaves_nothing_behind_and_is_named(
    fresh: Settings, folder: Path, db: asyncpg.Connection
) -> None:
    (folder / f"{len(FILES) + 1:04}_bad.sql").write_text("CREATE TABLE public.half (id integer); SELECT 1 / 0;")
    with pytest.raises(MigrationError, match=r"_bad\.sql failed and left nothing behind: division by zero"):
        await migrate(fresh.database, folder)
    assert await db.fetchval("SELECT to_regclass('public.half')") is None
    assert await db.fetchval("SELECT count(*) FROM public.migrations") == len(FILES)


async def test_a_changed_migration_is_refused(fresh: Settings, folder: Path) -> None:
    await migrate(fresh.database, folder)
    (folder / FILES[0]).write_text("-- other")
    with pytest.raises(MigrationError, match=f"{FILES[0]} was changed after it was applied"):
        await migrate(fresh.database, folder)


async def test_a_database_of_a_newer_atrium_is_refused(fresh: Settings, folder: Path) -> None:
    (folder / f"{len(FILES) + 1:04}_newer.sql").write_text("SELECT 1")
    await migrate(fresh.database, folder)
    with pytest.raises(MigrationError, match=r"_newer\.sql, unknown here"):
        await migrate(fresh.database)


async def test_a_gap_in_the_numbers_is_refused(fresh: Settings, folder: Path) -> None:
    (folder / f"{len(FILES) + 2:04}_far.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="without gaps"):
        await migrate(fresh.database, folder)


async def test_policies_that_were_in_force_before_revisions_were_kept_can_be_looked_up(
    fresh: Settings, folder: Path, db: asyncpg.Connection
) -> None:
    for name in FILES[6:]:
        (folder / name).unlink()
    await migrate(fresh.database, folder)
    for room_id in ("a", "b"):
        await db.execute("INSERT INTO building.rooms (room_id, number, floor, name) VALUES ($1, $2, 1, $1)", room_id, ord(room_id))
        await db.execute("INSERT INTO building.policies (room_id, document) VALUES ($1, $2)", room_id, '{"humid_above_pct": 55}')
    before = await db.fetch("SELECT 'room/' || room_id AS scope, revision FROM building.policies ORDER BY room_id")
    assert await migrate(fresh.database) == FILES[6:]
    assert await db.fetch("SELECT scope, revision FROM building.policy_revisions ORDER BY scope") == before
    await db.execute("""UPDATE building.policies SET document = '{"humid_above_pct": 60}' WHERE room_id = 'a'""")
    assert await db.fetchval("SELECT count(*) FROM building.policy_revisions WHERE scope = 'room/a'") == 2


async def test_an_absent_database_is_told_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable, match=r"PostgreSQL at 127\.0\.0\.1:\d+/atrium") as told:
        await connect(f"postgresql://atrium:secret@127.0.0.1:{free_port()}/atrium")
    assert "secret" not in str(told.value)


async def test_the_seed_is_the_old_projects_building(fresh: Settings, db: asyncpg.Connection) -> None:
    await migrate(fresh.database)
    assert sorted(await asyncio.gather(seed(fresh.database), seed(fresh.database))) == [False, True]
    rooms = await db.fetch("SELECT room_id, number, floor, name FROM building.rooms ORDER BY number")
    assert [tuple(row) for row in rooms] == [
        ("1", 1, 4, "Room 1"), ("2", 2, 4, "Room 2"), ("10", 10, 4, "Room 10"), ("11", 11, 4, "Room 11"),
    ]  # fmt: skip
    beacons = await db.fetch("SELECT uuid::text, major, minor, room_id FROM building.beacons ORDER BY room_id::int")
    uuid = "b9407f30-f5f8-466e-aff9-25556b57fe6d"
    assert [tuple(row) for row in beacons] == [
        (uuid, 17644, 12302, "1"), (uuid, 17644, 31456, "2"), (uuid, 30874, 43216, "10"), (uuid, 30874, 10279, "11"),
    ]  # fmt: skip
    assert await db.fetch("SELECT room_id, document FROM building.policies ORDER BY room_id::int") == [
        ("1", "{}"), ("2", "{}"), ("10", "{}"), ("11", "{}"),
    ]  # fmt: skip
    devices = await db.fetch(
        "SELECT device_id, name, role, room_id, bus, knx_floor, knx_bloc, zwave_node FROM building.devices ORDER BY device_id"
    )
    assert [tuple(row) for row in devices[:11]] == [
        (1, "radiator", "radiator_valve", "1", "knx", 4, 1, None),
        (2, "radiator", "radiator_valve", "2", "knx", 4, 2, None),
        (3, "radiator", "radiator_valve", "10", "knx", 4, 10, None),
        (4, "radiator", "radiator_valve", "11", "knx", 4, 11, None),
        (5, "blind", "blind", "1", "knx", 4, 1, None),
        (6, "blind", "blind", "2", "knx", 4, 2, None),
        (7, "blind", "blind", "10", "knx", 4, 10, None),
        (8, "blind", "blind", "11", "knx", 4, 11, None),
        (9, "Multisensor 6", "multisensor", "1", "zwave", None, None, 2),
        (10, "ZE27", "dimmer", "1", "zwave", None, None, 3),
        (11, "ZE27", "dimmer", "2", "zwave", None, None, 4),
    ]
    assert {(row["room_id"], row["role"]) for row in devices} == {
        (room, role) for room in ("1", "2", "10", "11") for role in ("radiator_valve", "blind", "multisensor", "dimmer")
    }
    assert all(row["simulated"] for row in await db.fetch("SELECT simulated FROM building.devices"))


async def test_a_real_network_gets_no_simulated_devices(fresh: Settings, db: asyncpg.Connection) -> None:
    await migrate(fresh.database)
    await seed(fresh.database, without=[Bus.zwave])
    assert await db.fetch("SELECT DISTINCT bus FROM building.devices") == [("knx",)]


async def test_a_building_that_has_rooms_is_never_seeded(fresh: Settings, db: asyncpg.Connection) -> None:
    await migrate(fresh.database)
    await db.execute("INSERT INTO building.rooms (room_id, number, floor, name) VALUES ('A1', 1, 0, 'Atelier')")
    assert await seed(fresh.database) is False
    assert await db.fetchval("SELECT count(*) FROM building.rooms") == 1


async def test_a_changed_row_gets_a_higher_revision_an_untouched_one_keeps_its_own(fresh: Settings, db: asyncpg.Connection) -> None:
    await migrate(fresh.database)
    await seed(fresh.database)
    before = dict(await db.fetch("SELECT device_id, revision FROM building.devices"))
    await db.execute("UPDATE building.devices SET name = 'sunny' WHERE device_id = 5")
    await db.execute("UPDATE building.devices SET name = name, revision = revision WHERE device_id = 6")
    after = dict(await db.fetch("SELECT device_id, revision FROM building.devices"))
    assert after[5] > max(before.values())
    assert {key: after[key] for key in after if key != 5} == {key: before[key] for key in before if key != 5}
    assert len(set(before.values())) == len(before)
    assert all(revision % 2 == 0 for revision in after.values())


@pytest.mark.parametrize(
    "change",
    [
        "knx_floor = 8", "knx_bloc = 256", "knx_bloc = NULL", "zwave_node = 3", "zwave_endpoint = 0", "bus = 'zwave'",
        "role = 'door'", "room_id = '99'", "knx_bloc = 2", "bus = 'dali'", "name = ''", "device_id = 0",
    ],
)  # fmt: skip
async def test_an_address_that_cannot_be_is_refused(fresh: Settings, db: asyncpg.Connection, change: str) -> None:
    await migrate(fresh.database)
    await seed(fresh.database)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute(f"UPDATE building.devices SET {change} WHERE device_id = 5")


async def test_devices_share_a_node_at_different_endpoints_and_no_endpoint_is_the_root(
    fresh: Settings, db: asyncpg.Connection
) -> None:
    await migrate(fresh.database)
    await seed(fresh.database)
    await db.execute("UPDATE building.devices SET zwave_node = 3, zwave_endpoint = 1 WHERE device_id = 11")
    for taken in ("0", "NULL", "128", "-1"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await db.execute(f"UPDATE building.devices SET zwave_endpoint = {taken} WHERE device_id = 11")
    async with db.transaction():  # nodes 3.1 and 3 exchange their addresses
        await db.execute("SET CONSTRAINTS ALL DEFERRED")
        await db.execute("UPDATE building.devices SET zwave_endpoint = NULL WHERE device_id = 11")
        await db.execute("UPDATE building.devices SET zwave_endpoint = 1 WHERE device_id = 10")
    found = await db.fetch("SELECT device_id, zwave_endpoint FROM building.devices WHERE zwave_node = 3 ORDER BY device_id")
    assert [tuple(row) for row in found] == [(10, 1), (11, None)]
