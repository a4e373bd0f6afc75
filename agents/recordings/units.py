"""The kinds a recording can have and the units its columns may stand in, each with how to get to the kind's own."""

from __future__ import annotations

from msgspec import Struct

from schemas.records import Kind


class Unit(Struct, frozen=True):
    """`kind's value = value * factor + offset`; `over` instead: 1 where the value is above it, else 0."""

    factor: float = 1.0
    offset: float = 0.0
    over: float | None = None

    def convert(self, value: float) -> float:
        """The value in the unit its kind names."""
        if self.over is not None:
            return 1.0 if value > self.over else 0.0
        if self.factor == 1.0 and self.offset == 0.0:
            return value  # bit for bit what the file says
        return value * self.factor + self.offset


_PERCENT = {"pct": Unit(), "fraction": Unit(factor=100.0)}
_FLAG = {"flag": Unit(), "count": Unit(over=0.0)}
UNITS: dict[Kind, dict[str, Unit]] = {
    Kind.temperature_c: {"degC": Unit(), "degF": Unit(factor=5 / 9, offset=-160 / 9), "K": Unit(offset=-273.15)},
    Kind.humidity_pct: _PERCENT,
    Kind.illuminance_lx: {"lx": Unit(), "klx": Unit(factor=1000.0), "fc": Unit(factor=10.763910416709722)},  # 1/0.3048 m squared
    Kind.co2_ppm: {"ppm": Unit(), "pct": Unit(factor=10_000.0)},
    Kind.motion: _FLAG,
    Kind.occupancy_reference: _FLAG,
    Kind.battery_pct: _PERCENT,
}
"""By kind: unit names as a mapping writes them; the first is the kind's own and the default."""

WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "on": 1.0, "off": 0.0}
"""What a flag may be written as beside 0 and 1."""
