"""Nodes that others have published, reduced to the facts a mapping needs; each file names its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agents.gateways.zwave_js_values import value_of_zwave_js
from agents.gateways.zwave_mapping import Node, Status

FOLDER = Path(__file__).parent / "nodes"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
_STATUS = {1: Status.asleep, 2: Status.awake, 4: Status.alive}
"""zwave-js, packages/zwave-js/src/lib/node/_Types.ts, NodeStatus."""


def facts(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def node(name: str) -> Node:
    told = facts(name)
    about = told["node"]
    values = (value_of_zwave_js(about["nodeId"], data) for data in told["values"])
    return Node(
        node_id=about["nodeId"], status=_STATUS[about["status"]], ready=True,
        listening=about["isListening"] or about["isFrequentListening"], manufacturer_id=about["manufacturerId"],
        product_type=about["productType"], product_id=about["productId"], firmware=about["firmwareVersion"],
        manufacturer=about["manufacturer"], product=about["label"], device_class=about["deviceClass"],
        values=tuple(value for value in values if value is not None),
    )  # fmt: skip
