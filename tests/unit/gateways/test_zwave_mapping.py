"""What real nodes' values say: each row of the tables is a fact of a published node, or of the command class's specification."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from agents.gateways.zwave_js_values import value_of_zwave_js
from agents.gateways.zwave_mapping import (
    Ignored,
    Meaning,
    Node,
    Reason,
    Status,
    Value,
    accepted,
    device_kinds,
    gettable,
    meaning,
)
from agents.gateways.zwave_quirks import QUIRKS
from schemas.records import Kind
from tests.unit.gateways.zwave_nodes import NAMES, facts, node

ANYBODY = Node(7, Status.alive, ready=True, listening=True)


def told(
    command_class: int, name: str, type_: int | None = None, unit: str = "", number: float | None = None, **more: Any
) -> Value:
    return Value(7, more.get("endpoint", 0), command_class, name, type_, unit, number)


def said_by(a_node: Node, endpoint: int) -> dict[str, float]:
    """What a device at an endpoint knows from the node's values."""
    found = [meaning(value, a_node) for value in a_node.values if accepted(value, a_node, endpoint)]
    said = {str(each.kind): each.value for each in found if isinstance(each, Meaning)}
    assert len(said) == len(found), "a kind is told twice"
    return said


@pytest.mark.parametrize(
    ("name", "endpoint", "said"),
    [
        ("aeotec_zw100", 0, {"temperature_c": 9, "illuminance_lx": 0, "humidity_pct": 65, "motion": 1, "battery_pct": 100}),
        (
            "vision_zp3111",
            0,
            {"temperature_c": 21.98, "illuminance_pct": 7.31, "humidity_pct": 51.98, "motion": 0, "battery_pct": 0},
        ),
        ("express_controls_ezmultipli", 0, {"temperature_c": 16.8, "illuminance_pct": 61, "motion": 0}),
        ("zooz_zse44", 0, {"temperature_c": 21.06, "humidity_pct": 54, "battery_pct": 0}),
        ("radio_thermostat_ct100_plus", 0, {"temperature_c": 22.22, "humidity_pct": 30, "battery_pct": 100}),
        ("heatit_ztrm3", 2, {"temperature_c": 22.5}),
        ("heatit_ztrm3", 3, {"temperature_c": 0}),
        ("heatit_ztrm3", 4, {"temperature_c": 15.3}),
        ("heatit_ztrm3", 0, {}),
        ("fibaro_fgms001", 0, {"motion": 0}),
        ("ecolink_dwzwave2", 0, {"battery_pct": 61}),
        ("eaton_rf9640", 0, {"level_pct": 22}),
        ("ge_zw3005", 0, {"level_pct": 35}),
        ("inovelli_lzw36", 1, {"level_pct": 0}),
        ("inovelli_lzw36", 2, {"level_pct": 0}),
        ("inovelli_lzw36", 0, {}),
    ],
)  # fmt: skip
def test_published_nodes_say(name: str, endpoint: int, said: dict[str, float]) -> None:
    assert said_by(node(name), endpoint) == said
    assert set(device_kinds(node(name), endpoint)) == set(said)


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("aeotec_zw100", {"Ultraviolet": "unknown_kind", "Cover status": "not_an_event"}),
        ("vision_zp3111", {"Cover status": "not_an_event", "alarmType": "not_an_event", "alarmLevel": "not_an_event"}),
        ("zooz_zse44", {"Heat sensor status": "not_an_event", "Moisture alarm status": "not_an_event"}),
        ("heatit_ztrm3", {"UNKNOWN (0x00)": "unknown_kind", "Time": "unknown_kind"}),
        ("ecolink_dwzwave2", {"Any": "unknown_kind", "Cover status": "not_an_event"}),
        ("ge_zw3005", {}),
    ],
)
def test_of_published_nodes_is_ignored(name: str, ignored: dict[str, str]) -> None:
    a_node = node(name)
    found = {value.name: said.reason for value in a_node.values if isinstance(said := meaning(value, a_node), Ignored)}
    assert found == ignored


