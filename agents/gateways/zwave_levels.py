"""Levels of a Multilevel Switch (0x26): percent on our side, 0 to 99 on the wire. Pure.

Silicon Labs SDS13781, "Multilevel Switch Command Class": 0x00 is off, 0x01 to 0x63 are 1 to 100 % linear, 0xFF in a Set means "the
most recent level", in a Report of version 1 to 3 devices "on, 100 %"; 0xFE in a Report means that the node does not know.
"""

from __future__ import annotations

FULL = 99
_ON, _UNKNOWN = 255, 254


def to_wire(level_pct: float) -> int:
    """The level to send that comes back nearest; 100 % is 99, so 98.6 % is 98. Never 255, which brings back an earlier level."""
    return FULL if level_pct >= FULL else max(0, min(FULL - 1, round(level_pct)))


def from_wire(wire: float) -> float | None:
    """Percent of a reported level; None where the node does not know it, or it is none."""
    if wire in (FULL, 100, _ON):
        return 100.0
    return float(wire) if 0 <= wire < FULL else None
