"""PURE: a node of a Z-Wave network becomes devices of the building."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from agents.gateways.zwave_mapping import ROOT, Node
from agents.gateways.zwave_proposal import Proposed
from infra.editing.edits import Edit
from infra.editing.fields import Row
from infra.editing.files import Cell, Record
from infra.editing.tables import DEVICES, State
from schemas.errors import BuildingError
from schemas.records import DeviceRole, Kind


class NotAdoptable(BuildingError):
    """A node that cannot become what is asked for, or not yet."""

    reason = "not_adoptable"


def devices_at(state: State, line_id: str, node_id: int) -> dict[int, Row]:
    """The building's devices that are a node, by endpoint."""
    return {
        int(str(row["zwave_endpoint"] or ROOT)): row
        for row in state["devices"].values()
        if (row["bus"], row["line_id"], row["zwave_node"]) == ("zwave", line_id, node_id)
    }


def called(row: Row) -> str:
    """A device in a few words."""
    return f"device {row['device_id']} ({row['name']}, room {row['room_id']})"


def chosen(node: Node, proposed: Sequence[Proposed], endpoint: int | None, role: DeviceRole | None) -> tuple[Proposed, ...]:
    """The devices to adopt, of those that a node could be. Raises `NotAdoptable`."""
    name = f"node {node.node_id}"
    if not node.ready:
        at = f" (so far: {node.stage})" if node.stage else ""
        wake = "" if node.listening else "; it sleeps: wake it up as its manual says"
        raise NotAdoptable(f"the interview of {name} is not over{at}: what it is will be known then{wake}")
    if not proposed:
        raise NotAdoptable(f"{name} tells nothing that the building reads, and has no level: there is nothing to adopt")
    found = [each for each in proposed if endpoint in (None, each.endpoint)]
    if not found:
        raise NotAdoptable(f"{name} is no device at endpoint {endpoint}: it is at {_listed(each.endpoint for each in proposed)}")
    if role is DeviceRole.dimmer and (without := [each.endpoint for each in found if Kind.level_pct not in each.kinds]):
        raise NotAdoptable(f"{name} has no level at endpoint {_listed(without)}: it cannot be a dimmer there")
    return tuple(Proposed(each.endpoint, role or each.role, each.kinds, each.name) for each in found)


def adopting(
    line_id: str, node_id: int, devices: Sequence[Proposed], room_id: str, name: str | None = None
) -> Callable[[State], State]:
    """The edit that adds the devices of a node to a room. It raises `NotAdoptable` where all of them are there, and `Refused`.

    Devices that are there already stay as they are: the rest of a node may hang in another room.
    """

    def change(before: State) -> State:
        there = devices_at(before, line_id, node_id)
        new = [each for each in devices if each.endpoint not in there]
        if not new:
            said = ", ".join(called(there[each.endpoint]) for each in devices)
            raise NotAdoptable(f"node {node_id} is adopted already: {said}")
        edit = Edit(before, DEVICES, f"node {node_id}")
        highest = max((int(key) for key in before["devices"]), default=0)
        for number, each in enumerate(new, highest + 1):
            row = {
                "device_id": str(number), "name": _named(each, name, len(devices)), "room_id": room_id, "role": each.role.value,
                "bus": "zwave", "line_id": line_id, "zwave_node": str(node_id),
            }  # fmt: skip
            if each.endpoint != ROOT:
                row["zwave_endpoint"] = str(each.endpoint)
            edit.add(Record({field: Cell(text) for field, text in row.items()}))
        return edit.finish()

    return change


def _named(device: Proposed, name: str | None, of: int) -> str:
    if name is None:
        return device.name
    return name if of == 1 or device.endpoint == ROOT else f"{name} {device.endpoint}"


def _listed(endpoints: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(endpoints)))
