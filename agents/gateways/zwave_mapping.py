"""Z-Wave values of the building's devices: what a node's value says as a reading, and which of its values tell a kind. Pure.

Follows Silicon Labs SDS13781 (application command classes) and SDS13713 (their numbers); single products, `zwave_quirks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

from agents.gateways.zwave_levels import from_wire
from agents.gateways.zwave_quirks import quirks_of
from schemas.errors import BuildingError
from schemas.records import Device, DeviceRole, Kind

REPORTS = {
    DeviceRole.multisensor: (Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.motion, Kind.battery_pct),
    DeviceRole.dimmer: (Kind.level_pct,),
}
"""What the nodes of the simulated building tell, by role."""
TAKES = {DeviceRole.dimmer: Kind.level_pct}
"""Multilevel Switch (0x26) targetValue."""


class NotOnZwave(BuildingError):
    """A device or kind that has no Z-Wave value."""

    reason = "not_on_zwave"


Address = tuple[int, int, str, int | None]
"""Endpoint, command class, name, type."""


class Value(Struct, frozen=True):
    """One value of a node as a driver tells it, before anybody says what it means."""

    node_id: int
    endpoint: int
    command_class: int
    """Its number: 0x31 Multilevel Sensor, 0x30 Binary Sensor, 0x71 Notification, 0x80 Battery, 0x26 Multilevel Switch."""
    name: str
    """Z-Wave JS's property, or the key of it where it has one ("currentValue", "Air temperature", "Motion sensor status")."""
    type: int | None = None
    """Sensor type of 0x31 and 0x30, notification type of 0x71, by number."""
    unit: str = ""
    """As the driver has it: "°C", "F", "Lux", "%"."""
    number: float | None = None
    """None: the node has not told it, or says that it is unknown. A notification's is the event; true is 1."""

    @property
    def address(self) -> Address:
        """Which of its node's values it is."""
        return self.endpoint, self.command_class, self.name, self.type


class Status(StrEnum):
    """Whether a node can be reached."""

    unknown = "unknown"
    alive = "alive"
    asleep = "asleep"
    awake = "awake"
    dead = "dead"


class Node(Struct, frozen=True):
    """A node as its network knows it."""

    node_id: int
    status: Status
    ready: bool
    """Interviewed: its values are known."""
    listening: bool
    """Mains-powered, or a battery device that wakes at a beam: it can be reached at any time. Else it sleeps."""
    stage: str = ""
    """How far the interview is, for people."""
    manufacturer_id: int | None = None
    product_type: int | None = None
    product_id: int | None = None
    firmware: str = ""
    manufacturer: str = ""
    product: str = ""
    device_class: str = ""
    """The specific one in its network's words, such as "Multilevel Power Switch"; OpenZWave has a Plus node's device type."""
    values: tuple[Value, ...] = ()


def value_address(device: Device, kind: Kind) -> str:
    """Name a value of a node as "node/kind". Raises `NotOnZwave`."""
    if device.zwave_node is None or kind not in REPORTS.get(device.role, ()):
        raise NotOnZwave(f"device {device.device_id} ({device.role}) has no {kind} on Z-Wave")
    return f"{device.zwave_node}/{kind}"


class Meaning(Struct, frozen=True):
    """What a value says, in the unit of its kind. NaN and the impossible stay as told: the room's fold sets them aside."""

    kind: Kind
    value: float


class Reason(StrEnum):
    """Why a value is no reading."""

    unknown_unit = "unknown_unit"
    unknown_kind = "unknown_kind"
    no_value = "no_value"
    not_an_event = "not_an_event"
    """A notification that says nothing about motion, such as tampering."""


class Ignored(Struct, frozen=True):
    """A value that is no reading, and why."""

    reason: Reason
    detail: str


Rule = tuple[Kind, Callable[[float], float | Reason]]
"""The kind a value tells, and the way from its number to the kind's unit, or why there is none."""

ROOT = 0
MULTILEVEL_SWITCH, BINARY_SENSOR, MULTILEVEL_SENSOR, NOTIFICATION, BATTERY = 0x26, 0x30, 0x31, 0x71, 0x80
_MOTION, _UNTYPED = 12, (None, 0, 255)
"""Sensor types of Binary Sensor. Version 1 has none: Z-Wave JS says "Any" (255), OpenZWave 0."""
_HOME_SECURITY = 7
_EVENTS: dict[float, float] = {0: 0.0, 7: 1.0, 8: 1.0}
"""Of Home Security: idle; motion, with and without a location. The others are tampering, intrusion, broken glass."""
_NAMES = {
    NOTIFICATION: frozenset({"Motion sensor status", "Home Security"}),
    BATTERY: frozenset({"level", "Battery Level"}),
    MULTILEVEL_SWITCH: frozenset({"currentValue", "Level"}),
}
"""Z-Wave JS's, then OpenZWave's, which has one value for a notification type."""
_LOW_BATTERY, _LEVEL_UNKNOWN = 255, 254
_ORDER = (NOTIFICATION, BINARY_SENSOR, MULTILEVEL_SENSOR, MULTILEVEL_SWITCH, BATTERY)
"""Of two command classes that tell a kind the earlier counts: a notification says what it is about."""
KINDS = (
    Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.illuminance_pct, Kind.co2_ppm, Kind.motion, Kind.level_pct,
    Kind.battery_pct,
)  # fmt: skip
"""What a node may tell."""


