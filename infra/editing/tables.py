"""PURE: the four tables people edit, field by field, and the rules that hold between them."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import time
from enum import Enum
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct

from agents.gateways import knx_mapping, zwave_mapping
from infra.editing.fields import Field, Row, Value, beacon_uuid, choice, clock, flag, number, structured, text, whole, written
from schemas.codecs import DEFAULT_POLICY, schema_text
from schemas.policy import faults
from schemas.records import Bus, Clock, Device, DeviceRole, Policy, Unasked

STRUCTURED = frozenset(name for name in Policy.__struct_fields__ if isinstance(getattr(DEFAULT_POLICY, name), tuple))
"""Fields of a policy that hold lists; a cell has them as JSON."""
State = dict[str, dict[str, Row]]
"""Table name -> key -> row; a policy's row has only the fields that differ from the default."""
Complain = Callable[[str, str, str, str], None]
"""Called with table, key, field and what would be right."""
_INT = 2**31 - 1
_ROLES = [role.value for role in DeviceRole if role is not DeviceRole.unknown]
_BUSES = [bus.value for bus in Bus if bus is not Bus.unknown]


class Table(Struct, frozen=True):
    """One table: its name, what one row is called, its fields, and which of them are the key."""

    name: str
    one: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]

    def key_of(self, row: Mapping[str, Value]) -> str:
        """The row's key as text."""
        return "/".join(written(row[name]) for name in self.key)

    def field(self, name: str) -> Field | None:
        """The field of this name."""
        return next((field for field in self.fields if field.name == name), None)


def _policy_fields() -> Iterator[Field]:
    kinds: dict[type, Callable[[str], Value]] = {
        str: text("an IANA time zone such as Europe/Zurich"), float: number, bool: flag, time: clock,
        int: whole("a number", 0, _INT), Clock: choice([Clock.live.value, Clock.recorded.value]),
        Unasked: choice([each.value for each in Unasked if each is not Unasked.unknown]),
    }  # fmt: skip
    docs = {field["name"]: field["doc"] for field in json.loads(schema_text("atrium.Policy"))["fields"]}
    hints = typing.get_type_hints(Policy)
    for name in Policy.__struct_fields__:
        if name != "revision":
            default = getattr(DEFAULT_POLICY, name)
            if isinstance(default, tuple):
                yield Field(name, structured(hints[name]), f"{docs[name]} As JSON.", required=False)
            else:
                yield Field(name, kinds[hints[name]], f"{docs[name]} Default: {written(default)}.", required=False)


_ROOM_ID = Field("room_id", text("the room's id"), "The room, by its id.")
ROOMS = Table(
    "rooms", "room",
    (
        Field("room_id", text("an id of the room"), "Its id, any short text."),
        Field("number", whole("the room's number", -_INT, _INT), "Number on its floor."),
        Field("floor", whole("the floor", -_INT, _INT), "Floor."),
        Field("name", text("a name"), "Name for people."),
    ),
    ("room_id",),
)  # fmt: skip
DEVICES = Table(
    "devices", "device",
    (
        Field("device_id", whole("an id", 1, _INT), "Its id."),
        Field("name", text("a name"), "Name for people."),
        _ROOM_ID,
        Field("role", choice(_ROLES), f"What it is for: {', '.join(_ROLES)}."),
        Field("bus", choice(_BUSES), f"The network it hangs on: {', '.join(_BUSES)}."),
        Field("line_id", text("the line's id, such as knx-4"), "The line of that network; one gateway process owns it."),
        Field("knx_floor", whole("a floor (KNX middle group)", 0, 7), "KNX: middle group.", required=False),
        Field("knx_bloc", whole("a bloc (KNX sub group)", 0, 255), "KNX: sub group.", required=False),
        Field(
            "knx_objects", text("objects such as position=1/2/3 position_status=1/3/3"),
            "KNX: group objects of its own, function=address[:DPT] ...; they win over floor and bloc (docs/knx.md).",
            required=False,
        ),
        Field("zwave_node", whole("a node", 1, 4000), "Z-Wave: node, 1-232 or 256-4000.", required=False),
        Field("zwave_endpoint", whole("an endpoint", 0, 127), "Z-Wave: endpoint of the node; empty: the root.", required=False),
        Field("simulated", flag, "true or false: whether the simulated building plays it.", required=False, default=False),
    ),
    ("device_id",),
)  # fmt: skip
BEACONS = Table(
    "beacons", "beacon",
    (
        Field("uuid", beacon_uuid, "iBeacon proximity UUID."),
        Field("major", whole("a major", 0, 65535), "iBeacon major."),
        Field("minor", whole("a minor", 0, 65535), "iBeacon minor."),
        _ROOM_ID,
    ),
    ("uuid", "major", "minor"),
)  # fmt: skip
POLICIES = Table("policies", "policy", (_ROOM_ID, *_policy_fields()), ("room_id",))
TABLES = {table.name: table for table in (ROOMS, DEVICES, BEACONS, POLICIES)}

