"""Group addresses, datapoint types and hands on KNX. xknx, written by others, is asked for the bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from xknx.dpt import DPTArray, DPTBase, DPTBinary

from agents.gateways import knx_mapping as knx
from agents.gateways.knx_dpt import DPTS, NotThatDpt, decode, encode
from agents.gateways.knx_functions import FUNCTIONS, NotOnKnx, Part
from schemas.records import Bus, Device, DeviceRole, Kind


def device(role: DeviceRole, objects: str | None = None, **given: Any) -> Device:
    return Device(
        **{"device_id": 1, "revision": 1, "name": "one", "room_id": "1", "role": role, "bus": Bus.knx, "line_id": "knx-1"}
        | {"knx_objects": objects}
        | given
    )


BLIND = device(DeviceRole.blind, knx_floor=4, knx_bloc=12)
VALVE = device(DeviceRole.radiator_valve, knx_floor=4, knx_bloc=12)


def test_the_old_plan_is_action_floor_bloc() -> None:
    assert {o.name: o.address for o in knx.objects_of(BLIND).by_name.values()} == {
        "up_down": "1/4/12", "position": "3/4/12", "position_status": "4/4/12",
    }  # fmt: skip
    assert {o.name: o.address for o in knx.objects_of(VALVE).by_name.values()} == {"valve": "0/4/12"}
    assert knx.status_address(VALVE, Kind.valve_pct) == "0/4/12"


def test_a_read_back_confirms_only_from_an_object_of_its_own() -> None:
    assert knx.confirms(BLIND, Kind.closed_pct)
    assert not knx.confirms(VALVE, Kind.valve_pct)
    assert knx.confirms(replace(VALVE, knx_objects="valve_status=5/4/12"), Kind.valve_pct)


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (replace(BLIND, knx_floor=8), "'1/8/12' is no group address"),
        (replace(BLIND, knx_bloc=256), "'1/4/256' is no group address"),
        (replace(VALVE, knx_floor=0, knx_bloc=0), "'0/0/0' is no group address"),
        (replace(BLIND, knx_floor=None), "has no floor and bloc"),
        (device(DeviceRole.blind, "position=1/2"), "'1/2' is no group address"),
        (device(DeviceRole.blind, "position=32/0/1"), "'32/0/1' is no group address"),
        (device(DeviceRole.blind, "position=1/2/3:9.001"), "position is of DPT 5.001, not 9.001"),
        (device(DeviceRole.blind, "positon=1/2/3"), "'positon' is no group object"),
        (device(DeviceRole.blind, "position_status=1/2/3"), "no position or up_down"),
        (device(DeviceRole.multisensor, None), "an object such as temperature=1/2/3"),
        (device(DeviceRole.radiator_valve, "setpoint=1/2/3 valve=1/2/4"), "regulates by setpoint"),
        (device(DeviceRole.blind, "position=1/2/3 travel_s=long"), "travel_s='long': give a number"),
        (device(DeviceRole.radiator_valve, "setpoint=1/2/3 comfort_c=15 setback_c=16"), "comfort_c must be above setback_c"),
    ],
)
def test_what_is_no_address_is_refused_saying_what_would_be(refused: Device, says: str) -> None:
    with pytest.raises(NotOnKnx, match=says.replace("(", r"\(")):
        knx.objects_of(refused)


@pytest.mark.parametrize("pct", range(101))
def test_every_percent_survives_the_byte(pct: int) -> None:
    raw = encode("5.001", pct)
    assert decode("5.001", raw) == pct
    assert raw == DPTBase.parse_transcoder("percent").to_knx(pct).value  # type: ignore[union-attr]


def test_thirty_percent_open_is_byte_178_or_179_and_thirty_again() -> None:
    told = knx.telegram(BLIND, Kind.closed_pct, 100 - 30)
    raw = encode(told.dpt, told.value)
    assert told.address == "3/4/12"
    assert raw in ((178,), (179,))
    assert [100 - decode("5.001", (byte,)) for byte in (178, 179)] == [30, 30]


def test_closed_is_down_and_100_on_the_wire() -> None:
    assert encode("5.001", knx.telegram(BLIND, Kind.closed_pct, 100).value) == (255,)
    only_ends = device(DeviceRole.blind, "up_down=1/4/12")
    assert knx.telegram(only_ends, Kind.closed_pct, 100) == ("1/4/12", "1.008", 1)
    assert knx.telegram(only_ends, Kind.closed_pct, 0) == ("1/4/12", "1.008", 0)
    with pytest.raises(NotOnKnx, match="takes 40 %"):
        knx.telegram(only_ends, Kind.closed_pct, 40)


@pytest.mark.parametrize("number", [number for number in DPTS if number.startswith("9.")])
@given(value=st.floats(0, 600_000))
def test_floats_are_the_bytes_that_xknx_makes(number: str, value: float) -> None:
    theirs = DPTBase.parse_transcoder(number)
    assert theirs is not None
    raw = encode(number, value)
    assert isinstance(raw, tuple)
    assert decode(number, raw) == pytest.approx(value, rel=0.002, abs=0.01)
    assert theirs.from_knx(DPTArray(raw)) == pytest.approx(decode(number, raw), abs=0.01)


@pytest.mark.parametrize(
    ("number", "value", "raw"),
    [("9.001", -5.0, (0x86, 0x0C)), ("9.001", 21.5, (0x0C, 0x33)), ("9.001", 0, (0, 0)), ("20.102", 3, (3,)), ("1.008", 1, 1)],
)
def test_examples_are_what_the_standard_says(number: str, value: float, raw: object) -> None:
    assert encode(number, value) == raw
    assert decode(number, raw) == value  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [number for number in DPTS if number.startswith("1.")])
def test_bits_are_the_bits_that_xknx_makes(number: str) -> None:
    theirs = DPTBase.parse_transcoder(number)
    for bit in (0, 1):
        assert decode(number, encode(number, bit)) == bit
        if theirs is not None:
            assert theirs.to_knx(theirs.from_knx(DPTBinary(bit))).value == encode(number, bit)


@pytest.mark.parametrize(
    ("number", "raw", "says"),
    [
        ("5.001", (1, 2), "2 bytes is no DPT 5.001, which has 1 byte"),
        ("9.001", (1,), "1 byte is no DPT 9.001"),
        ("1.008", (1,), "1 byte is no DPT 1.008, which has a single bit"),
        ("9.001", (0x7F, 0xFF), "no valid value"),
        ("20.102", (9,), "9 is no value of DPT 20.102"),
        ("9.007", (0x86, 0x0C), "is no value of DPT 9.007"),
        ("3.007", (1,), "DPT 3.007 is not known here"),
    ],
)
def test_bytes_of_another_type_are_refused(number: str, raw: tuple[int, ...], says: str) -> None:
    with pytest.raises(NotThatDpt, match=says):
        decode(number, raw)


def test_a_controller_gets_a_setpoint_or_a_mode_and_its_valve_is_never_written() -> None:
    regulated = device(
        DeviceRole.radiator_valve, "setpoint=2/0/1 setpoint_status=2/1/1 comfort_c=22 setback_c=17", knx_floor=4, knx_bloc=1
    )
    assert knx.telegram(regulated, Kind.valve_pct, 90) == ("2/0/1", "9.001", 21.5)
    assert knx.telegram(regulated, Kind.valve_pct, 10) == ("2/0/1", "9.001", 17.5)
    assert "valve" not in knx.objects_of(regulated).by_name
    told = knx.status(regulated, Kind.valve_pct)
    assert (told.address, knx.confirms(regulated, Kind.valve_pct)) == ("2/1/1", True)
    assert [knx.percent(regulated, told, c, None) for c in (21.5, 17.5, 30, 5)] == [90, 10, 100, 0]
    by_mode = device(DeviceRole.radiator_valve, "mode=2/0/2 mode_status=2/1/2")
    assert [knx.telegram(by_mode, Kind.valve_pct, pct).value for pct in (90, 50, 10)] == [1, 2, 3]
    told = knx.status(by_mode, Kind.valve_pct)
    assert knx.percent(by_mode, told, 1, 85) == 85, "the mode that 85 % is written as"
    assert knx.percent(by_mode, told, 3, 85) == 10


def test_one_status_address_of_two_devices_and_one_address_of_two_types_are_told() -> None:
    other = replace(BLIND, device_id=2, knx_floor=None, knx_bloc=None, knx_objects="position=5/5/5 position_status=4/4/12")
    warm = device(DeviceRole.multisensor, "temperature=5/5/5", device_id=3)
    said = [(d.device_id, why) for d, why in knx.faults([BLIND, other, warm])]
    assert [device_id for device_id, _ in said] == [2, 3]
    assert "4/4/12 is already device 1's position_status" in said[0][1]
    assert "5/5/5 has DPT 9.001, and DPT 5.001 as device 2's position" in said[1][1]


def test_a_central_address_shared_by_many_is_normal() -> None:
    blinds = [device(DeviceRole.blind, f"up_down=1/0/0 position=1/1/{n} position_status=1/2/{n}", device_id=n) for n in range(1, 9)]
    assert list(knx.faults(blinds)) == []
    assert list(knx.faults([BLIND, replace(BLIND, device_id=2, line_id="knx-2")])) == [], "lines have addresses of their own"


def an(name: str) -> knx.GroupObject:
    function = FUNCTIONS[name]
    return knx.GroupObject(1, name, function.kind, function.part, "1/1/1", function.dpts[0])


@pytest.mark.parametrize(
    ("case", "name", "given", "hand"),
    [
        ("a wall button moves it", "up_down", {}, True),
        ("a wall button while we move it", "up_down", {"under_way": True}, True),
        ("a wall button sets a position", "position", {}, True),
        ("a thermostat writes", "valve", {"button": False}, False),
        ("a response", "position", {"write": False}, False),
        ("our own travel's report", "position_status", {"under_way": True, "value": 40.0, "last": 10.0}, False),
        ("rounding", "position_status", {"value": 41.0, "last": 40.0}, False),
        ("the first value heard", "position_status", {"value": 41.0, "last": None}, False),
        ("the actuator's own key", "position_status", {"value": 43.0, "last": 40.0}, True),
        ("a sensor in the button", "temperature", {"value": 23.0, "last": 20.0}, False),
    ],
)
def test_what_is_a_hand(case: str, name: str, given: dict[str, Any], *, hand: bool) -> None:
    facts = {"write": True, "button": True, "under_way": False, "value": 100.0, "last": 100.0} | given
    assert knx.is_hand(an(name), **facts) is hand, case


def test_every_function_names_a_known_type_and_a_status_where_it_takes_targets() -> None:
    for name, function in FUNCTIONS.items():
        assert all(number in DPTS for number in function.dpts), name
        if function.part is Part.command:
            assert FUNCTIONS[f"{name}_status"].part is Part.status
