"""Recordings fed into rooms on the real stack, against what their files say."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from click.testing import CliRunner

from agents.recordings.mapping import UCI_OCCUPANCY, read_mapping
from agents.recordings.recording import read_recording
from agents.rules.fold import LoggedEvent, fold_batch
from infra.feed.errors import TimeRunsBack
from infra.feed.feeder import Order
from infra.feed.feeder import feed as feed_order
from infra.feed.introduce import WrongClock
from infra.feed.log import Appender, RoomLog
from infra.services import environment
from schemas.averages import mean
from schemas.records import Clock, Kind, Reading, Tick
from streams.cli import main
from streams.compacted import last_values
from streams.database import connection
from streams.settings import Settings
from streams.topics import TABLE_AVERAGES, TABLE_ROOMS
from tests.folding import assert_live_equals_offline, codecs_of, committed, log_ends, wait_caught_up
from tests.processes import ROOT, role, wait_until
from tests.recordings import COLUMNS, DATATEST, average_by_hand, occupied_by_hand, uci_rows

ROWS = uci_rows()
MOTION = "time: {column: at}\ncolumns:\n  motion: {kind: motion}\n"


@pytest.fixture(scope="module")
def building(stack):
    """The stack with the roles that a feed is read by."""
    with ExitStack() as roles:
        workers = [roles.enter_context(role(name, stack)) for name in ("rooms", "history")]
        yield stack
        for worker in workers:
            worker.stop()
        assert_live_equals_offline(stack)


@pytest.fixture(scope="module")
def codecs(stack):
    return codecs_of(stack)


@pytest.fixture(scope="module")
def datatest():
    return read_recording(DATATEST.name, DATATEST.read_bytes(), UCI_OCCUPANCY, datetime.now(UTC))


def feed(settings: Settings, room_id, recording, **how):
    how = {"until_row": len(recording.rows), **how}
    return asyncio.run(feed_order(settings, Order(room_id=room_id, recording=recording, **how)))


def cli(settings: Settings, *args):
    return CliRunner(env=environment(settings)).invoke(main, ["feed", *map(str, args)])


def room_row(settings, codecs, room_id):
    return codecs.decode(last_values(settings, TABLE_ROOMS)[room_id.encode()])


def live_averages(settings, codecs, room_id):
    room = room_row(settings, codecs, room_id)
    closed = codecs.decode(last_values(settings, TABLE_AVERAGES)[room_id.encode()]).buckets
    return {kind: mean((*closed, *room.buckets), Kind(kind), room.now_at) for kind in COLUMNS if kind != "occupancy_reference"}


def stored_readings(settings, room_id):
    """What PostgreSQL has of the room's readings, once it has all: (at, kind) to value; fails on any that is there twice."""
    ends = log_ends(settings)
    wait_until(
        lambda: all(offset >= ends[p] for p, offset in committed(settings, "atrium-history").items()),
        "history has the log",
        60,
        0.2,
    )

    async def fetch():
        async with connection(settings.database) as db:
            return await db.fetch(
                "SELECT at, kind, value FROM history.room_events WHERE room_id = $1 AND type = 'Reading'", room_id
            )

    rows = asyncio.run(fetch())
    stored = {(row["at"], row["kind"]): row["value"] for row in rows}
    assert len(stored) == len(rows)
    return stored


def of_file():
    return {(at, kind): value for at, values in ROWS for kind, value in values.items()}


def test_averages_at_ten_instants_equal_the_files_own_and_history_has_rows_times_kinds(building, codecs, datatest):
    instants = [round(len(ROWS) * part / 10) for part in range(1, 11)]
    for before, until_row in pairwise([0, *instants]):
        fed = feed(building, "mons", datatest, until_row=until_row)
        assert (fed.first_row, fed.next_row) == (before, until_row)
        wait_caught_up(building)
        last = ROWS[until_row - 1][0]
        for kind, live in live_averages(building, codecs, "mons").items():
            by_hand, count = average_by_hand(ROWS, kind, last)
            assert live == pytest.approx(by_hand, rel=1e-9), (last, kind)
            assert count > 170
    assert stored_readings(building, "mons") == of_file()
    assert len(of_file()) == len(ROWS) * 5 == 13_325
    again = feed(building, "mons", datatest)
    assert (again.readings, again.ticks) == (0, 0)
    room = room_row(building, codecs, "mons")
    assert (room.now_at, room.policy.clock, room.late) == (ROWS[-1][0], Clock.recorded, 0)