_NEEDS = {"knx": (), "zwave": ("zwave_node",), "recorded": ()}
_MAY = {"knx": ("knx_floor", "knx_bloc", "knx_objects"), "zwave": ("zwave_node", "zwave_endpoint"), "recorded": ()}
_ROLES_ON = {"knx": [role.value for role in knx_mapping.ROLES], "zwave": [role.value for role in zwave_mapping.REPORTS]}


def check(state: State, complain: Complain) -> None:
    """Say everything that is wrong with a building as a whole."""
    rooms = state["rooms"]
    for table in ("devices", "beacons", "policies"):
        for key, row in state[table].items():
            if row["room_id"] not in rooms:
                known = ", ".join(list(rooms)[:20]) or "none yet"
                complain(table, key, "room_id", f"there is no room {row['room_id']!r}: there are {known}")
    _unique(state, "rooms", ("floor", "number"), complain)
    for key, row in state["devices"].items():
        _check_address(key, row, complain)
    _check_knx(state, complain)
    _unique(state, "devices", ("line_id", "knx_floor", "knx_bloc", "role"), complain)
    _unique(state, "devices", ("line_id", "zwave_endpoint", "zwave_node"), complain, {"zwave_endpoint": 0})
    for key, row in state["policies"].items():
        for field, complaint in faults(policy_of_row(row)):
            complain("policies", key, field, complaint)


def policy_of_row(row: Row) -> Policy:
    """The default policy with the row's fields in their place."""
    values: dict[str, Any] = {name: value for name, value in row.items() if name != "room_id" and value is not None}
    hints = typing.get_type_hints(Policy)
    for name, value in values.items():
        if name in STRUCTURED:
            values[name] = msgspec.json.decode(value, type=hints[name])
        elif issubclass(hints[name], Enum):
            values[name] = hints[name](value)
    return msgspec.structs.replace(DEFAULT_POLICY, **values)


def _check_address(key: str, row: Row, complain: Complain) -> None:
    bus = str(row["bus"])
    needs = _NEEDS[bus]
    if bus == "knx" and (row["knx_objects"] is None or {row["knx_floor"], row["knx_bloc"]} != {None}):
        needs = ("knx_floor", "knx_bloc")
    for field in ("knx_floor", "knx_bloc", "knx_objects", "zwave_node", "zwave_endpoint"):
        if field in needs and row[field] is None:
            complain("devices", key, field, f"a device on {bus} needs one{', or knx_objects' if bus == 'knx' else ''}")
        if field not in _MAY[bus] and row[field] is not None:
            complain("devices", key, field, f"a device on {bus} has none: leave it empty")
    if isinstance(row["zwave_node"], int) and 232 < row["zwave_node"] < 256:
        complain("devices", key, "zwave_node", "give a node from 1 to 232 (mesh) or from 256 to 4000 (Long Range)")
    if bus in _ROLES_ON and row["role"] not in _ROLES_ON[bus]:
        complain("devices", key, "role", f"no {row['role']} hangs on {bus}: there it is one of {', '.join(_ROLES_ON[bus])}")


def knx_devices(state: State) -> dict[str, Device]:
    """The KNX devices whose rows are well formed, by key."""
    return {
        key: msgspec.convert({**row, "revision": 0}, Device)
        for key, row in state["devices"].items()
        if row["bus"] == "knx" and row["role"] in _ROLES_ON["knx"]
        and (row["knx_objects"] is not None or (row["knx_floor"] is not None and row["knx_bloc"] is not None))
    }  # fmt: skip


def _check_knx(state: State, complain: Complain) -> None:
    """Say what the mapping finds wrong with the KNX devices."""
    for device, why in knx_mapping.faults(knx_devices(state).values()):
        complain("devices", str(device.device_id), "knx_objects", why)


def _unique(
    state: State, table: str, fields: tuple[str, ...], complain: Complain, empty: Mapping[str, Value] = MappingProxyType({})
) -> None:
    """Complain of the later of two rows that share all of these fields; `empty` says which value an empty field stands for."""
    seen: dict[tuple[Value, ...], str] = {}
    for key, row in state[table].items():
        values = tuple(empty.get(field) if row[field] is None else row[field] for field in fields)
        if None in values:
            continue
        if values in seen:
            said = ", ".join(f"{field} {written(value)}" for field, value in zip(fields, values, strict=True))
            complain(table, key, fields[-1], f"{TABLES[table].one} {seen[values]} has {said} already")
        seen.setdefault(values, key)
