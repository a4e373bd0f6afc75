"""What people may make of the building, and what they are told when it cannot be."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from infra.building_plan import BEACONS as SEEDED_BEACONS
from infra.building_plan import DEVICES as SEEDED_DEVICES
from infra.building_plan import ROOMS as SEEDED_ROOMS
from infra.editing.edits import Edit, Refused
from infra.editing.fields import Row
from infra.editing.files import FORMATS, Cell, Fault, Record, read, write
from infra.editing.store import difference
from infra.editing.tables import BEACONS, DEVICES, POLICIES, ROOMS, TABLES, State, Table, check, policy_of_row


def row_of(table: Table, record: Any) -> Row:
    return {field.name: str(value) if isinstance(value := getattr(record, field.name), str) else value for field in table.fields}


def building() -> State:
    rows = {
        "rooms": [row_of(ROOMS, each) for each in SEEDED_ROOMS],
        "devices": [row_of(DEVICES, each) for each in SEEDED_DEVICES],
        "beacons": [row_of(BEACONS, each) for each in SEEDED_BEACONS],
        "policies": [
            {"room_id": "1"},
            {"room_id": "2", "humid_above_pct": 60.0, "day_starts": time(6, 30), "dark_needs_occupancy": False, "valve_dwell_s": 5},
        ],
    }
    return {name: {TABLES[name].key_of(row): row for row in found} for name, found in rows.items()}


def imported(table: Table, content: str, kind: str, *, replace: bool = False) -> State:
    faults: list[Fault] = []
    edit = Edit(building(), table, f"file.{kind}", faults)
    records = read(content.encode(), kind, faults)
    edit = Edit(building(), table, f"file.{kind}", faults)
    edit.put(records, replace=replace)
    return edit.finish()


def complaints(table: Table, content: str, kind: str) -> list[tuple[int | None, str]]:
    with pytest.raises(Refused) as told:
        imported(table, content, kind)
    return [(fault.line, fault.field) for fault in told.value.faults]


def record(**cells: str | None) -> Record:
    return Record({name: Cell(text) for name, text in cells.items()})


def test_the_seeded_building_is_well() -> None:
    told: list[Any] = []
    check(building(), lambda *all_: told.append(all_))
    assert told == []


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_what_is_exported_imports_as_what_it_was(table: Table, kind: str) -> None:
    content = write(table, building()[table.name].values(), kind)
    assert difference(building(), imported(table, content, kind, replace=True)) == []


def test_every_fault_of_a_file_is_told_at_once_with_line_and_field() -> None:
    content = (
        "device_id,name,room_id,role,bus,line_id,knx_floor,knx_bloc,zwave_node,simulated\n"
        "20,valve,2,radiator_valve,knx,knx-4,9,20,,\n"
        "21,,99,blind,knx,knx-4,4,21,,maybe\n"
        "twenty,lamp,2,dimer,zwave,zwave-1,,,30,\n"
        "22,lamp,2,dimmer\n"
    )
    assert sorted(complaints(DEVICES, content, "csv"), key=str) == [
        (2, "knx_floor"), (3, "name"), (3, "simulated"), (4, "device_id"), (4, "role"), (5, ""),
    ]  # fmt: skip


def test_what_only_the_whole_can_tell_is_told_with_its_line_too() -> None:
    content = """
- {device_id: 20, name: lost, room_id: 99, role: blind, bus: knx, line_id: knx-4, knx_floor: 1, knx_bloc: 1}
- device_id: 21
  name: same address as device 9
  room_id: 2
  role: multisensor
  bus: zwave
  line_id: zwave-1
  zwave_node: 2
- {device_id: 22, name: no address, room_id: 2, role: blind, bus: knx, line_id: knx-4}
- {device_id: 23, name: nonsense, room_id: 2, role: blind, bus: zwave, line_id: zwave-1, zwave_node: 40}
- {device_id: 21, name: twice, room_id: 2, role: dimmer, bus: zwave, line_id: zwave-1, zwave_node: 44}
"""
    found = complaints(DEVICES, content.replace("- {device_id: 21, name: twice", "- {device_id: 24, name: twice"), "yaml")
    assert found == [(2, "room_id"), (9, "zwave_node"), (10, "knx_floor"), (10, "knx_bloc"), (11, "role")]
    assert (12, "device_id") in complaints(DEVICES, content, "yaml")


def test_two_devices_share_a_node_at_different_endpoints_only() -> None:
    content = """
