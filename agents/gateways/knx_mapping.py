"""KNX addresses of the building, after the old project's plan: main group = action, middle = floor, sub = bloc. Pure."""

from __future__ import annotations

from typing import NamedTuple

from schemas.errors import BuildingError
from schemas.records import Device, DeviceRole, Kind


class Objects(NamedTuple):
    """The two group objects of an actuator: where it is told, where it tells; as main groups (actions)."""

    kind: Kind
    write: int
    status: int


ACTIONS = {
    DeviceRole.radiator_valve: Objects(Kind.valve_pct, write=0, status=5),
    DeviceRole.blind: Objects(Kind.closed_pct, write=3, status=4),
}
"""DPT 5.001 scaling (KNX v02.02.01 - Datapoint Types 03.07.02); a blind's 100 % is closed."""


class NotOnKnx(BuildingError):
    """A device or kind that has no KNX address."""

    reason = "not_on_knx"


def write_address(device: Device, kind: Kind) -> str:
    """The group address that takes targets of this kind. Raises `NotOnKnx`."""
    return _address(device, _objects(device, kind).write)


def status_address(device: Device, kind: Kind) -> str:
    """The group address that tells the present value. Raises `NotOnKnx`."""
    return _address(device, _objects(device, kind).status)


def _objects(device: Device, kind: Kind) -> Objects:
    objects = ACTIONS.get(device.role)
    if objects is None or objects.kind is not kind:
        raise NotOnKnx(f"device {device.device_id} ({device.role}) has no {kind} on KNX")
    return objects


def _address(device: Device, action: int) -> str:
    if device.knx_floor is None or device.knx_bloc is None:
        raise NotOnKnx(f"device {device.device_id} has no floor or bloc")
    return f"{action}/{device.knx_floor}/{device.knx_bloc}"