@pytest.mark.parametrize("name", NAMES)
def test_every_published_node_names_where_it_was_published(name: str) -> None:
    source = facts(name)["source"]
    assert set(source) == {"repository", "path", "commit"}
    assert len(source["commit"]) == 40


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (told(0x31, "Air temperature", 1, "°C", -12.5), Kind.temperature_c, -12.5),
        (told(0x31, "Temperature", 1, "C", 21.4), Kind.temperature_c, 21.4),
        (told(0x31, "Air temperature", 1, "°F", 32), Kind.temperature_c, 0),
        (told(0x31, "Temperature", 1, "F", 68.9), Kind.temperature_c, 20.5),
        (told(0x31, "Illuminance", 3, "Lux", 740), Kind.illuminance_lx, 740),
        (told(0x31, "Luminance", 3, "lux", 740), Kind.illuminance_lx, 740),
        (told(0x31, "Luminance", 3, "%", 74), Kind.illuminance_pct, 74),
        (told(0x31, "Humidity", 5, "%", 45), Kind.humidity_pct, 45),
        (told(0x31, "Carbon dioxide (CO₂) level", 17, "ppm", 612), Kind.co2_ppm, 612),
        (told(0x71, "Motion sensor status", 7, "", 0), Kind.motion, 0),
        (told(0x71, "Motion sensor status", 7, "", 7), Kind.motion, 1),
        (told(0x71, "Motion sensor status", 7, "", 8), Kind.motion, 1),
        # OpenZWave: home-assistant/core 7b17a8692ef1, tests/components/ozw/fixtures/binary_sensor.json
        (told(0x71, "Home Security", 7, "", 8), Kind.motion, 1),
        (told(0x71, "Home Security", 7, "", 0), Kind.motion, 0),
        (told(0x30, "Motion", 12, "", 1), Kind.motion, 1),
        (told(0x80, "level", None, "%", 64), Kind.battery_pct, 64),
        (told(0x80, "Battery Level", None, "%", 255), Kind.battery_pct, 0),
        (told(0x26, "currentValue", None, "", 0), Kind.level_pct, 0),
        (told(0x26, "currentValue", None, "", 98), Kind.level_pct, 98),
        (told(0x26, "currentValue", None, "", 99), Kind.level_pct, 100),
        (told(0x26, "Level", None, "", 255), Kind.level_pct, 100),
        # what cannot be is not judged here: the room's fold sets it aside, with the reason
        (told(0x31, "Air temperature", 1, "°C", 327.67), Kind.temperature_c, 327.67),
        (told(0x31, "Humidity", 5, "%", 255), Kind.humidity_pct, 255),
        (told(0x80, "level", None, "%", 101), Kind.battery_pct, 101),
        (told(0x26, "currentValue", None, "", 150), Kind.level_pct, 150),
    ],
)
def test_a_value_means(value: Value, kind: Kind, said: float) -> None:
    assert meaning(value, ANYBODY) == Meaning(kind, said)


@pytest.mark.parametrize("unit", ["°C", "°F"])
def test_what_is_no_number_stays_none(unit: str) -> None:
    said = meaning(told(0x31, "Air temperature", 1, unit, math.nan), ANYBODY)
    assert isinstance(said, Meaning)
    assert math.isnan(said.value)


@pytest.mark.parametrize(
    ("value", "reason", "says"),
    [
        (told(0x31, "Air temperature", 1, "K", 294), Reason.unknown_unit, "node 7.0: 'Air temperature'"),
        (told(0x31, "Air temperature", 1, "", 21), Reason.unknown_unit, "told in '', known are c, f"),
        (told(0x31, "Humidity", 5, "g/m³", 9), Reason.unknown_unit, "'g/m³', known are %"),
        (told(0x31, "Power", 4, "W", 3), Reason.unknown_kind, "type 4"),
        (told(0x31, "Power", None, "W", 3), Reason.unknown_kind, "'Power'"),
        (told(0x25, "currentValue", None, "", 1), Reason.unknown_kind, "command class 0x25"),
        (told(0x26, "targetValue", None, "", 40), Reason.unknown_kind, "'targetValue'"),
        (told(0x80, "isLow", None, "", 1), Reason.unknown_kind, "'isLow'"),
        (told(0x30, "Door/Window", 10, "", 1), Reason.unknown_kind, "type 10"),
        (told(0x30, "Any", 255, "", 1), Reason.unknown_kind, "type 255"),
        (told(0x31, "Air temperature", 1, "°C"), Reason.no_value, "has no value"),
        (told(0x26, "currentValue", None, "", 254), Reason.no_value, "says 254"),
        (told(0x71, "Home Security", 7, "", 3), Reason.not_an_event, "says 3"),
        (told(0x71, "Cover status", 7, "", 3), Reason.not_an_event, "nothing about motion"),
        (told(0x71, "Sensor status", 7, "", 2), Reason.not_an_event, "nothing about motion"),
        (told(0x71, "Motion sensor status", 6, "", 8), Reason.not_an_event, "nothing about motion"),
    ],
)
def test_a_value_is_ignored(value: Value, reason: Reason, says: str) -> None:
    said = meaning(value, ANYBODY)
    assert isinstance(said, Ignored)
    assert said.reason is reason
    assert says in said.detail


def test_motion_told_twice_counts_once_and_by_the_notification() -> None:
    multisensor = node("aeotec_zw100")  # as published: the notification says motion, the Binary Sensor says none
    motion = gettable(multisensor, 0, Kind.motion)
    assert motion is not None
    assert (motion.command_class, motion.number) == (0x71, 8)
    binary = next(value for value in multisensor.values if value.command_class == 0x30)
    assert meaning(binary, multisensor) == Meaning(Kind.motion, 0)
    assert (accepted(binary, multisensor, 0), accepted(motion, multisensor, 0)) == (False, True)


