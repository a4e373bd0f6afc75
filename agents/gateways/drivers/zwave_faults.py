"""What is wrong with a node that devices of the building are at, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agents.gateways import zwave_mapping
from agents.gateways.zwave_mapping import Node
from schemas.records import Device, DeviceRole, Kind


def faults(node_id: int, node: Node | None, devices: Sequence[Device], *, silent: bool) -> Iterator[str]:
    """Each thing that is wrong. A node whose interview is not over is no fault: it takes its time."""
    named = ", ".join(f"device {device.device_id}, {device.name}" for device in devices)
    if node is None:
        yield f"there is no node {node_id} ({named}) in the Z-Wave network"
    elif silent:
        yield f"Z-Wave node {node_id} ({named}) does not answer"
    elif node.ready:
        for device in devices:
            endpoint = zwave_mapping.endpoint_of(device)
            kinds = zwave_mapping.device_kinds(node, endpoint)
            if device.role is DeviceRole.dimmer and Kind.level_pct not in kinds:
                yield f"device {device.device_id}: node {node_id} is no dimmer at endpoint {endpoint}"
            elif not kinds:
                yield f"device {device.device_id}: node {node_id} tells nothing known at endpoint {endpoint}"