def _same(number: float) -> float:
    return number


def _celsius(fahrenheit: float) -> float:
    return round((fahrenheit - 32) * 5 / 9, 2)  # a tenth of a degree Fahrenheit is 0.056 K


def _event(number: float) -> float | Reason:
    return _EVENTS.get(number, Reason.not_an_event)


def _charge(number: float) -> float:
    return 0.0 if number == _LOW_BATTERY else number


def _level(number: float) -> float | Reason:
    if number == _LEVEL_UNKNOWN:
        return Reason.no_value
    level = from_wire(number)
    return number if level is None else level


SENSORS: dict[int, dict[str, Rule]] = {
    1: {"c": (Kind.temperature_c, _same), "f": (Kind.temperature_c, _celsius)},
    3: {"lux": (Kind.illuminance_lx, _same), "lx": (Kind.illuminance_lx, _same), "%": (Kind.illuminance_pct, _same)},
    5: {"%": (Kind.humidity_pct, _same)},
    17: {"ppm": (Kind.co2_ppm, _same)},
}
"""Sensor types of Multilevel Sensor by unit, without "°" and in lower case: air temperature, luminance, humidity, CO2."""


def endpoint_of(device: Device) -> int:
    """Where a device is on its node: the root, where nothing else is said."""
    return ROOT if device.zwave_endpoint is None else device.zwave_endpoint


def meaning(value: Value, node: Node) -> Meaning | Ignored:
    """What a value that a node told says, or why it says nothing."""
    rule = _rule(value, node)
    if isinstance(rule, Ignored):
        return rule
    if value.number is None:
        return Ignored(Reason.no_value, f"{_called(value)} has no value")
    kind, convert = rule
    said = convert(value.number)
    return Ignored(said, f"{_called(value)} says {value.number:g}") if isinstance(said, Reason) else Meaning(kind, said)


def kind_of(value: Value, node: Node) -> Kind | None:
    """The kind a value tells, told yet or not; None where no rule reads it."""
    rule = _rule(value, node)
    return None if isinstance(rule, Ignored) else rule[0]


def gettable(node: Node, endpoint: int, kind: Kind) -> Value | None:
    """The value to ask for a kind of the device at an endpoint: the best where several tell it, None where none does.

    The device at the root has besides what one endpoint alone tells; the one at an endpoint, the node's battery.
    """
    return _best((value for value in node.values if kind_of(value, node) is kind), endpoint, kind)


def accepted(value: Value, node: Node, endpoint: int) -> bool:
    """Whether a value counts for the device at an endpoint: of several that tell its kind only the best does."""
    kind = kind_of(value, node)
    if kind is None:
        return False
    others = (each for each in node.values if kind_of(each, node) is kind)
    return _best((value, *others), endpoint, kind) is value  # of equals, itself as it was before among them, the first is best


def device_kinds(node: Node, endpoint: int) -> tuple[Kind, ...]:
    """The kinds a device at an endpoint tells."""
    return tuple(kind for kind in KINDS if gettable(node, endpoint, kind) is not None)


def _best(telling: Iterable[Value], endpoint: int, kind: Kind) -> Value | None:
    """The best value of those that tell the kind; one that has been told comes before one that never was."""
    found = list(telling)
    here = [value for value in found if value.endpoint == endpoint]
    if not here and (kind is Kind.battery_pct or (endpoint == ROOT and len({value.endpoint for value in found}) == 1)):
        here = found
    return min(here, key=_preference, default=None)


def _preference(value: Value) -> tuple[bool, int, bool]:
    return value.number is None, _ORDER.index(value.command_class), value.type in _UNTYPED


def _rule(value: Value, node: Node) -> Rule | Ignored:
    command_class, named = value.command_class, value.name in _NAMES.get(value.command_class, ())
    if command_class == MULTILEVEL_SENSOR:
        return _sensor(value)
    if command_class == NOTIFICATION:
        if value.type == _HOME_SECURITY and named:
            return Kind.motion, _event
        return Ignored(Reason.not_an_event, f"{_called(value)} says nothing about motion")
    if command_class == BINARY_SENSOR and (value.type == _MOTION or (value.type in _UNTYPED and _untyped_is_motion(node))):
        return Kind.motion, _same
    if command_class == BATTERY and named:
        return Kind.battery_pct, _charge
    if command_class == MULTILEVEL_SWITCH and named:
        return Kind.level_pct, _level
    return Ignored(Reason.unknown_kind, f"no rule reads {_called(value)}")


def _sensor(value: Value) -> Rule | Ignored:
    units = None if value.type is None else SENSORS.get(value.type)
    if units is None:
        return Ignored(Reason.unknown_kind, f"no rule reads {_called(value)}")
    rule = units.get(value.unit.strip().removeprefix("°").lower())
    return rule or Ignored(Reason.unknown_unit, f"{_called(value)} is told in {value.unit!r}, known are {', '.join(units)}")


def _untyped_is_motion(node: Node) -> bool:
    quirks = quirks_of(node.manufacturer_id, node.product_type, node.product_id, node.firmware)
    return any(quirk.untyped_is_motion for quirk in quirks)


def _called(value: Value) -> str:
    of_type = "" if value.type is None else f", type {value.type}"
    return f"node {value.node_id}.{value.endpoint}: {value.name!r} (command class {value.command_class:#04x}{of_type})"
