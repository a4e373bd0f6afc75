"""A value as the Z-Wave JS server tells it (its value id, metadata and value) as a `Value`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.gateways.zwave_mapping import BATTERY, BINARY_SENSOR, MULTILEVEL_SENSOR, MULTILEVEL_SWITCH, NOTIFICATION, ROOT, Value

_ALL: frozenset[str] = frozenset()
_READ = {
    MULTILEVEL_SWITCH: frozenset({"currentValue"}),
    BINARY_SENSOR: _ALL,
    MULTILEVEL_SENSOR: _ALL,
    NOTIFICATION: _ALL,
    BATTERY: frozenset({"level"}),
}
"""By command class the properties that may be a reading; others are what was asked for (targetValue, duration) or settings."""


def value_of_zwave_js(node_id: int, data: Mapping[str, Any]) -> Value | None:
    """The value; None where it is of no command class and property that a rule speaks of."""
    command_class, prop = data["commandClass"], str(data["property"])
    names = _READ.get(command_class)
    if names is None or (names and prop not in names):
        return None
    metadata = data.get("metadata") or {}
    specific = metadata.get("ccSpecific") or {}
    return Value(
        node_id=node_id,
        endpoint=data.get("endpoint") or ROOT,
        command_class=command_class,
        name=str(data.get("propertyKeyName") or data.get("propertyKey") or data.get("propertyName") or prop),
        type=specific.get("notificationType" if command_class == NOTIFICATION else "sensorType"),
        unit=metadata.get("unit") or "",
        number=_number(data.get("value")),
    )


def unread(node_id: int, data: Mapping[str, Any]) -> Value | None:
    """A value of a command class that no rule reads: so that it is counted. None: a detail of one that is read."""
    if data["commandClass"] in _READ:
        return None
    return Value(node_id, data.get("endpoint") or ROOT, data["commandClass"], str(data["property"]))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
