"""The first rows of an empty database: the building of `infra.building_plan`, every room under the default policy."""

from __future__ import annotations

from collections.abc import Collection

from infra.building_plan import BEACONS, DEVICES, ROOMS
from schemas.records import Bus
from streams.database import exclusive


async def seed(dsn: str, *, without: Collection[Bus] = ()) -> bool:
    """Fill the building's tables, in one transaction and only where they hold no room yet; whether it did.

    `without`: buses that are real, and get no simulated devices. Revisions are the database's own. Raises `DatabaseUnavailable`.
    """
    async with exclusive(dsn) as db, db.transaction():
        if await db.fetchval("SELECT EXISTS (SELECT FROM building.rooms)"):
            return False
        await db.executemany(
            "INSERT INTO building.rooms (room_id, number, floor, name) VALUES ($1, $2, $3, $4)",
            [(room.room_id, room.number, room.floor, room.name) for room in ROOMS],
        )
        await db.executemany("INSERT INTO building.policies (room_id) VALUES ($1)", [(room.room_id,) for room in ROOMS])
        await db.executemany(
            "INSERT INTO building.beacons (uuid, major, minor, room_id) VALUES ($1, $2, $3, $4)",
            [(beacon.uuid, beacon.major, beacon.minor, beacon.room_id) for beacon in BEACONS],
        )
        await db.executemany(
            "INSERT INTO building.devices"
            " (device_id, name, room_id, role, bus, line_id, knx_floor, knx_bloc, knx_objects, zwave_node, zwave_endpoint,"
            " simulated) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            [
                (
                    device.device_id, device.name, device.room_id, device.role.value, device.bus.value, device.line_id,
                    device.knx_floor, device.knx_bloc, device.knx_objects, device.zwave_node, device.zwave_endpoint,
                    device.simulated,
                )
                for device in DEVICES
                if device.bus not in without
            ],
        )  # fmt: skip
        return True
