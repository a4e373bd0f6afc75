"""The functions a KNX group object may have: which value, taken or told, as which datapoint types. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from schemas.errors import BuildingError
from schemas.records import Kind


class NotOnKnx(BuildingError):
    """A device or kind that has no KNX address, or an address that is none."""

    reason = "not_on_knx"


class Part(StrEnum):
    """What a group object is to its device."""

    command = "command"
    """Takes an absolute target."""
    move = "move"
    """Sends a blind to an end (DPT 1.008)."""
    stop = "stop"
    """Stops it, or steps its slats (DPT 1.007, 1.010)."""
    status = "status"
    """Tells a value, by itself and when read."""


class Function(NamedTuple):
    """A group object's function: its kind, its part, and the datapoint types it may have, the usual one first."""

    kind: Kind
    part: Part
    dpts: tuple[str, ...]


FUNCTIONS = {
    "valve": Function(Kind.valve_pct, Part.command, ("5.001",)),
    "valve_status": Function(Kind.valve_pct, Part.status, ("5.001",)),
    "setpoint": Function(Kind.setpoint_c, Part.command, ("9.001",)),
    "setpoint_status": Function(Kind.setpoint_c, Part.status, ("9.001",)),
    "mode": Function(Kind.hvac_mode, Part.command, ("20.102",)),
    "mode_status": Function(Kind.hvac_mode, Part.status, ("20.102",)),
    "up_down": Function(Kind.closed_pct, Part.move, ("1.008",)),
    "stop": Function(Kind.closed_pct, Part.stop, ("1.010", "1.007")),
    "position": Function(Kind.closed_pct, Part.command, ("5.001",)),
    "position_status": Function(Kind.closed_pct, Part.status, ("5.001",)),
    "slat": Function(Kind.slat_pct, Part.command, ("5.001",)),
    "slat_status": Function(Kind.slat_pct, Part.status, ("5.001",)),
    "temperature": Function(Kind.temperature_c, Part.status, ("9.001",)),
    "illuminance": Function(Kind.illuminance_lx, Part.status, ("9.004",)),
    "wind": Function(Kind.wind_m_s, Part.status, ("9.005",)),
    "humidity": Function(Kind.humidity_pct, Part.status, ("9.007", "5.001")),
    "co2": Function(Kind.co2_ppm, Part.status, ("9.008",)),
    "rain": Function(Kind.rain, Part.status, ("1.005",)),
    "alarm": Function(Kind.alarm, Part.status, ("1.005",)),
    "occupancy": Function(Kind.motion, Part.status, ("1.018",)),
    "window": Function(Kind.window_open, Part.status, ("1.019",)),
}


def check_address(text: str) -> str:
    """A group address of three levels. Raises `NotOnKnx`."""
    parts = text.split("/")
    numbers = [int(part) if part.isdecimal() and len(part) <= 3 else -1 for part in parts]
    if len(numbers) != 3 or not all(0 <= n <= top for n, top in zip(numbers, (31, 7, 255), strict=True)) or not any(numbers):
        raise NotOnKnx(f"{text!r} is no group address: give main/middle/sub, from 0/0/1 to 31/7/255")
    return "/".join(map(str, numbers))
