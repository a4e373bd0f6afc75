"""The recorded office with its humidity moved to oscillate around 50 %, under the naive rules and under ours."""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import mean

from msgspec import Struct
from msgspec.structs import replace

from agents.replay.compared import reversals_in
from agents.replay.driven import Lives
from agents.replay.recorded import read_files
from agents.rules.fold import LoggedEvent
from infra.simulation.naive import NaiveRoom
from schemas.records import Kind, Reading
from tests.recordings import DATATEST


class Oscillation(Struct, frozen=True):
    """Blind commands and reversals over the recording's days."""

    days: float
    naive: tuple[int, int]
    ours: tuple[int, int]


def offset_log() -> list[LoggedEvent]:
    """The recording's log, its humidity moved so that its mean is 50 %."""
    log = read_files([DATATEST], "uci-occupancy", datetime.now(UTC))
    humidity = [e.event.value for e in log if isinstance(e.event, Reading) and e.event.kind is Kind.humidity_pct]
    offset = 50.0 - mean(humidity)
    return [
        replace(e, event=replace(e.event, value=e.event.value + offset))
        if isinstance(e.event, Reading) and e.event.kind is Kind.humidity_pct
        else e
        for e in log
    ]


def oscillation() -> Oscillation:
    """Both lives of the recording."""
    log = offset_log()
    lives = Lives({})
    lives.take(log)
    ours = [(c.issued_at, c.target_pct) for c in lives.end()["recorded"].commands if c.kind is Kind.closed_pct]
    room, naive = NaiveRoom(), []
    readings = [e.event for e in log if isinstance(e.event, Reading)]
    for reading in readings:
        naive += [(reading.at, v) for kind, v in room.take(reading.kind, reading.value, reading.at) if kind is Kind.closed_pct]
    days = (readings[-1].at - readings[0].at).total_seconds() / 86_400
    return Oscillation(days, (len(naive), reversals_in(naive)), (len(ours), reversals_in(ours)))
