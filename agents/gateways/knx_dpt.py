"""KNX datapoint types as bytes and numbers, after KNX v02.02.01 - Datapoint Types 03.07.02. Pure.

A raw value is an int for the six bits that travel in the telegram's own byte (DPT 1), else a tuple of bytes.
"""

from __future__ import annotations

from msgspec import Struct

from schemas.errors import BuildingError

Raw = int | tuple[int, ...]
_INVALID_FLOAT = 0x7FFF
"""§3.10: the float that says «no valid data»."""


class NotThatDpt(BuildingError):
    """Bytes that are no value of the datapoint type, or a value it cannot say."""

    reason = "not_that_dpt"


class Dpt(Struct, frozen=True):
    """One datapoint type: its number, its unit, how many bytes (0: six bits in the telegram's own), its range."""

    number: str
    unit: str
    size: int
    low: float
    high: float


def _two_byte_float(number: str, unit: str, low: float, high: float = 670_433.28) -> Dpt:
    return Dpt(number, unit, 2, low, high)


DPTS = {
    dpt.number: dpt
    for dpt in (
        Dpt("1.005", "1 = alarm", 0, 0, 1),
        Dpt("1.007", "0 = decrease, 1 = increase", 0, 0, 1),
        Dpt("1.008", "0 = up, 1 = down", 0, 0, 1),
        Dpt("1.010", "0 = stop, 1 = start", 0, 0, 1),
        Dpt("1.018", "1 = occupied", 0, 0, 1),
        Dpt("1.019", "1 = open", 0, 0, 1),
        Dpt("5.001", "%", 1, 0, 100),
        _two_byte_float("9.001", "°C", -273),
        _two_byte_float("9.004", "lx", 0),
        _two_byte_float("9.005", "m/s", 0),
        _two_byte_float("9.007", "%", 0),
        _two_byte_float("9.008", "ppm", 0),
        Dpt("20.102", "0 auto, 1 comfort, 2 standby, 3 economy, 4 building protection", 1, 0, 4),
    )
}


def dpt(number: str) -> Dpt:
    """The datapoint type of this number, as "5.001". Raises `NotThatDpt`."""
    if number not in DPTS:
        raise NotThatDpt(f"DPT {number} is not known here: there are {', '.join(DPTS)}")
    return DPTS[number]


def encode(number: str, value: float) -> Raw:
    """A value in the type's unit as it goes on the bus. Raises `NotThatDpt`."""
    kind = dpt(number)
    if not kind.low <= value <= kind.high:
        raise NotThatDpt(f"{value:g} is no value of DPT {number}: it goes from {kind.low:g} to {kind.high:g} ({kind.unit})")
    match kind.size:
        case 0:
            return round(value)
        case 1:
            return (_byte(number, value),)
        case _:
            return _float_bytes(value)


def decode(number: str, raw: Raw) -> float:
    """The number on the bus, in the type's unit; a percentage is whole, as the byte is no finer. Raises `NotThatDpt`."""
    kind = dpt(number)
    size = 0 if isinstance(raw, int) else len(raw)
    if size != kind.size:
        raise NotThatDpt(f"{_sized(size)} is no DPT {number}, which has {_sized(kind.size)}: compare the DPT with the ETS project")
    if isinstance(raw, int):
        value: float = raw & 1
    elif number == "5.001":
        value = float(round(raw[0] * 100 / 255))
    elif kind.size == 1:
        value = float(raw[0])
    else:
        value = _float_of(number, raw)
    if not kind.low <= value <= kind.high:
        raise NotThatDpt(f"{value:g} is no value of DPT {number}: it goes from {kind.low:g} to {kind.high:g} ({kind.unit})")
    return value


def _byte(number: str, value: float) -> int:
    """§3.7 (5.001: 0-255 are 0-100 %) and §3.21 (20.102: an enumeration)."""
    return round(value * 255 / 100) if number == "5.001" else round(value)


def _float_bytes(value: float) -> tuple[int, ...]:
    """§3.10: 0.01 * mantissa * 2 ** exponent, the mantissa 11 bits and a sign, the smallest exponent that fits."""
    hundredths, exponent = value * 100, 0
    while not -2048 <= round(hundredths) <= 2047:
        hundredths /= 2
        exponent += 1
    mantissa = round(hundredths) & 0xFFF
    return (mantissa >> 11 << 7 | exponent << 3 | mantissa >> 8 & 0x07, mantissa & 0xFF)


def _float_of(number: str, raw: tuple[int, ...]) -> float:
    word = raw[0] << 8 | raw[1]
    if word == _INVALID_FLOAT:
        raise NotThatDpt(f"the sender says that it has no valid value (DPT {number}, 7FFF)")
    mantissa = word & 0x7FF
    if word & 0x8000:
        mantissa -= 0x800
    return round(mantissa * (1 << (word >> 11 & 0x0F)) / 100, 2)


def _sized(size: int) -> str:
    return f"{size} byte{'s' if size > 1 else ''}" if size else "a single bit"
