"""Nodes and values as the OpenZWave child tells them (infra/zwave/openzwave_child.py) as `Node` and `Value`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agents.gateways.zwave_mapping import Node, Status, Value


def value_of_openzwave(message: Mapping[str, Any]) -> Value:
    """The value of a "known" or "value" message, whose fields are a `Value`'s but for the node's name."""
    return Value(
        node_id=message["node"],
        endpoint=message["endpoint"],
        command_class=message["command_class"],
        name=message["name"],
        type=message["type"],
        unit=message["unit"],
        number=message["number"],
    )


def node_of_openzwave(message: Mapping[str, Any], values: Iterable[Value]) -> Node:
    """The node of a "node" message."""
    return Node(
        node_id=message["node"],
        status=Status(message["status"]),
        ready=message["ready"],
        listening=message["listening"],
        stage=message["stage"],
        manufacturer_id=message["manufacturer_id"],
        product_type=message["product_type"],
        product_id=message["product_id"],
        firmware=message["firmware"],
        manufacturer=message["manufacturer"],
        product=message["product"],
        device_class=message["device_class"],
        values=tuple(values),
    )
