"""The 2020 project's rules as they were: each reading decides at once, by one limit, with no memory but the last command."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from schemas.records import Kind

_DAY = range(7, 19)
_ZONE = ZoneInfo("Europe/Zurich")


class NaiveRoom:
    """Takes readings, gives targets: every change of a target is a command."""

    def __init__(self) -> None:
        self._motion = False
        self._dark = False
        self._humid = False
        self._targets: dict[Kind, float] = {}

    def take(self, kind: Kind, value: float, at: datetime) -> list[tuple[Kind, float]]:
        """The commands that follow from a reading."""
        match kind:
            case Kind.motion:
                self._motion = value > 0
            case Kind.illuminance_lx:
                self._dark = value <= 20
            case Kind.humidity_pct:
                self._humid = value > 50
            case _:
                return []
        wanted = {
            Kind.valve_pct: 90.0 if self._motion else 10.0,
            Kind.closed_pct: 100.0 if self._humid else 0.0,
            Kind.level_pct: 90.0 if self._dark or (self._motion and at.astimezone(_ZONE).hour not in _DAY) else 0.0,
        }
        commands = [(actuator, target) for actuator, target in wanted.items() if self._targets.get(actuator) != target]
        self._targets = wanted
        return commands
