"""What history keeps of a record: its place, its columns, its bytes."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import pytest

from agents.history_rows import COMMANDS, ROOM_EVENTS, Raw, command_row, days_of, room_event_row, stamp
from schemas.codecs import DEFAULT_POLICY
from schemas.commands import Command, Proposal
from schemas.records import (
    Bus,
    CommandResult,
    Device,
    DeviceChanged,
    DeviceRole,
    Intent,
    IntentAction,
    Kind,
    PolicyChanged,
    Position,
    Reading,
    ResultStatus,
    Slot,
    Tick,
)

AT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
LOGGED = AT + timedelta(milliseconds=123)
RAW = Raw("log", 3, 41, int(LOGGED.timestamp() * 1000), b"10", b"bytes")
PLACE = ("log", 3, 41, LOGGED, "10")
DEVICE = Device(9, 2, "Multisensor 6", "10", DeviceRole.multisensor, Bus.zwave, "zwave-1", zwave_node=2)


@pytest.mark.parametrize(
    ("event", "columns"),
    [
        (Reading(9, Kind.temperature_c, 21.5, AT), ("Reading", AT, 9, "temperature_c", 21.5)),
        (Tick(AT), ("Tick", AT, None, None, None)),
        (Intent(IntentAction.set, Kind.closed_pct, AT, 70.0, 5), ("Intent", AT, 5, "closed_pct", 70.0)),
        (Intent(IntentAction.release, Kind.closed_pct, AT), ("Intent", AT, None, "closed_pct", None)),
        (CommandResult("c", 5, ResultStatus.done, AT, 70.0), ("CommandResult", AT, 5, None, 70.0)),
        (DeviceChanged(9, 2, DEVICE), ("DeviceChanged", None, 9, None, None)),
        (PolicyChanged(DEFAULT_POLICY), ("PolicyChanged", None, None, None, None)),
        (None, (None, None, None, None, None)),
    ],
)
def test_every_room_event_has_its_row(event, columns) -> None:
    row = room_event_row(RAW, event)
    answer = ("c", "done") if isinstance(event, CommandResult) else (None, None)
    assert row == (*PLACE, *columns, *answer, b"bytes")
    assert len(row) == len(ROOM_EVENTS.columns)


def test_a_command_has_its_row_and_anything_else_only_its_place_and_bytes() -> None:
    winner = Proposal(Slot.comfort, "climate", 90.0, "occupied", AT)
    command = Command("c", "10", 3, Kind.valve_pct, 90.0, AT, AT, Position("rooms", 1, 7), 4, winner)
    assert command_row(RAW, command) == (
        *PLACE, "c", "10", 3, "valve_pct", 90.0, AT, "comfort", "climate", 4, "rooms", 1, 7, b"bytes",
    )  # fmt: skip
    for other in (None, Tick(AT)):
        row = command_row(RAW, other)
        assert row == (*PLACE, *[None] * 12, b"bytes")
        assert len(row) == len(COMMANDS.columns)


def test_numbers_poison_bytes_may_hold_do_not_reach_columns_too_small_for_them() -> None:
    row = dict(zip(ROOM_EVENTS.columns, room_event_row(RAW, Reading(2**31, Kind.motion, math.nan, AT)), strict=True))
    assert row["device_id"] is None
    assert math.isnan(row["value"])


@pytest.mark.parametrize(
    ("key", "text"), [(None, ""), (b"", ""), (b"a\x00b", "a\\x00b"), (b"\xff", "\\xff"), (b"9" * 999, "9" * 200)]
)
def test_any_key_becomes_text_postgresql_takes(key, text) -> None:
    row = room_event_row(Raw("log", 0, 0, 0, key, None), None)
    assert row[4] == text
    assert row[-1] is None


@pytest.mark.parametrize(
    ("milliseconds", "at"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1970, 1, 1, tzinfo=UTC)),
        (2**62, datetime(1970, 1, 1, tzinfo=UTC)),
        (253402127999999, datetime(9999, 12, 29, 23, 59, 59, 999000, tzinfo=UTC)),
        (253402128000000, datetime(1970, 1, 1, tzinfo=UTC)),
        (253402300799999, datetime(1970, 1, 1, tzinfo=UTC)),
        (1795478399999, datetime(2026, 11, 23, 23, 59, 59, 999000, tzinfo=UTC)),
    ],
)
def test_a_stamp_is_an_exact_instant_or_the_epoch(milliseconds, at) -> None:
    assert stamp(milliseconds) == at


def test_rows_belong_to_their_utc_day() -> None:
    midnight = 1795478400000
    rows = [room_event_row(Raw("log", 0, offset, ms, b"1", b""), None) for offset, ms in enumerate((midnight - 1, midnight))]
    assert days_of(rows) == {date(2026, 11, 23), date(2026, 11, 24)}


def test_every_stamps_day_has_the_days_its_partitions_need() -> None:
    for milliseconds in (253402127999999, 253402300799999):
        assert stamp(milliseconds) + timedelta(days=2)
