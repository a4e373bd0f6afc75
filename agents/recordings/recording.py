"""A whole file, read and judged before anything of it is sent."""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime
from hashlib import sha256
from math import isfinite

import msgspec
from msgspec import Struct

from agents.recordings.cells import Cell, Record, Table, csv_table, parquet_table
from agents.recordings.errors import BadRecording, Complaints, TooMany
from agents.recordings.mapping import Mapping
from agents.recordings.times import BadTime, Times
from agents.recordings.units import UNITS, WORDS, Unit
from agents.rules.plausibility import MAX_AHEAD, PHYSICAL_RANGE
from schemas.records import Kind, Reading


class Row(Struct, frozen=True):
    """One instant; a value for each of the recording's kinds, None where the file has none."""

    at: datetime
    values: tuple[float | None, ...]

    def readings(self, kinds: tuple[Kind, ...], device_id: int) -> list[Reading]:
        """What the row says, as readings of a device."""
        return [
            Reading(device_id, kind, value, self.at) for kind, value in zip(kinds, self.values, strict=True) if value is not None
        ]


class Recording(Struct, frozen=True):
    """A file's rows in the order of their times, no two at one time; `digest` names the file and what was read out of it."""

    name: str
    digest: str
    kinds: tuple[Kind, ...]
    rows: list[Row]
    zone: str | None
    unread: tuple[str, ...]
    """Columns that the mapping does not name."""

    def index_at(self, at: datetime) -> int:
        """How many rows are before an instant."""
        return bisect_left(self.rows, at, key=lambda row: row.at)


def read_recording(name: str, data: bytes, mapping: Mapping, now: datetime) -> Recording:
    """Read a file, CSV or Parquet by its first bytes. Raises `BadRecording` with every complaint, up to the most."""
    complaints, more = Complaints(), False
    rows: list[Row] = []
    table = Table([], iter(()))
    try:
        table = parquet_table(data, name) if data[:4] == b"PAR1" else csv_table(data, mapping, complaints)
        columns = _columns(table, mapping, complaints)
        if columns is not None:
            rows = _rows(table, columns, Times(mapping.time), mapping, now, complaints)
            if not rows and not complaints.found:
                complaints.add(2, 1, "there are no rows under the header")
    except TooMany:
        more = True
    if complaints.found:
        found = sorted(complaints.found, key=lambda each: (each.line, each.column))
        raise BadRecording(name, found, unit=table.unit, more=more)
    named = {mapping.time.column, *mapping.columns, ""}
    return Recording(
        name=name,
        digest=sha256(sha256(data).digest() + msgspec.json.encode(mapping)).hexdigest(),
        kinds=tuple(column.kind for column in mapping.columns.values()),
        rows=rows,
        zone=mapping.time.zone,
        unread=tuple(column for column in table.names if column not in named),
    )


class _Column(Struct, frozen=True):
    """A column to read: where it stands, what it holds."""

    index: int
    name: str
    kind: Kind
    unit: Unit
    unit_name: str


def _columns(table: Table, mapping: Mapping, complaints: Complaints) -> tuple[int, list[_Column]] | None:
    """The time column's index and the value columns, or None after a complaint."""
    if not table.names:
        return None
    missing = False
    for name in (mapping.time.column, *mapping.columns):
        count = table.names.count(name)
        if count != 1:
            what = f"there is no column {name!r}, there are {', '.join(filter(None, table.names))}"
            complaints.add(1, 1, what if count == 0 else f"there are {count} columns {name!r}")
            missing = True
    if missing:
        return None
    columns = []
    for name, column in mapping.columns.items():
        units = UNITS[column.kind]
        unit = column.unit or next(iter(units))
        columns.append(_Column(table.names.index(name), name, column.kind, units[unit], unit))
    return table.names.index(mapping.time.column), columns


def _rows(
    table: Table, columns: tuple[int, list[_Column]], times: Times, mapping: Mapping, now: datetime, complaints: Complaints
) -> list[Row]:
    time_index, value_columns = columns
    missing = frozenset(mapping.missing)
    latest = now + MAX_AHEAD
    rows: list[Row] = []
    before: datetime | None = None
    for record in table.records:
        try:
            at = times.instant(record.cells[time_index], before)
        except BadTime as error:
            complaints.add(record.line, time_index + 1, str(error), mapping.time.column)
            at = None
        if at is not None:
            if before is not None and at <= before:
                what = f"{record.cells[time_index]} is not after the row before: a recording's time goes forward"
                complaints.add(record.line, time_index + 1, what, mapping.time.column)
            elif at > latest:
                complaints.add(record.line, time_index + 1, f"{at:%Y-%m-%dT%H:%M:%SZ} has not come yet", mapping.time.column)
            before = at
        values = tuple(_value(record, column, missing, complaints) for column in value_columns)
        if at is not None:
            rows.append(Row(at, values))
    return rows


def _value(record: Record, column: _Column, missing: frozenset[str], complaints: Complaints) -> float | None:
    """The cell's value in its kind's unit; None where it is missing, or wrong and complained about."""
    cell: Cell = record.cells[column.index]
    if cell is None or (isinstance(cell, str) and cell in missing):
        return None
    number = _number(cell, flag=column.unit_name == "flag")
    if number is None or not isfinite(number):
        hint = "; is it missing? name it in the mapping's `missing`" if cell == "" or number is not None else ""
        complaints.add(record.line, column.index + 1, f"{cell!r} is not a number{hint}", column.name)
        return None
    value = column.unit.convert(number)
    low, high = PHYSICAL_RANGE[column.kind]
    if not low <= value <= high:
        what = f"{cell} {column.unit_name} is {column.kind} = {value:g}, possible are {low:g} to {high:g}: is the unit right?"
        complaints.add(record.line, column.index + 1, what, column.name)
    elif column.unit_name == "flag" and value not in (0.0, 1.0):
        complaints.add(record.line, column.index + 1, f"{cell} is neither 0 nor 1 (numbers of people: `unit: count`)", column.name)
    return value


def _number(cell: Cell, *, flag: bool) -> float | None:
    if isinstance(cell, str):
        word = WORDS.get(cell.strip().lower()) if flag else None
        if word is not None:
            return word
    elif isinstance(cell, datetime):
        return None
    try:
        return float(cell)  # type: ignore[arg-type]  # None was sorted out before
    except (TypeError, ValueError):
        return None
