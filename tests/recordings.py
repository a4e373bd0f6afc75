"""What a recording comes to, computed straight from its file with nothing of the building's own code."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parent.parent
DATATEST = ROOT / "data" / "uci-occupancy" / "datatest.txt"
COLUMNS = {"temperature_c": 2, "humidity_pct": 3, "illuminance_lx": 4, "co2_ppm": 5, "occupancy_reference": 7}
"""Where the UCI file has each kind, by index in its rows."""
_MONS = ZoneInfo("Europe/Brussels")


def uci_rows(path: Path = DATATEST) -> list[tuple[datetime, dict[str, float]]]:
    """Instant and values of every row."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [
        (
            datetime.strptime(row[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=_MONS).astimezone(UTC),
            {kind: float(row[index]) for kind, index in COLUMNS.items()},
        )
        for row in rows
    ]


def average_by_hand(rows: list[tuple[datetime, dict[str, float]]], kind: str, last: datetime) -> tuple[float, int]:
    """Mean and count of a kind over 3 h up to the row at `last`: all rows whose 5 minutes began less than 3 h before it."""
    values = [
        values[kind]
        for at, values in rows
        if at <= last and datetime.fromtimestamp(at.timestamp() // 300 * 300, UTC) > last - timedelta(hours=3)
    ]
    return math.fsum(values) / len(values), len(values)


def occupied_by_hand(
    trace: dict[int, bool], minutes: int, *, light_min: int = 20, heating_min: int = 30
) -> Iterator[tuple[str, str]]:
    """Per minute whether the room is occupied for light and for heating, from when motion was reported and how.

    The rule as written: motion occupies; the timeouts begin when motion ends; motion that nobody refreshed for 60 min is unknown.
    """
    light = heating = "unknown"
    moving, refreshed, still_since = False, 0, None
    for minute in range(minutes):
        if minute in trace:
            if trace[minute]:
                light = heating = "occupied"
                moving, refreshed, still_since = True, minute, None
            elif moving or still_since is None:
                if moving and minute - refreshed >= 60:
                    light = heating = "unknown"
                moving, still_since = False, minute
        if moving and minute - refreshed >= 60:
            light = heating = "unknown"
            moving = False
        if still_since is not None and minute - still_since >= light_min:
            light = "vacant"
        if still_since is not None and minute - still_since >= heating_min:
            heating = "vacant"
        yield light, heating
