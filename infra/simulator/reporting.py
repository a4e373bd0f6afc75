"""When a device speaks: every so often, or when its value has changed enough. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from infra.simulator.floor import Floor, measure, sun_over
from schemas.records import Kind

Object = tuple[int, Kind]
"""A value in the building: room number and kind."""


class Manner(Struct, frozen=True):
    """How a kind is reported: at least every `every_s`; earlier on a change of at least `change` or `share` of the last value."""

    every_s: float
    change: float
    share: float = 0.0
    moving_every_s: float = 0.0


MANNERS = {
    Kind.temperature_c: Manner(every_s=5, change=0.5),
    Kind.humidity_pct: Manner(every_s=5, change=2.0),
    Kind.illuminance_lx: Manner(every_s=5, change=10.0, share=0.1),
    Kind.motion: Manner(every_s=5, change=1.0),
    Kind.battery_pct: Manner(every_s=3600, change=5.0),
    Kind.valve_pct: Manner(every_s=60, change=0.1),
    Kind.closed_pct: Manner(every_s=60, change=0.1, moving_every_s=2.0),
    Kind.level_pct: Manner(every_s=60, change=0.1),
}


class Spoken(Struct, frozen=True):
    """What an object last reported, and when."""

    value: float
    at_s: float
    travelling: bool = False


def due(floor: Floor, spoken: Mapping[Object, Spoken]) -> Iterator[tuple[Object, Spoken]]:
    """The reports to be sent now; the caller keeps them in `spoken`."""
    sun = sun_over(floor)
    for room in floor.rooms:
        for kind, value in measure(floor, room, sun).items():
            travelling = kind is Kind.closed_pct and room.travelling
            last = spoken.get((room.number, kind))
            if last is None or _speaks(MANNERS[kind], last, value, floor.elapsed_s, travelling=travelling):
                yield (room.number, kind), Spoken(value=value, at_s=floor.elapsed_s, travelling=travelling)


def _speaks(manner: Manner, last: Spoken, value: float, now_s: float, *, travelling: bool) -> bool:
    waited_s = now_s - last.at_s
    if last.travelling and not travelling:  # it has arrived
        return True
    changed = abs(value - last.value) >= max(manner.change, manner.share * last.value)
    return waited_s >= manner.every_s or (changed and not (travelling and waited_s < manner.moving_every_s))
