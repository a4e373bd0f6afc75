"""PURE: the rooms and devices an ETS project proposes, as edits of the building's tables."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from agents.gateways.knx_functions import FUNCTIONS
from infra.editing.edits import Edit
from infra.editing.files import Cell, Record
from infra.editing.tables import DEVICES, ROOMS, State
from infra.knx_import.project import BadProject
from infra.knx_import.reading import dpt_of, function_of, mismatch, three_levels
from schemas.records import DeviceRole

_ROOMS = ("Room", "Corridor", "Stairway")


class Unit(Struct):
    """What becomes a device, or a few: an ETS function, or a channel of an ETS device. Addresses with whether they tell."""

    name: str
    room: str
    addresses: list[tuple[Mapping[str, Any], bool, str]] = field(default_factory=list)


class Proposal(Struct):
    """Rooms and devices by what identifies them, and what nobody can tell the use of."""

    line_id: str
    rooms: dict[str, dict[str, str]] = field(default_factory=dict)
    devices: list[dict[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def onto(self, source: str) -> Callable[[State], State]:
        """The edit that adds it: rooms that are there stay as they are, devices of the same name and role are changed."""

        def change(before: State) -> State:
            rooms = Edit(before, ROOMS, source)
            rooms.put(_record({"room_id": key, **row}) for key, row in self.rooms.items() if key not in before["rooms"])
            state = rooms.finish()
            ids = {(row["line_id"], row["room_id"], row["name"], row["role"]): key for key, row in state["devices"].items()}
            free = max((int(key) for key in state["devices"]), default=0)
            devices = Edit(state, DEVICES, source)
            for row in self.devices:
                key = ids.get((self.line_id, row["room_id"], row["name"], row["role"]))
                if key is None:
                    free += 1
                    key = str(free)
                devices.put([_record({"device_id": key, "bus": "knx", "line_id": self.line_id, **row})])
            return devices.finish()

        return change


def propose(project: Mapping[str, Any], line_id: str, floor: int) -> Proposal:
    """What a project proposes. Raises `BadProject` where it contradicts itself or holds no rooms."""
    proposal = Proposal(line_id)
    units = [unit for space in project["locations"].values() for unit in _units(project, space, floor, proposal)]
    if not proposal.rooms:
        raise BadProject("the project has no rooms: place devices or functions into rooms under Buildings in ETS")
    if wrong := sorted({why for unit in units for ga, _, _ in unit.addresses if (why := mismatch(ga, _objects(project, ga)))}):
        raise BadProject("datapoint types do not match, nothing was changed\n  " + "\n  ".join(wrong))
    for unit in units:
        _add(proposal, unit)
    return proposal


def _units(project: Mapping[str, Any], space: Mapping[str, Any], floor: int, proposal: Proposal) -> Iterator[Unit]:
    if space["type"] == "Floor":
        floor = _digits(space["number"]) if _digits(space["number"]) is not None else _digits(space["name"]) or floor  # type: ignore[assignment]
    if space["type"] in _ROOMS:
        room = _room(space, floor, proposal)
        placed = set()
        for key in space["functions"]:
            unit = _of_function(project, project["functions"][key], room)
            placed |= {ga["raw_address"] for ga, _, _ in unit.addresses}
            yield unit
        for address in space["devices"]:
            yield from _of_device(project, project["devices"][address], room, placed)
    for inner in space["spaces"].values():
        yield from _units(project, inner, floor, proposal)


def _room(space: Mapping[str, Any], floor: int, proposal: Proposal) -> str:
    name = space["name"] or space["number"] or "room"
    number = _digits(space["number"]) or _digits(name) or len(proposal.rooms) + 1
    taken = {row["number"] for row in proposal.rooms.values() if row["floor"] == str(floor)}
    while str(number) in taken:
        number += 1
    key = space["number"] or _plain(name) or f"room-{number}"
    while key in proposal.rooms:
        key = f"{key}-{floor}"
    proposal.rooms[key] = {"number": str(number), "floor": str(floor), "name": name}
    return key


def _of_function(project: Mapping[str, Any], function: Mapping[str, Any], room: str) -> Unit:
    """An ETS function names the addresses; whether one tells is what any device linked to it does."""
    unit = Unit(function["name"], room)
    for ref in function["group_addresses"].values():
        ga = project["group_addresses"].get(ref["address"])
        if ga is not None:
            objects = _objects(project, ga)
            tells = any(_tells(each) for each in objects) and not any(_takes(each) and each["flags"]["read"] for each in objects)
            unit.addresses.append((ga, tells, f"{ref['role']} {function['name']}"))
    return unit


def _of_device(project: Mapping[str, Any], device: Mapping[str, Any], room: str, placed: set[int]) -> Iterator[Unit]:
    """Each channel of a device, with the addresses it takes or tells itself; what a push button merely sends is others'."""
    channels: dict[str, Unit] = {}
    for key in device["communication_object_ids"]:
        found = project["communication_objects"].get(key)
        for link in found["group_address_links"] if found else ():
            ga = project["group_addresses"].get(link)
            if ga is None or ga["raw_address"] in placed or not (_tells(found) or _takes(found)):
                continue
            name = (device["name"] or device["hardware_name"]).strip()
            channel = device["channels"].get(found["channel"], {}).get("name") if found["channel"] else None
            unit = channels.setdefault(found["channel"] or "", Unit(f"{name} {channel.strip()}" if channel else name, room))
            words = f"{found['text']} {found['function_text']} {unit.name}"
            unit.addresses.append((ga, _tells(found) and not _takes(found), words))
    yield from channels.values()


