"""The floor being played: state, telegrams in, reports out, counts. No I/O, no clock: `server` says when a tick has passed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from math import ceil
from random import Random
from typing import NamedTuple

from infra.simulator import room as physics
from infra.simulator.floor import Floor, measure, new_floor, set_target, step, sun_over
from infra.simulator.reporting import Object, Spoken, due
from infra.simulator.wiring import BY_OBJECT, BY_STATUS, BY_WRITE, POINTS, Point
from schemas.records import Bus

TICK_S = 0.25
_LONGEST_STEP_S = 1.0


class Count(NamedTuple):
    """What a device got: telegrams with a target, and how many of them changed its target."""

    telegrams: int = 0
    changes: int = 0


class Play:
    """One run of the building, the same for the same seed, start, ticks and telegrams."""

    def __init__(self, seed: int, start_at: datetime, speed: float) -> None:
        self._rng = Random(seed)
        self._speed = speed
        self.floor: Floor = new_floor(start_at, self._rng)
        self._spoken: dict[Object, Spoken] = {}
        self.counts: dict[int, Count] = {point.device_id: Count() for point in POINTS if point.write is not None}

    def tick(self) -> None:
        """Let `TICK_S` of real time pass."""
        span_s = TICK_S * self._speed
        steps = ceil(span_s / _LONGEST_STEP_S)
        for _ in range(steps):
            self.floor = step(self.floor, span_s / steps, self._rng)

    def write(self, bus: Bus, address: str, target_pct: float) -> None:
        """A telegram with a target. Raises `KeyError` for an address nobody listens to."""
        point = BY_WRITE[bus, address]
        room = next(room for room in self.floor.rooms if room.number == point.room)
        changed = physics.target_of(room, point.kind) != target_pct
        count = self.counts[point.device_id]
        self.counts[point.device_id] = Count(count.telegrams + 1, count.changes + changed)
        self.floor = set_target(self.floor, point.room, point.kind, target_pct)

    def read(self, bus: Bus, address: str) -> float:
        """The present value. Raises `KeyError` for an address nobody answers on."""
        point = BY_STATUS[bus, address]
        room = next(room for room in self.floor.rooms if room.number == point.room)
        return measure(self.floor, room, sun_over(self.floor))[point.kind]

    def reports(self) -> Iterator[tuple[Point, float]]:
        """What the devices have to say now; each is told once."""
        for key, spoken in list(due(self.floor, self._spoken)):
            self._spoken[key] = spoken
            yield BY_OBJECT[key], spoken.value

    def present(self, bus: Bus) -> Iterator[tuple[Point, float]]:
        """Every value on a bus, for a gateway that has just connected."""
        sun = sun_over(self.floor)
        for room in self.floor.rooms:
            for kind, value in measure(self.floor, room, sun).items():
                point = BY_OBJECT[room.number, kind]
                if point.bus is bus:
                    yield point, value