def test_a_notification_that_was_never_told_does_not_silence_the_binary_sensor() -> None:
    values = (told(0x71, "Motion sensor status", 7), told(0x30, "Motion", 12, number=1))
    silent = replace(ANYBODY, values=values)
    assert gettable(silent, 0, Kind.motion) is values[1]
    assert accepted(values[1], silent, 0)


def test_of_two_binary_sensors_the_one_that_says_motion_counts() -> None:
    typed, untyped = told(0x30, "Motion", 12, number=0), told(0x30, "Any", 255, number=1)
    a_node = replace(node("fibaro_fgms001"), values=(untyped, typed))
    assert gettable(a_node, 0, Kind.motion) is typed
    assert not accepted(untyped, a_node, 0)


def test_a_value_that_the_node_is_not_known_to_have_yet_counts() -> None:
    assert accepted(told(0x31, "Humidity", 5, "%", 40), ANYBODY, 0)
    assert not accepted(told(0x31, "Power", 4, "W", 40), ANYBODY, 0)


@pytest.mark.parametrize(
    ("name", "changes", "is_motion"),
    [
        ("aeotec_zw100", {}, True),
        ("aeotec_zw100", {"manufacturer_id": 0x016A}, True),  # Oomi sells the same device
        ("aeotec_zw100", {"product_id": 0x65}, False),
        ("fibaro_fgms001", {}, True),
        ("fibaro_fgms001", {"firmware": "3.1"}, True),
        ("fibaro_fgms001", {"firmware": "3.2"}, False),  # from there on a notification tells it
        ("fibaro_fgms001", {"firmware": ""}, True),
        ("fibaro_fgms001", {"product_type": 0x0900}, False),
        ("ecolink_dwzwave2", {}, False),  # a door
    ],
)
def test_a_binary_sensor_of_no_type_is_motion_where_the_product_is_known_for_it(
    name: str, changes: dict[str, Any], is_motion: bool
) -> None:
    a_node = replace(node(name), **changes)
    untyped = next(value for value in a_node.values if value.command_class == 0x30)
    assert isinstance(meaning(untyped, a_node), Meaning) is is_motion


def test_every_quirk_names_its_source() -> None:
    assert all(".json" in quirk.source for quirk in QUIRKS)
    assert len({quirk.source for quirk in QUIRKS}) == len(QUIRKS)


def test_the_root_has_what_one_endpoint_alone_tells_and_not_what_two_do() -> None:
    thermostat = node("radio_thermostat_ct100_plus")
    temperature = gettable(thermostat, 0, Kind.temperature_c)
    assert temperature is not None
    assert temperature.endpoint == 1
    assert accepted(temperature, thermostat, 0)
    assert gettable(thermostat, 2, Kind.temperature_c) is None
    assert gettable(node("heatit_ztrm3"), 0, Kind.temperature_c) is None


def test_a_device_at_an_endpoint_has_the_battery_of_its_node() -> None:
    values = (told(0x80, "level", None, "%", 70), told(0x31, "Humidity", 5, "%", 40, endpoint=1))
    a_node = replace(ANYBODY, values=values)
    assert device_kinds(a_node, 1) == (Kind.humidity_pct, Kind.battery_pct)
    assert accepted(values[0], a_node, 1)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (
            {"endpoint": 1, "commandClass": 0x31, "property": "Humidity", "value": 40,
             "metadata": {"unit": "%", "ccSpecific": {"sensorType": 5, "scale": 0}}},
            Value(9, 1, 0x31, "Humidity", 5, "%", 40.0),
        ),
        (
            {"commandClass": 0x71, "property": "Home Security", "propertyName": "Home Security", "propertyKey": 3,
             "propertyKeyName": "Cover status", "metadata": {"ccSpecific": {"notificationType": 7}}, "value": 3},
            Value(9, 0, 0x71, "Cover status", 7, "", 3.0),
        ),
        ({"endpoint": 0, "commandClass": 0x30, "property": "Any", "value": True}, Value(9, 0, 0x30, "Any", None, "", 1.0)),
        ({"endpoint": 0, "commandClass": 0x26, "property": "currentValue"}, Value(9, 0, 0x26, "currentValue")),
        ({"endpoint": 0, "commandClass": 0x26, "property": "currentValue", "value": "unknown"}, Value(9, 0, 0x26, "currentValue")),
        ({"endpoint": 0, "commandClass": 0x26, "property": "targetValue", "value": 20}, None),
        ({"endpoint": 0, "commandClass": 0x80, "property": "isLow", "value": True}, None),
        ({"endpoint": 0, "commandClass": 0x70, "property": 4, "propertyKey": 255, "value": 1}, None),
    ],
)  # fmt: skip
def test_a_value_of_zwave_js_is(data: dict[str, Any], value: Value | None) -> None:
    assert value_of_zwave_js(9, data) == value
