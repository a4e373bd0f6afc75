"""PURE: the building under drill and its readings, from numbers alone: load, bus and books agree by computing the same."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from schemas.records import Bus, Device, DeviceRole, Kind

FIRST_DEVICE = 1000
LINE = "knx-drill"
KINDS = (Kind.temperature_c, Kind.humidity_pct, Kind.motion, Kind.illuminance_lx)
POLICY = {
    "vacancy_timeout_heating_s": 2, "vacancy_timeout_light_s": 2, "valve_dwell_s": 0, "blind_dwell_s": 0,
}  # fmt: skip
"""Of every room: people's absence moves the valve after 2 s, so that commands flow within a drill."""
_FLOORS, _NODES = 8, 256


class Plan(Struct, frozen=True):
    """So many rooms; in each, people come or go and humidity rises or falls once in `flip_s`."""

    rooms: int
    rate: int
    flip_s: float
    policy: dict[str, float] = msgspec.field(default_factory=lambda: dict(POLICY))

    @property
    def room_ids(self) -> list[str]:
        """Every room's id."""
        return [room_id(number) for number in range(self.rooms)]

    def value(self, number: int, kind: Kind, at: float) -> float:
        """What a room's sensor says at a time (seconds since 1970): each room flips at moments of its own."""
        turn = int(at / self.flip_s + number / self.rooms)
        match kind:
            case Kind.humidity_pct:
                return 60.0 if turn % 2 else 40.0
            case Kind.motion:
                return float((turn // 2 + turn) % 2)
            case Kind.illuminance_lx:
                return 300.0
            case _:
                return 18.0 + number % 50 / 10


def room_id(number: int) -> str:
    """Room of a number."""
    return f"drill-{number}"


def sensor(number: int) -> int:
    """Device id of a room's multisensor."""
    return FIRST_DEVICE + 3 * number


def is_sensor(device_id: int) -> bool:
    """Whether a device is one of the load's own; the others report by the gateway."""
    return (device_id - FIRST_DEVICE) % 3 == 0


def devices(number: int) -> list[Device]:
    """A room's multisensor, valve and blind. The sensor hangs on a bus nobody serves: the load speaks for it."""
    first, room = sensor(number), room_id(number)
    floor, bloc = number % _FLOORS, number // _FLOORS + 1  # 0/0/0 is no group address
    return [
        Device(first, 0, "sensor", room, DeviceRole.multisensor, Bus.zwave, "zwave-drill", zwave_node=_NODES + number),
        Device(first + 1, 0, "radiator", room, DeviceRole.radiator_valve, Bus.knx, LINE, knx_floor=floor, knx_bloc=bloc),
        Device(first + 2, 0, "blind", room, DeviceRole.blind, Bus.knx, LINE, knx_floor=floor, knx_bloc=bloc),
    ]


def instant(ms: int) -> datetime:
    """Milliseconds since 1970 as records have them."""
    return datetime.fromtimestamp(ms / 1000, UTC)
