"""Which devices a Z-Wave node could be adopted as. Pure."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from agents.gateways.zwave_mapping import ROOT, Node, device_kinds, kind_of
from schemas.records import DeviceRole, Kind

NOT_LAMPS = frozenset(
    {
        "Fan Switch", "Motor Control Class A", "Motor Control Class B", "Motor Control Class C", "Multiposition Motor",
        "Window Covering Endpoint Aware", "Window Covering No Position/Endpoint", "Window Covering Position/Endpoint Aware",
    }
)  # fmt: skip
"""Device classes whose Multilevel Switch moves a shutter or a fan: zwave-js 15.29.0, packages/core/src/registries/DeviceClasses.ts,
and OpenZWave 1.6, config/device_classes.xml, which names the device type of a Z-Wave Plus node instead."""


class Proposed(Struct, frozen=True):
    """A device as it could be adopted: where on the node, as what, and which kinds it tells."""

    endpoint: int
    role: DeviceRole
    kinds: tuple[Kind, ...]
    name: str


def proposal(node: Node) -> tuple[Proposed, ...]:
    """A device at the root; or one for each endpoint where several tell the same kind (two gangs, two probes).

    There the root often mirrors its endpoints, so it is a device of its own only with what none of them tells. What tells nothing
    but its battery is no device.
    """
    gangs = _gangs(node)
    if not gangs:
        return _at(node, ROOT, device_kinds(node, ROOT), node.product or f"node {node.node_id}")
    of_gangs = {kind for gang in gangs for kind in device_kinds(node, gang)}
    rest = tuple(kind for kind in device_kinds(node, ROOT) if kind not in of_gangs)
    name = node.product or f"node {node.node_id}"
    return (
        *_at(node, ROOT, rest, name),
        *(device for gang in gangs for device in _at(node, gang, device_kinds(node, gang), f"{name} {gang}")),
    )


def _gangs(node: Node) -> list[int]:
    """Endpoints that tell a kind which another one tells as well."""
    told = {(value.endpoint, kind) for value in node.values if value.endpoint != ROOT and (kind := kind_of(value, node))}
    counted = Counter(kind for _, kind in told)
    return sorted({endpoint for endpoint, kind in told if counted[kind] > 1})


def _at(node: Node, endpoint: int, told: tuple[Kind, ...], name: str) -> tuple[Proposed, ...]:
    kinds = tuple(kind for kind in told if kind is not Kind.level_pct or node.device_class not in NOT_LAMPS)
    if set(kinds) <= {Kind.battery_pct}:
        return ()
    role = DeviceRole.dimmer if Kind.level_pct in kinds else DeviceRole.multisensor
    return (Proposed(endpoint, role, kinds, name),)