def test_a_motion_trace_drives_occupancy_as_the_vacancy_rule_says_minute_by_minute(building, codecs):
    begin, minutes = datetime(2025, 3, 3, 6, 0, tzinfo=UTC), 400
    trace = {0: False, 45: True, 46: True, 47: False, 60: True, 61: False, 75: False, 100: True, 101: True, 105: False}
    trace |= {110: False, 129: False, 130: True, 131: False, 165: True, 230: True, 231: False, 245: True, 330: False, 399: False}
    lines = "".join(f"{begin + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ},{moved:d}\n" for minute, moved in trace.items())
    recording = read_recording("trace.csv", b"at,motion\n" + lines.encode(), read_mapping(MOTION, "m"), datetime.now(UTC))
    feed(building, "trace", recording)
    wait_caught_up(building)

    log = RoomLog(building, "trace")
    events = list(log.read(codecs, 0, log.ends()[1]))
    told = room_row(building, codecs, "trace")
    rooms, seen, left = {}, {}, list(events)
    for minute in range(minutes):
        now = begin + timedelta(minutes=minute)
        while left and _when(left[0]) <= now:
            rooms |= fold_batch(rooms, {}, told.position.log_id, told.position.partition, [left.pop(0)]).rooms
        seen[minute] = (rooms["trace"].occupancy.light, rooms["trace"].occupancy.heating)
    assert [seen[minute] for minute in range(minutes)] == list(occupied_by_hand(trace, minutes))
    assert {state for states in seen.values() for state in states} == {"unknown", "vacant", "occupied"}
    assert rooms["trace"] == told, "and the live room is what its log comes to"


def _when(logged: LoggedEvent) -> datetime:
    match logged.event:
        case Reading(at=at) | Tick(wake_at=at):
            return at
        case _:
            return datetime(1970, 1, 1, tzinfo=UTC)


