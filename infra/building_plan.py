"""The plan of the seeded building: rooms, beacons and devices of floor 4, as data.

The one list behind both the database's seed and the simulated floor: the old project's building (rooms 1, 2, 10, 11, devices 1-11),
completed so that each room has a radiator, a blind, a multisensor and a dimmer.
"""

from __future__ import annotations

from schemas.records import Beacon, Bus, Device, DeviceRole, RoomInfo
from streams.knx_lines import SIMULATED_KNX_LINE

FLOOR = 4
ROOM_NUMBERS = (1, 2, 10, 11)
KNX_LINE = SIMULATED_KNX_LINE
ZWAVE_LINE = "zwave-1"
BEACON_UUID = "b9407f30-f5f8-466e-aff9-25556b57fe6d"
FIRST_REVISION = 1


def _knx(device_id: int, name: str, role: DeviceRole, room: int) -> Device:
    return Device(
        device_id=device_id, revision=FIRST_REVISION, name=name, room_id=str(room), role=role, bus=Bus.knx, line_id=KNX_LINE,
        knx_floor=FLOOR, knx_bloc=room, simulated=True,
        knx_objects=f"valve_status=5/{FLOOR}/{room}" if role is DeviceRole.radiator_valve else None,
    )  # fmt: skip


def _zwave(device_id: int, name: str, role: DeviceRole, room: int, node: int) -> Device:
    return Device(
        device_id=device_id, revision=FIRST_REVISION, name=name, room_id=str(room), role=role, bus=Bus.zwave, line_id=ZWAVE_LINE,
        zwave_node=node, simulated=True,
    )  # fmt: skip


ROOMS = tuple(
    RoomInfo(room_id=str(number), revision=FIRST_REVISION, number=number, floor=FLOOR, name=f"Room {number}")
    for number in ROOM_NUMBERS
)
BEACONS = tuple(
    Beacon(uuid=BEACON_UUID, major=major, minor=minor, room_id=room_id, revision=FIRST_REVISION)
    for major, minor, room_id in ((17644, 12302, "1"), (17644, 31456, "2"), (30874, 43216, "10"), (30874, 10279, "11"))
)
DEVICES = (
    *(_knx(device_id, "radiator", DeviceRole.radiator_valve, room) for device_id, room in enumerate(ROOM_NUMBERS, start=1)),
    *(_knx(device_id, "blind", DeviceRole.blind, room) for device_id, room in enumerate(ROOM_NUMBERS, start=5)),
    _zwave(9, "Multisensor 6", DeviceRole.multisensor, room=1, node=2),
    _zwave(10, "ZE27", DeviceRole.dimmer, room=1, node=3),
    _zwave(11, "ZE27", DeviceRole.dimmer, room=2, node=4),
    _zwave(12, "Multisensor 6", DeviceRole.multisensor, room=2, node=5),
    _zwave(13, "Multisensor 6", DeviceRole.multisensor, room=10, node=6),
    _zwave(14, "Multisensor 6", DeviceRole.multisensor, room=11, node=7),
    _zwave(15, "ZE27", DeviceRole.dimmer, room=10, node=8),
    _zwave(16, "ZE27", DeviceRole.dimmer, room=11, node=9),
)
"""`simulated`: until real ones are put in their place these devices live in `infra.simulator`."""
