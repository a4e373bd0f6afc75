"""Which address on which bus is which device's value: the simulated building's own wiring, from the plan."""

from __future__ import annotations

from typing import NamedTuple

from agents.gateways import knx_mapping, zwave_mapping
from agents.rules.devices import ACTUATES
from infra.building_plan import DEVICES
from infra.simulator.reporting import Object
from schemas.records import Bus, Device, Kind


class Point(NamedTuple):
    """One value of one device."""

    device_id: int
    room: int
    kind: Kind
    bus: Bus
    status: str
    write: str | None


def _points(device: Device) -> list[Point]:
    room = int(device.room_id)
    if device.bus is Bus.knx:
        kind = ACTUATES[device.role]
        status, write = knx_mapping.status_address(device, kind), knx_mapping.write_address(device, kind)
        return [Point(device.device_id, room, kind, device.bus, status, write)]
    return [
        Point(device.device_id, room, kind, device.bus, address, address if zwave_mapping.TAKES.get(device.role) is kind else None)
        for kind in zwave_mapping.REPORTS[device.role]
        for address in (zwave_mapping.value_address(device, kind),)
    ]


POINTS = tuple(point for device in DEVICES for point in _points(device))
BY_OBJECT: dict[Object, Point] = {(point.room, point.kind): point for point in POINTS}
BY_STATUS = {(point.bus, point.status): point for point in POINTS}
BY_WRITE = {(point.bus, point.write): point for point in POINTS if point.write is not None}
