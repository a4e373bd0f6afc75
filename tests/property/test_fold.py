"""Invariants of the fold, over logs nobody would write by hand."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.rules.fold import FoldOutcome, LoggedEvent, fold_batch
from schemas.codecs import DEFAULT_POLICY, PUBLIC, Codecs
from schemas.records import (
    Clock,
    CommandResult,
    DeviceChanged,
    Intent,
    IntentAction,
    Kind,
    Policy,
    PolicyChanged,
    Reading,
    ResultStatus,
    RoomEvent,
    Tick,
)
from tests.stories import BLIND, LAMP, LOG, NOON, SENSOR, VALVE, introductions

CODECS = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=1)})
MINUTES = st.integers(-30, 30).map(lambda m: timedelta(minutes=m))
PERCENT = st.floats(-50, 150) | st.just(float("nan"))
"""What may come as a percentage: a third of it cannot be."""
POLICY_PERCENTS = [name for name in Policy.__struct_fields__ if name.endswith("_pct")]
NUMBERS = st.dictionaries(st.sampled_from(POLICY_PERCENTS), PERCENT, max_size=3)
"""A policy's percentages that differ from the default."""


@st.composite
def events(draw: st.DrawFn) -> RoomEvent:
    at = NOON + draw(MINUTES)
    device_id = draw(st.sampled_from([SENSOR, VALVE, BLIND, LAMP, 77]))
    match draw(st.integers(0, 6)):
        case 0 | 1:
            kind = draw(st.sampled_from(list(Kind)))
            value = draw(st.one_of(st.sampled_from([0.0, 1.0, 15.0, 55.0, 200.0, float("nan")]), st.floats(-100, 1000)))
            return Reading(device_id, kind, value, at)
        case 2:
            return Tick(at)
        case 3:
            action = draw(st.sampled_from([IntentAction.set, IntentAction.release]))
            return Intent(action, draw(st.sampled_from([Kind.closed_pct, Kind.valve_pct, Kind.level_pct])), at, draw(PERCENT))
        case 5:
            clock = draw(st.sampled_from([Clock.live, Clock.recorded]))
            return PolicyChanged(replace(DEFAULT_POLICY, revision=draw(st.integers(1, 9)), clock=clock, **draw(NUMBERS)))
        case 4:
            return CommandResult("0" * 32, device_id, draw(st.sampled_from(list(ResultStatus))), at, draw(st.none() | PERCENT))
        case _:
            change = introductions(draw(st.integers(2, 9)))[draw(st.integers(0, 3))]
            return draw(st.sampled_from([change, DeviceChanged(change.device_id, change.revision)]))  # type: ignore[union-attr]


@st.composite
def logs(draw: st.DrawFn) -> list[LoggedEvent]:
    told = [*introductions(), *draw(st.lists(events(), max_size=40))]
    now, log = NOON, []
    for offset, event in enumerate(told):
        now += timedelta(seconds=draw(st.integers(0, 900)) if offset > 3 else 0)
        log.append(LoggedEvent("2", offset, now, event))
    return log


class Table:
    """Rooms and averages as the live role keeps them, with everything sent."""

    def __init__(self) -> None:
        self.rooms, self.averages, self.occupancy, self.actuation = {}, {}, {}, {}
        self.commands, self.rejects = {}, {}

    def feed(self, batch: list[LoggedEvent]) -> FoldOutcome:
        out = fold_batch(self.rooms, self.averages, LOG, 0, batch)
        self.rooms |= out.rooms
        self.averages |= out.averages
        self.occupancy |= out.occupancy
        self.actuation |= out.actuation
        for addressed in out.commands:
            known = self.commands.setdefault(addressed.command.command_id, addressed)
            assert known == addressed, "an id has one content"
        self.rejects |= {r.offset: r for r in out.rejects}
        return out

    def bytes(self) -> list[bytes]:
        tables = (self.rooms, self.averages, self.occupancy, self.actuation)
        return [CODECS.encode(table[key]) for table in tables for key in sorted(table)]


def folded(log: list[LoggedEvent]) -> Table:
    table = Table()
    table.feed(log)
    return table


@given(logs())
def test_the_same_log_gives_the_same_bytes_and_commands(log: list[LoggedEvent]) -> None:
    one, two = folded(log), folded(log)
    assert one.bytes() == two.bytes()
    assert one.commands == two.commands


@given(logs(), st.lists(st.integers(0, 44), max_size=6))
def test_any_split_into_batches_gives_the_same(log: list[LoggedEvent], cuts: list[int]) -> None:
    table = Table()
    edges = sorted({0, len(log), *(min(cut, len(log)) for cut in cuts)})
    for start, end in pairwise(edges):
        table.feed(log[start:end])
    whole = folded(log)
    assert table.bytes() == whole.bytes()
    assert (table.commands, table.rejects.keys()) == (whole.commands, whole.rejects.keys())


@given(logs(), st.integers(0, 44))
def test_redelivery_of_any_suffix_changes_nothing(log: list[LoggedEvent], start: int) -> None:
    table = folded(log)
    before = table.bytes()
    out = table.feed(log[min(start, len(log)) :])
    assert table.bytes() == before
    assert not out.commands


@given(logs(), st.integers(4, 44), st.integers(4, 44))
def test_a_crash_after_the_projections_and_before_the_row_is_repaired_by_refolding(
    log: list[LoggedEvent], done: int, lost: int
) -> None:
    first, last = sorted((min(done, len(log)), min(lost, len(log))))
    table = Table()
    table.feed(log[:first])
    rooms = dict(table.rooms)
    table.feed(log[first:last])  # commands and projections became durable ...
    table.rooms = rooms  # ... the room's row did not
    table.feed(log[first:])
    whole = folded(log)
    assert table.bytes() == whole.bytes()
    assert table.commands == whole.commands


@given(logs())
def test_percentages_stay_percentages_and_time_never_goes_back(log: list[LoggedEvent]) -> None:
    table, now, clock = Table(), NOON, Clock.live
    for event in log:
        out = table.feed([event])
        room = table.rooms["2"]
        assert all(0 <= addressed.command.target_pct <= 100 for addressed in out.commands)
        assert all(0 <= actuator.lease.value_pct <= 100 for actuator in room.actuators if actuator.lease)
        assert all(0 <= getattr(room.policy, name) <= 100 for name in POLICY_PERCENTS)
        assert room.now_at >= now or room.policy.clock is not clock
        assert room.wake_at is None or room.wake_at > room.now_at
        now, clock = room.now_at, room.policy.clock


@given(logs())
@settings(max_examples=50)
def test_rows_survive_their_bytes(log: list[LoggedEvent]) -> None:
    room = folded(log).rooms["2"]
    assert CODECS.decode(CODECS.encode(room)) == room
