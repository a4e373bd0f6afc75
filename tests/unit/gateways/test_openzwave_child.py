"""What the OpenZWave child and its parent say to each other, without the library: ids, numbers, frames, nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.gateways.openzwave_values import node_of_openzwave, value_of_openzwave
from agents.gateways.zwave_mapping import Meaning, Node, Status, Value, gettable, meaning
from infra.zwave.openzwave_child import (
    is_supervision_report,
    key_of,
    name_of,
    number_of,
    parse_request,
    reported_level,
    text_of,
    told,
)
from schemas.records import Kind

NODE: dict[str, Any] = {
    "event": "node", "node": 2, "status": "alive", "ready": True, "listening": True, "stage": "Complete", "manufacturer_id": 0x86,
    "product_type": 2, "product_id": 100, "firmware": "1.13", "manufacturer": "AEON Labs", "product": "ZW100 MultiSensor 6",
    "device_class": "Routing Multilevel Sensor",
}  # fmt: skip


def value_id(node: int, command_class: int, instance: int, index: int) -> int:
    """As ValueID.h packs it: user genre (1), type Decimal (2)."""
    return index << 48 | node << 24 | 1 << 22 | command_class << 14 | instance << 4 | 2


@pytest.mark.parametrize("key", [(2, 0x31, 1, 5), (232, 0x71, 1, 7), (3, 0x26, 255, 0), (2, 0x31, 1, 256)])
def test_a_value_s_id_says_what_it_is_the_index_beyond_8_bits_too(key: tuple[int, int, int, int]) -> None:
    assert key_of(value_id(*key)) == key


@pytest.mark.parametrize(
    ("kind", "value", "selection", "number"),
    [
        ("Decimal", 25.100000381469727, -1, 25.1),
        ("Decimal", -3.4000000953674316, -1, -3.4),
        ("Byte", 99, -1, 99.0),
        ("Bool", True, -1, 1.0),
        ("List", b"Motion Detected at Unknown Location", 8, 8.0),
        ("List", b"Clear", 0, 0.0),
        ("List", None, -1, None),
        ("Decimal", None, -1, None),
        ("String", b"1.13", -1, None),
    ],
)
def test_a_number_is_what_the_wire_said(kind: str, value: object, selection: int, number: float | None) -> None:
    assert number_of(kind, value, selection) == number


@pytest.mark.parametrize(
    ("key", "type_"),
    [((2, 0x31, 1, 1), 1), ((2, 0x30, 2, 12), 12), ((2, 0x30, 1, 0), None), ((2, 0x80, 1, 0), None), ((2, 0x71, 3, 7), 7)],
)
def test_readings_are_told_with_their_type_and_endpoint(key: tuple[int, int, int, int], type_: int | None) -> None:
    message = told(key, "label", "C", 21.5)
    assert message is not None
    assert (message["endpoint"], message["type"], message["number"]) == (key[2] - 1, type_, 21.5)


@pytest.mark.parametrize(
    "key", [(2, 0x31, 1, 256), (2, 0x71, 1, 512), (3, 0x26, 1, 5), (3, 0x26, 1, 9), (3, 0x25, 1, 0), (3, 0x86, 1, 2)]
)
def test_settings_parameters_and_other_command_classes_are_not_told(key: tuple[int, int, int, int]) -> None:
    assert told(key, "label", "", 1.0) is None


@pytest.mark.parametrize(
    ("frame", "target", "level"),
    [
        ("00 04 00 03 05 26 03 1e 5a 02", 90, 30),
        ("00 04 00 03 09 60 0d 02 00 26 03 1e 5a 02", 90, 30),
        ("00 04 00 03 05 26 03 1e 5a 02", 42, None),
        ("00 04 00 03 04 26 03 1e", 90, None),
        ("00 04 00 02 06 31 05 01 22 01 0f", 90, None),
    ],
)
def test_a_dimmer_s_level_on_its_way_is_read_from_its_report(frame: str, target: int, level: int | None) -> None:
    assert reported_level(bytes.fromhex(frame), target) == level


def test_the_answer_to_a_supervised_set_is_no_report_of_a_level() -> None:
    assert is_supervision_report(bytes.fromhex("00 04 00 03 05 6c 02 01 ff 00"))
    assert not is_supervision_report(bytes.fromhex("00 04 00 03 05 26 03 2a 2a 00"))
    assert not is_supervision_report(b"")


def test_a_request_has_all_that_its_operation_needs() -> None:
    request = {"id": 1, "op": "set", "node": 3, "endpoint": 0, "level": 42, "transition_s": None}
    assert parse_request(json.dumps(request)) == request
    for line, why in (
        ("{", "Expecting"),
        ("[1]", "an object with an id"),
        ('{"op": "stop"}', "an object with an id"),
        ('{"id": 1, "op": "reset"}', "no such operation"),
        ('{"id": 1, "op": "ping"}', "ping needs node"),
        (json.dumps({**request, "level": "42"}), "set needs level"),
    ):
        with pytest.raises(ValueError, match=why):
            parse_request(line)


def test_text_comes_as_bytes_or_text_or_not_at_all() -> None:
    assert [text_of(each) for each in (b"Lux", "Lux", None, b"\xb0C")] == ["Lux", "Lux", "", "\ufffdC"]
    assert [name_of(each) for each in ("Unknown Type (0x0000)", "Unknown: id=ffff", b"AEON Labs")] == ["", "", "AEON Labs"]


def test_nodes_and_values_mean_the_same_whichever_driver_told_them() -> None:
    told_ = [((2, 0x31, 1, 1), "Air Temperature", "F", 68.0), ((2, 0x31, 1, 3), "Illuminance", "Lux", 320.0)]
    told_ += [((2, 0x71, 1, 7), "Home Security", "", 8.0), ((2, 0x80, 1, 0), "Battery Level", "%", 100.0)]
    told_ += [((2, 0x26, 2, 0), "Level", "", 99.0)]
    messages = [told(*each) for each in told_]
    values = [value_of_openzwave(message) for message in messages if message is not None]
    node = node_of_openzwave(NODE, values)
    assert [meaning(value, node) for value in values] == [
        Meaning(Kind.temperature_c, 20.0), Meaning(Kind.illuminance_lx, 320.0), Meaning(Kind.motion, 1.0),
        Meaning(Kind.battery_pct, 100.0), Meaning(Kind.level_pct, 100.0),
    ]  # fmt: skip
    assert gettable(node, 1, Kind.level_pct) == Value(2, 1, 0x26, "Level", None, "", 99.0)
    assert node == Node(
        2, Status.alive, ready=True, listening=True, stage="Complete", manufacturer_id=0x86, product_type=2, product_id=100,
        firmware="1.13", manufacturer="AEON Labs", product="ZW100 MultiSensor 6", device_class="Routing Multilevel Sensor",
        values=tuple(values),
    )  # fmt: skip
