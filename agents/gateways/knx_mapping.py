"""KNX group objects of the building's devices: where each is told, where it tells, and as which datapoint type. Pure.

The old project's plan gives a device its addresses by floor and bloc: main group = action, middle = floor, sub = bloc. Any other
plan is written at the device, `knx_objects`: "position=1/2/3 position_status=1/3/3 travel_s=45"; these win over the plan's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from agents.gateways.knx_dpt import NotThatDpt, dpt, encode
from agents.gateways.knx_functions import FUNCTIONS, NotOnKnx, Part, check_address
from schemas.records import Device, DeviceRole, Kind

PLAN = {DeviceRole.radiator_valve: {"valve": 0}, DeviceRole.blind: {"up_down": 1, "position": 3, "position_status": 4}}
"""The old project's actions. Its valve is one object, written and read; a valve that tells its state has `valve_status` besides."""
ROLES = (DeviceRole.radiator_valve, DeviceRole.blind, DeviceRole.multisensor)
"""What hangs on KNX; a multisensor is anything that only tells: thermostat, weather station, contact."""
_NEEDS = {DeviceRole.radiator_valve: ("valve", "setpoint", "mode"), DeviceRole.blind: ("position", "up_down")}
_REGULATES = ("setpoint", "mode")
"""A room whose KNX controller regulates by itself gets one of these; its valve is the controller's, and never written."""
_COMFORT, _STANDBY, _ECONOMY, _PROTECTION = 1, 2, 3, 4
_MODE_PCT = {_COMFORT: 90.0, _STANDBY: 50.0, _ECONOMY: 10.0, _PROTECTION: 0.0}


class GroupObject(Struct, frozen=True):
    """One group object of one device."""

    device_id: int
    name: str
    kind: Kind
    part: Part
    address: str
    dpt: str


class Objects(Struct, frozen=True):
    """A device's group objects by function, how long its way is, and what full and no demand for heat mean as setpoints."""

    by_name: dict[str, GroupObject]
    travel_s: float | None = None
    comfort_c: float = 21.5
    setback_c: float = 16.0


class Telegram(NamedTuple):
    """What to write: a value of a datapoint type, in its unit, to a group address."""

    address: str
    dpt: str
    value: float


@lru_cache(maxsize=4096)
def objects_of(device: Device) -> Objects:
    """Everything the device has on KNX. Raises `NotOnKnx` saying what is wrong."""
    found: dict[str, GroupObject] = {}
    if device.knx_floor is not None and device.knx_bloc is not None:
        for name, action in PLAN.get(device.role, {}).items():
            found[name] = _object(device, name, f"{action}/{device.knx_floor}/{device.knx_bloc}", "")
    options: dict[str, float] = {}
    for token in (device.knx_objects or "").split():
        name, _, given = token.partition("=")
        if name in ("travel_s", "comfort_c", "setback_c"):
            options[name] = _number(device, name, given)
        else:
            address, _, number = given.partition(":")
            found[name] = _object(device, name, address, number)
    for name in [name for name in _REGULATES if name in found]:
        if "valve" in found and device.knx_objects and "valve=" not in device.knx_objects:
            del found["valve"]  # the plan's: the controller has it
        if "valve" in found or "valve_status" in found:
            raise NotOnKnx(f"device {device.device_id}: its controller regulates by {name}: leave valve and valve_status out")
    needs = _NEEDS.get(device.role, ())
    if not found or (needs and not any(name in found for name in needs)):
        wanted = " or ".join(needs) if needs else "an object such as temperature=1/2/3"
        raise NotOnKnx(f"device {device.device_id} ({device.role}) has no floor and bloc, and no {wanted} in knx_objects")
    objects = Objects(found, **options)
    if objects.comfort_c <= objects.setback_c:
        raise NotOnKnx(f"device {device.device_id}: comfort_c must be above setback_c")
    return objects


def telegram(device: Device, kind: Kind, target_pct: float) -> Telegram:
    """The telegram that sends the device to a target; closed 100 is down on KNX too. Raises `NotOnKnx`."""
    objects = objects_of(device)
    command = _command(device, objects, kind)
    if command is None:
        move = objects.by_name.get("up_down")
        if kind is not Kind.closed_pct or move is None or target_pct not in (0, 100):
            raise NotOnKnx(f"device {device.device_id} ({device.role}) has no object that takes {target_pct:g} % {kind}")
        return Telegram(move.address, move.dpt, target_pct / 100)
    return Telegram(command.address, command.dpt, _on_bus(objects, command, target_pct))


def status(device: Device, kind: Kind) -> GroupObject:
    """The object that tells the present value: its own status object, else the command object, an echo. Raises `NotOnKnx`."""
    objects = objects_of(device)
    command = _command(device, objects, kind)
    name = f"{command.name}_status" if command is not None else "position_status"
    found = objects.by_name.get(name) or next(
        (o for o in objects.by_name.values() if o.kind is kind and o.part is Part.status), None
    )
    if found is None and command is None:
        raise NotOnKnx(f"device {device.device_id} ({device.role}) has no {kind} on KNX to read")
    return found or command  # type: ignore[return-value]  # one of them is there


