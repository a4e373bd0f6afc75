"""Z-Wave values of the building's devices: which kinds a node of each role reports, and which one it takes. Pure."""

from __future__ import annotations

from schemas.errors import BuildingError
from schemas.records import Device, DeviceRole, Kind

REPORTS = {
    DeviceRole.multisensor: (Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.motion, Kind.battery_pct),
    DeviceRole.dimmer: (Kind.level_pct,),
}
"""Multilevel Sensor (0x31), Notification (0x71) and Battery (0x80); Multilevel Switch (0x26) currentValue."""
TAKES = {DeviceRole.dimmer: Kind.level_pct}
"""Multilevel Switch (0x26) targetValue."""


class NotOnZwave(BuildingError):
    """A device or kind that has no Z-Wave value."""

    reason = "not_on_zwave"


def value_address(device: Device, kind: Kind) -> str:
    """Name a value of a node as "node/kind". Raises `NotOnZwave`."""
    if device.zwave_node is None or kind not in REPORTS.get(device.role, ()):
        raise NotOnZwave(f"device {device.device_id} ({device.role}) has no {kind} on Z-Wave")
    return f"{device.zwave_node}/{kind}"
