"""Which devices a node could be."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agents.gateways.zwave_mapping import Node, Status, Value
from agents.gateways.zwave_proposal import Proposed, proposal
from schemas.records import DeviceRole, Kind
from tests.unit.gateways.zwave_nodes import NAMES, node

SENSOR, DIMMER = DeviceRole.multisensor, DeviceRole.dimmer


def level(endpoint: int) -> Value:
    return Value(7, endpoint, 0x26, "currentValue", number=0)


def temperature(endpoint: int) -> Value:
    return Value(7, endpoint, 0x31, "Air temperature", 1, "°C", 20)


def with_values(*values: Value, product: str = "Thing", device_class: str = "") -> Node:
    return Node(7, Status.alive, ready=True, listening=True, product=product, device_class=device_class, values=values)


PUBLISHED = {
    "aeotec_zw100": [(0, SENSOR, "ZW100")],
    "vision_zp3111": [(0, SENSOR, "ZP3111-5")],
    "express_controls_ezmultipli": [(0, SENSOR, "EZMultiPli")],
    "zooz_zse44": [(0, SENSOR, "ZSE44")],
    "radio_thermostat_ct100_plus": [(0, SENSOR, "CT100 Plus")],
    "heatit_ztrm3": [(2, SENSOR, "Heatit Z-TRM3 2"), (3, SENSOR, "Heatit Z-TRM3 3"), (4, SENSOR, "Heatit Z-TRM3 4")],
    "fibaro_fgms001": [(0, SENSOR, "FGMS001")],
    "ecolink_dwzwave2": [],  # a door contact: only its battery is known
    "eaton_rf9640": [(0, DIMMER, "RF9640")],
    "ge_zw3005": [(0, DIMMER, "14294 / ZW3005")],
    "inovelli_lzw36": [(1, DIMMER, "LZW36 1"), (2, DIMMER, "LZW36 2")],
    "shelly_wave_shutter": [],  # its Multilevel Switches are shutter and slats
}


@pytest.mark.parametrize("name", NAMES)
def test_a_published_node_is_proposed_as(name: str) -> None:
    assert [(each.endpoint, each.role, each.name) for each in proposal(node(name))] == PUBLISHED[name]


def test_a_dimmer_with_a_sensor_at_the_same_endpoint_is_one_device() -> None:
    assert proposal(with_values(level(0), temperature(0))) == (Proposed(0, DIMMER, (Kind.temperature_c, Kind.level_pct), "Thing"),)


def test_the_root_of_two_gangs_is_a_device_only_by_what_they_do_not_tell() -> None:
    gangs = (Proposed(1, DIMMER, (Kind.level_pct,), "Thing 1"), Proposed(2, DIMMER, (Kind.level_pct,), "Thing 2"))
    assert proposal(with_values(level(0), level(1), level(2))) == gangs
    assert proposal(with_values(level(0), level(1), level(2), temperature(0))) == (
        Proposed(0, SENSOR, (Kind.temperature_c,), "Thing"), *gangs,
    )  # fmt: skip


def test_a_gang_beside_a_single_sensor_leaves_the_sensor_to_the_root() -> None:
    assert [(each.endpoint, each.kinds) for each in proposal(with_values(level(1), level(2), temperature(3)))] == [
        (0, (Kind.temperature_c,)), (1, (Kind.level_pct,)), (2, (Kind.level_pct,)),
    ]  # fmt: skip


def test_a_node_of_no_known_product_is_called_by_its_number() -> None:
    assert proposal(with_values(level(0), product=""))[0].name == "node 7"


@pytest.mark.parametrize("device_class", ["Motor Control Class A", "Window Covering Endpoint Aware", "Fan Switch"])
def test_what_moves_a_shutter_or_a_fan_is_no_dimmer_and_keeps_its_sensors(device_class: str) -> None:
    mover = with_values(level(0), temperature(0), device_class=device_class)
    assert proposal(mover) == (Proposed(0, SENSOR, (Kind.temperature_c,), "Thing"),)
    assert proposal(replace(mover, values=(level(0),))) == ()