def confirms(device: Device, kind: Kind) -> bool:
    """Whether the device tells its state by an object of its own; what a command object answers is only an echo."""
    try:
        return status(device, kind).part is Part.status
    except NotOnKnx:
        return False


def percent(device: Device, found: GroupObject, value: float, target_pct: float | None) -> float:
    """What a controller's setpoint or mode is as demand for heat, percent; anything else is what it is.

    Modes are coarser than percentages: the mode a target was written as reads as that target.
    """
    if found.kind not in (Kind.setpoint_c, Kind.hvac_mode):
        return value
    objects = objects_of(device)
    if target_pct is not None and encode(found.dpt, _on_bus(objects, found, target_pct)) == encode(found.dpt, value):
        return target_pct
    if found.kind is Kind.hvac_mode:
        return _MODE_PCT.get(round(value), math.nan)
    return float(round(min(100.0, max(0.0, 100 * (value - objects.setback_c) / (objects.comfort_c - objects.setback_c)))))


def reporting(device: Device) -> list[GroupObject]:
    """The objects that tell something, an echo included. Raises `NotOnKnx`."""
    found = objects_of(device).by_name.values()
    return [o for o in found if o.part is Part.status or (o.part is Part.command and not _has_status(found, o))]


def write_address(device: Device, kind: Kind) -> str:
    """The group address that takes targets of this kind. Raises `NotOnKnx`."""
    return telegram(device, kind, 0).address


def status_address(device: Device, kind: Kind) -> str:
    """The group address that tells the present value. Raises `NotOnKnx`."""
    return status(device, kind).address


def faults(devices: Iterable[Device]) -> Iterator[tuple[Device, str]]:
    """Everything wrong with the devices of KNX lines, the later of two that disagree. A shared command address is none."""
    tellers: dict[tuple[str, str], tuple[Device, GroupObject]] = {}
    types: dict[tuple[str, str], tuple[Device, GroupObject]] = {}
    for device in devices:
        try:
            objects = objects_of(device).by_name.values()
        except NotOnKnx as error:
            yield device, str(error)
            continue
        for found in objects:
            where = (device.line_id, found.address)
            this = f"device {device.device_id}: {found.name} {found.address}"
            if found.part is Part.status:
                first, other = tellers.setdefault(where, (device, found))
                if other is not found:
                    owner = f"device {first.device_id}'s {other.name}"
                    yield device, f"{this} is already {owner}: a status address belongs to one device"
            first, other = types.setdefault(where, (device, found))
            if other.dpt != found.dpt:
                owner = f"device {first.device_id}'s {other.name}"
                yield (
                    device,
                    f"{this} has DPT {found.dpt}, and DPT {other.dpt} as {owner}: one group address has one datapoint type",
                )


def is_hand(found: GroupObject, *, write: bool, button: bool, under_way: bool, value: float, last: float | None) -> bool:
    """Whether a telegram is a person's hand: a write of a declared push button, to an object that moves something.

    What a button tells on a status object (an actuator with keys of its own) is a hand only where nothing of ours is under
    way and it differs by more than rounding.
    """
    if not (write and button):
        return False
    if found.part is not Part.status:
        return True
    moves = found.kind in (Kind.closed_pct, Kind.valve_pct)
    return moves and not under_way and last is not None and abs(value - last) > 1


def _object(device: Device, name: str, address: str, number: str) -> GroupObject:
    function = FUNCTIONS.get(name)
    if function is None:
        raise NotOnKnx(f"device {device.device_id}: {name!r} is no group object: there are {', '.join(FUNCTIONS)}")
    number = number or function.dpts[0]
    if number not in function.dpts:
        raise NotOnKnx(f"device {device.device_id}: {name} is of DPT {' or '.join(function.dpts)}, not {number}")
    try:
        return GroupObject(device.device_id, name, function.kind, function.part, check_address(address), dpt(number).number)
    except (NotOnKnx, NotThatDpt) as error:
        raise NotOnKnx(f"device {device.device_id}: {name}: {error}") from error


def _command(device: Device, objects: Objects, kind: Kind) -> GroupObject | None:
    """Where a target of this kind goes; a valve's goes to the controller that regulates it, if there is one."""
    names = {Kind.valve_pct: (*_REGULATES, "valve"), Kind.closed_pct: ("position",), Kind.slat_pct: ("slat",)}.get(kind)
    if names is None or (kind is Kind.valve_pct) is not (device.role is DeviceRole.radiator_valve):
        raise NotOnKnx(f"device {device.device_id} ({device.role}) has no {kind} on KNX")
    return next((objects.by_name[name] for name in names if name in objects.by_name), None)


def _on_bus(objects: Objects, command: GroupObject, target_pct: float) -> float:
    if command.kind is Kind.setpoint_c:
        return objects.setback_c + (objects.comfort_c - objects.setback_c) * target_pct / 100
    if command.kind is Kind.hvac_mode:
        return _COMFORT if target_pct >= 70 else _STANDBY if target_pct >= 30 else _ECONOMY
    return target_pct


def _has_status(objects: Iterable[GroupObject], command: GroupObject) -> bool:
    return any(other.name == f"{command.name}_status" for other in objects)


def _number(device: Device, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 3600:
        raise NotOnKnx(f"device {device.device_id}: {name}={text!r}: give a number above 0")
    return value