- {device_id: 20, name: gang 1, room_id: 2, role: dimmer, bus: zwave, line_id: zwave-1, zwave_node: 40, zwave_endpoint: 1}
- {device_id: 21, name: gang 2, room_id: 2, role: dimmer, bus: zwave, line_id: zwave-1, zwave_node: 40, zwave_endpoint: 2}
- {device_id: 22, name: same gang, room_id: 2, role: dimmer, bus: zwave, line_id: zwave-1, zwave_node: 40, zwave_endpoint: 2}
- {device_id: 23, name: root of 9, room_id: 2, role: dimmer, bus: zwave, line_id: zwave-1, zwave_node: 2, zwave_endpoint: 0}
- {device_id: 24, name: no such, room_id: 2, role: dimmer, bus: zwave, line_id: zwave-1, zwave_node: 41, zwave_endpoint: 128}
- {device_id: 25, name: on knx, room_id: 2, role: blind, bus: knx, line_id: knx-4, knx_floor: 1, knx_bloc: 9, zwave_endpoint: 1}
"""
    assert complaints(DEVICES, content.replace(", zwave_endpoint: 128", ""), "yaml") == [
        (4, "zwave_node"), (5, "zwave_node"), (7, "zwave_endpoint"),
    ]  # fmt: skip
    assert (6, "zwave_endpoint") in complaints(DEVICES, content, "yaml")


@pytest.mark.parametrize(
    ("kind", "content", "line", "says"),
    [
        ("yaml", "- room_id: '3'\n  name: [a", 2, "not readable as YAML, column"),
        ("yaml", "rooms: 3", 1, "give a list"),
        ("yaml", "- 3", 1, "give a record"),
        ("yaml", "- room_id: 3\n  room_id: 4", 2, "stands on line 1 already"),
        ("yaml", "- room_id: {a: b}", 1, "give a single value"),
        ("csv", 'room_id,number,floor,name\n1,1,4,"cut off', 2, "not readable as CSV"),
        ("csv", "room_id,room_id\n1,1", 1, "twice in the heading"),
        ("csv", "room_id;number;floor;name\n1;1;4;x", 2, "no such field"),
        ("csv", "room_id,numbr,floor,name\n1,1,4,x", 2, "did you mean number?"),
    ],
)
def test_a_file_of_another_form_says_where_and_what_would_be_right(kind: str, content: str, line: int, says: str) -> None:
    with pytest.raises(Refused) as told:
        imported(ROOMS, content, kind)
    assert any(fault.line == line and says in fault.says for fault in told.value.faults), told.value.faults


def test_bytes_that_are_not_utf_8_are_told_with_their_line() -> None:
    faults: list[Fault] = []
    assert read(b"room_id\n1\n\xff", "csv", faults) == []
    assert [(fault.line, fault.says) for fault in faults] == [(3, "not UTF-8: save the file as UTF-8")]


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"humid_above_pct": "160"}, "humid_above_pct"),
        ({"humid_above_pct": "40"}, "humid_clear_below_pct"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"day_starts": "7"}, "day_starts"),
        ({"day_starts": "07:00:00+01:00"}, "day_starts"),
        ({"clock": "sundial"}, "clock"),
        ({"valve_dwell_s": "1.5"}, "valve_dwell_s"),
        ({"light_on_pct": "nan"}, "light_on_pct"),
        ({"dark_needs_occupancy": "perhaps"}, "dark_needs_occupancy"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_by_field(cells: dict[str, str], field: str) -> None:
    edit = Edit(building(), POLICIES, "policy 1")
    edit.change("1", record(**cells))
    with pytest.raises(Refused) as told:
        edit.finish()
    assert [fault.field for fault in told.value.faults] == [field]


def test_a_policy_says_only_what_differs_and_an_emptied_field_follows_the_default_again() -> None:
    edit = Edit(building(), POLICIES, "policy 2")
    edit.change("2", record(humid_above_pct=None, light_on_pct="80"))
    after = edit.finish()["policies"]["2"]
    assert "humid_above_pct" not in after
    policy = policy_of_row(after)
    assert (policy.humid_above_pct, policy.light_on_pct, policy.day_starts) == (50.0, 80.0, time(6, 30))


def test_a_room_takes_its_beacons_and_its_policy_along_but_not_its_devices() -> None:
    edit = Edit(building(), ROOMS, "rooms")
    edit.remove(["1"])
    with pytest.raises(Refused, match="room 1 still has devices 1, 5, 9, 10: move or remove them first"):
        edit.finish()
    without = building()
    without["devices"] = {}
    edit = Edit(without, ROOMS, "rooms")
    edit.remove(["1"])
    assert {(change.table.name, change.after) for change in difference(without, edit.finish())} == {
        ("rooms", None), ("beacons", None), ("policies", None),
    }  # fmt: skip


def test_unknown_keys_and_taken_keys_are_told() -> None:
    edit = Edit(building(), DEVICES, "devices")
    edit.remove(["99"])
    edit.change("98", record(name="x"))
    edit.add(record(device_id="5", name="x", room_id="1", role="blind", bus="knx", line_id="knx-9", knx_floor="1", knx_bloc="1"))
    with pytest.raises(Refused, match=r"(?s)no device '99'.*no device '98'.*device 5 is there already"):
        edit.finish()


def test_a_diff_tells_what_comes_goes_and_changes() -> None:
    edit = Edit(building(), DEVICES, "devices")
    edit.change("9", record(room_id="2"))
    edit.remove(["16"])
    edit.add(record(device_id="20", name="south", room_id="1", role="dimmer", bus="zwave", line_id="zwave-1", zwave_node="300"))
    assert [change.told for change in difference(building(), edit.finish())] == [
        "~ device 9: room_id 1 -> 2",
        "- device 16",
        "+ device 20: name south, room_id 1, role dimmer, bus zwave, line_id zwave-1, zwave_node 300, simulated false",
    ]