def _add(proposal: Proposal, unit: Unit) -> None:
    """The devices in a unit: a blind, a valve, and what only tells."""
    moves = any(dpt_of(ga["dpt"]) == "1.008" for ga, _, _ in unit.addresses)
    found: dict[str, str] = {}
    for ga, tells, words in unit.addresses:
        address, number = three_levels(ga["raw_address"]), dpt_of(ga["dpt"])
        name = None if number is None else function_of(number, f"{ga['name']} {words}", tells=tells, moves=moves)
        if name is None or number not in FUNCTIONS[name].dpts:
            says = f"DPT {number}" if number else "no datapoint type"
            proposal.left_out.append(f"{address} {ga['name']} ({unit.name}, {says}): not used; add it to a device's knx_objects")
        elif found.setdefault(name, f"{address}:{number}") != f"{address}:{number}":
            proposal.left_out.append(f"{address} {ga['name']} ({unit.name}): {name} is {found[name]} already")
    for role, names in (
        (DeviceRole.blind, ("up_down", "stop", "position", "position_status", "slat", "slat_status")),
        (DeviceRole.radiator_valve, ("setpoint", "setpoint_status", "mode", "mode_status", "valve", "valve_status")),
        (DeviceRole.multisensor, tuple(name for name in FUNCTIONS if f"{name}_status" not in FUNCTIONS)),
    ):
        objects = {name: found.pop(name) for name in names if name in found}
        if role is DeviceRole.radiator_valve and objects.keys() & {"setpoint", "mode"}:
            objects = {name: at for name, at in objects.items() if not name.startswith("valve")}
        said = " ".join(f"{name}={at}" for name, at in objects.items())
        if said and (role is DeviceRole.multisensor or objects.keys() & {"up_down", "position", "valve", "setpoint", "mode"}):
            proposal.devices.append({"name": unit.name, "room_id": unit.room, "role": role.value, "knx_objects": said})
        elif said:
            proposal.left_out.append(f"{said} ({unit.name}): tells of a {role.value} that nothing here moves")


def _objects(project: Mapping[str, Any], ga: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    known = project["communication_objects"]
    return [known[key] for key in ga["communication_object_ids"] if key in known]


def _tells(found: Mapping[str, Any]) -> bool:
    return bool(found["flags"]["transmit"] and found["flags"]["read"])


def _takes(found: Mapping[str, Any]) -> bool:
    return bool(found["flags"]["write"] and not (found["flags"]["transmit"] and not found["flags"]["read"]))


def _digits(text: str) -> int | None:
    found = re.search(r"-?\d+", text or "")
    return int(found.group()) if found else None


def _plain(name: str) -> str:
    """A name as an id: Küche becomes kuche."""
    letters = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")


def _record(row: Mapping[str, str]) -> Record:
    return Record({name: Cell(value) for name, value in row.items()})