def test_a_feeder_killed_again_and_again_feeds_every_reading_once(building, codecs):
    command = [sys.executable, "-m", "streams.cli", "feed", str(DATATEST), "--room", "killed", "--speed", "30000"]
    env = {**os.environ, **environment(building), "PYTHONFAULTHANDLER": "1"}
    log, killed_at = RoomLog(building, "killed"), []
    begin = log.ends()[1]
    for least in (1, 1500, 4000, 4010, 6000):
        feeder = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until_fed(feeder, log, begin + least)
        feeder.kill()
        feeder.communicate()
        killed_at.append(feeder.returncode)
    assert killed_at == [-signal.SIGKILL] * 5
    done = subprocess.run([*command[:-2], "--flat-out"], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "fed up to row 2,665" in done.stdout
    assert stored_readings(building, "killed") == of_file()
    wait_caught_up(building)
    for kind, live in live_averages(building, codecs, "killed").items():
        assert live == pytest.approx(average_by_hand(ROWS, kind, ROWS[-1][0])[0], rel=1e-9)
    assert room_row(building, codecs, "killed").readings == len(ROWS) * 5
    assert "already" in cli(building, DATATEST, "--room", "killed").output


def wait_until_fed(feeder: subprocess.Popen[str], log: RoomLog, end: int) -> None:
    """Until the log has grown so far; fails with what the feeder says, or where it hangs."""
    try:
        wait_until(lambda: feeder.poll() is not None or log.ends()[1] >= end, "so much is fed", 60, 0.01)
    except AssertionError as late:
        raise AssertionError(f"{late}; the feeder:\n{said_by(feeder)}") from None
    assert feeder.poll() is None, f"the feeder has ended:\n{said_by(feeder)}"


def said_by(feeder: subprocess.Popen[str], within_s: float = 0.0) -> str:
    """Everything a feeder says to its end; one that does not end in time is made to say where it is."""
    try:
        out, err = feeder.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        feeder.send_signal(signal.SIGABRT)
        out, err = feeder.communicate(timeout=10)
    return out + err


def test_ctrl_c_says_how_far_it_came_and_the_same_command_goes_on_there(building):
    command = [sys.executable, "-m", "streams.cli", "feed", str(DATATEST), "--room", "stopped", "--speed", "3000"]
    env = {**os.environ, **environment(building), "PYTHONFAULTHANDLER": "1"}
    log = RoomLog(building, "stopped")
    begin = log.ends()[1]
    feeder = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until_fed(feeder, log, begin + 50)
    feeder.send_signal(signal.SIGINT)
    out = said_by(feeder, within_s=60)
    assert feeder.returncode == 130, out
    assert "interrupted after row" in out
    row = int(out.split("interrupted after row ")[1].split()[0].replace(",", ""))
    went_on = cli(building, DATATEST, "--room", "stopped")
    assert f"{len(ROWS) - row:,} rows" in went_on.output
    assert stored_readings(building, "stopped") == of_file()


def test_a_broken_file_is_refused_whole_with_line_and_column(building, tmp_path):
    lines = DATATEST.read_text().splitlines(keepends=True)
    cells = lines[2000].split(",")
    lines[2000] = ",".join([*cells[:2], "2x.5", *cells[3:]])
    broken = tmp_path / "broken.txt"
    broken.write_text("".join(lines)[:-9])
    result = cli(building, broken, "--room", "never")
    assert result.exit_code == 1
    assert "3 errors, nothing was fed" in result.output
    assert "line 2001, column 3 (Temperature)" in result.output
    assert "line 2666, column 8: 7 cells" in result.output
    assert "the file ends in mid-line" in result.output

    async def rooms():
        async with connection(building.database) as db:
            return await db.fetchval("SELECT count(*) FROM building.rooms WHERE room_id = 'never'")

    assert asyncio.run(rooms()) == 0


def test_a_recorded_rooms_actuators_are_commanded_and_history_keeps_it(building, codecs, datatest):
    feed(building, "studied", datatest, actuators=True)
    wait_caught_up(building)

    async def commands():
        async with connection(building.database) as db:
            return await db.fetch("SELECT kind, issued_at FROM history.commands WHERE room_id = 'studied'")

    wait_until(lambda: asyncio.run(commands()), "history has commands of the recorded room")
    assert all(ROWS[0][0] <= row["issued_at"] <= ROWS[-1][0] for row in asyncio.run(commands()))


def test_a_live_room_gets_a_recording_shifted_to_now_and_no_recorded_one_its_time_back(building, codecs, datatest):
    async def a_while():
        order = Order(room_id="shifted", recording=datatest, to_now=True, until_row=len(ROWS))
        begun = asyncio.Event()
        work = asyncio.create_task(feed_order(building, order, lambda fed: begun.set() if fed.next_row == 1 else None))
        await asyncio.wait_for(begun.wait(), 60)
        work.cancel()
        return await work

    fed = asyncio.run(a_while())
    assert fed.interrupted
    assert fed.next_row == 1
    wait_caught_up(building)
    room = room_row(building, codecs, "shifted")
    assert room.policy.clock is Clock.live
    assert room.readings == 5
    assert room.rejected == 0
    assert all(abs(sensed.at - datetime.now(UTC)) < timedelta(minutes=1) for sensed in room.sensed)
    with pytest.raises(WrongClock):
        feed(building, "shifted", datatest)
    with pytest.raises(WrongClock):
        feed(building, "2", datatest)

    late = b"at,motion\n2014-01-01T00:00:00Z,1\n"
    earlier = read_recording("earlier.csv", late, read_mapping(MOTION, "m"), datetime.now(UTC))
    feed(building, "onward", datatest, until_row=10)
    with pytest.raises(TimeRunsBack, match="stands at 2015-02-02 13:28"):
        feed(building, "onward", earlier)


def test_shift_to_now_by_command_keeps_the_recordings_pace_goes_on_where_it_stopped_and_feeds_nothing_twice(
    building, codecs, tmp_path
):
    file, mapping = tmp_path / "three.csv", tmp_path / "mapping.yaml"
    file.write_text("at,motion\n2015-02-02T14:19:00Z,1\n2015-02-02T14:19:01Z,0\n2015-02-02T14:19:02Z,1\n")
    mapping.write_text(MOTION)
    log = RoomLog(building, "three")
    begin = log.ends()[1]

    def run(*more):
        done = cli(building, file, "--room", "three", "--mapping", mapping, "--shift-to-now", *more)
        assert done.exit_code == 0, done.output
        return done.output

    def fed():
        return [logged for logged in log.read(codecs, begin, log.ends()[1]) if isinstance(logged.event, Reading)]

    def when_its_stamp_says(logged):
        return timedelta(milliseconds=-5) < logged.logged_at - logged.event.at < timedelta(seconds=30)

    began = datetime.now(UTC)
    assert "fed up to row 2 of three.csv into room three: 2 rows" in run("--until", "2015-02-02T14:19:02")
    first, second = fed()
    assert first.event.at >= began
    assert second.event.at - first.event.at == timedelta(seconds=1)
    assert when_its_stamp_says(first), "it begins now"
    assert when_its_stamp_says(second), "and keeps its pace: a row sent at once would be logged a second before its time"

    resumed = datetime.now(UTC)
    assert "fed up to row 3 of three.csv into room three: 1 row, 1 readings" in run()
    third = fed()[-1]
    assert third.event.at >= resumed
    assert when_its_stamp_says(third), "what was left begins now"
    assert "room three has everything up to row 3 of three.csv already: nothing was fed" in run()
    assert [logged.event.value for logged in fed()] == [1, 0, 1]
    wait_caught_up(building)
    room = room_row(building, codecs, "three")
    assert (room.policy.clock, room.readings, room.rejected) == (Clock.live, 3, 0)


class Killed(BaseException):
    """The end of a feeder that can do nothing about it."""


def killed_after(monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    """The feeder dies once so many of its events are in the log."""
    append, left = Appender.append, iter(range(events))

    def counted(self: Appender, value: bytes) -> None:
        if next(left, None) is None:
            self.flush()
            raise Killed
        append(self, value)

    monkeypatch.setattr(Appender, "append", counted)


def test_feeders_killed_within_a_row_one_after_the_other_leave_no_gap(building, datatest, monkeypatch):
    for events in (13, 4):  # two rows and a part of the third; the rest of that and a part of the fourth
        with monkeypatch.context() as patch:
            killed_after(patch, events)
            with pytest.raises(Killed):
                feed(building, "parted", datatest, until_row=20)
    assert feed(building, "parted", datatest, until_row=20).next_row == 20
    until = ROWS[20][0]
    assert stored_readings(building, "parted") == {key: value for key, value in of_file().items() if key[0] < until}
