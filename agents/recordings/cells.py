"""A file's cells, whatever its format: CSV gives text, Parquet gives values."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any

from msgspec import Struct

from agents.recordings.errors import BadRecording, Complaint, Complaints
from agents.recordings.mapping import Mapping

Cell = str | float | datetime | None


class Record(Struct, frozen=True):
    """One row's cells, as many as the table has columns, and its line."""

    line: int
    cells: list[Cell]


class Table(Struct, frozen=True):
    """Column names and the rows under them, read as they are asked for."""

    names: list[str]
    records: Iterator[Record]
    unit: str = "line"


def csv_table(data: bytes, mapping: Mapping, complaints: Complaints) -> Table:
    """The table in a CSV file's bytes; rows that are none complain as they are met."""
    text = _text(data, complaints)
    if text is None:
        return Table([], iter(()))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mapping.delimiter, strict=True)
    rows = _rows(reader, mapping.delimiter, text, complaints)
    first = next(rows, None)
    if first is None:
        if not complaints.found:
            complaints.add(1, 1, "the file is empty: there is no header")
        return Table([], iter(()))
    header, second = first[1], next(rows, None)
    unnamed = mapping.row_names is True or (
        mapping.row_names == "auto" and second is not None and len(second[1]) == len(header) + 1
    )
    names = ["", *header] if unnamed else header
    if text and not text.endswith(("\n", "\r")) and not mapping.open_end:
        lines = text.count("\n") + 1
        complaints.add(
            lines, len(text) - text.rfind("\n"), "the file ends in mid-line: truncated? If it is whole, end its last line,"
            " or say `open_end: true` in the mapping",
        )  # fmt: skip
    return Table(names, _records(names, second, rows, complaints))


def _text(data: bytes, complaints: Complaints) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        complaints.add(before.count(b"\n") + 1, error.start - before.rfind(b"\n"), f"byte 0x{data[error.start]:02x} is not UTF-8")
        return None


def _rows(reader: Any, delimiter: str, text: str, complaints: Complaints) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they begin on; what is not CSV complains and ends them."""
    last = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            broken = text.split("\n", last + 1)[last]
            complaints.add(last + 1, broken[: broken.rfind('"') + 1].count(delimiter) + 1, f"not CSV: {error}")
            return
        line, last = last + 1, reader.line_num
        if cells:
            yield line, cells


def _records(
    names: list[str], second: tuple[int, list[str]] | None, rows: Iterator[tuple[int, list[str]]], complaints: Complaints
) -> Iterator[Record]:
    width = len(names)
    for line, cells in chain([second] if second else [], rows):
        yield from _record(width, line, cells, complaints)


def _record(width: int, line: int, cells: list[str], complaints: Complaints) -> Iterator[Record]:
    if len(cells) == width:
        yield Record(line, list(cells))
        return
    what = f"{len(cells)} cells where the header has {width}"
    if len(cells) == width + 1:
        what += " (if the first is a row number without a name, say `row_names: true` in the mapping)"
    elif len(cells) < width:
        what += ": is the line cut off?"
    complaints.add(line, min(len(cells), width) + 1, what)


def parquet_table(data: bytes, file: str) -> Table:
    """The table in a Parquet file's bytes. Raises `BadRecording`."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise BadRecording(file, [Complaint(1, 1, "reading Parquet needs pyarrow: pip install 'atrium[parquet]'")]) from None
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(data))
        columns = [column.to_pylist() for column in table.columns]
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise BadRecording(file, [Complaint(1, 1, f"not a whole Parquet file: {first}")], unit="row") from None
    records = (Record(number, list(cells)) for number, cells in enumerate(zip(*columns, strict=True), start=1))
    return Table(list(table.column_names), records, unit="row")
