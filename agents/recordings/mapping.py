"""What a file's columns mean: read from YAML (docs/feeding.md), or built in for a known data set."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml
from msgspec import Struct

from agents.recordings.errors import BadRecording, Complaint
from agents.recordings.units import UNITS
from schemas.records import Kind

EPOCHS = {"unix_s": 1, "unix_ms": 1000}
"""Time formats that are numbers: ticks a second since 1970 UTC."""


T = TypeVar("T")
Keys = tuple[str, ...]
_KEY = "*key"  # a path that ends in it is a key's own place, not its value's


class TimeColumn(Struct, frozen=True, forbid_unknown_fields=True):
    """When. `format` as for strptime, or iso, unix_s, unix_ms; `zone` (IANA) is where times without an offset are local."""

    column: str
    zone: str | None = None
    format: str = "iso"


class ValueColumn(Struct, frozen=True, forbid_unknown_fields=True):
    """What. Without `unit` the column stands in the unit its kind names."""

    kind: Kind
    unit: str | None = None


class Mapping(Struct, frozen=True, forbid_unknown_fields=True):
    """A file's columns. Those it does not name are not read.

    `missing` are cells that hold no value; `row_names` says that the header has no name for a first column (R writes such
    files): true, false, or "auto" where that is to be seen from the first row. `open_end` allows a last line without its end.
    """

    time: TimeColumn
    columns: dict[str, ValueColumn]
    missing: tuple[str, ...] = ()
    delimiter: str = ","
    row_names: bool | str = False
    open_end: bool = False


UCI_OCCUPANCY = Mapping(
    time=TimeColumn(column="date", zone="Europe/Brussels", format="%Y-%m-%d %H:%M:%S"),
    columns={
        "Temperature": ValueColumn(Kind.temperature_c),
        "Humidity": ValueColumn(Kind.humidity_pct),
        "Light": ValueColumn(Kind.illuminance_lx),
        "CO2": ValueColumn(Kind.co2_ppm),
        "Occupancy": ValueColumn(Kind.occupancy_reference),
    },
    row_names="auto",
)
"""UCI Machine Learning Repository 357, an office in Mons, Belgium, in its local time. HumidityRatio follows from the others."""
BUILT_IN = {"uci-occupancy": UCI_OCCUPANCY}


def read_mapping(text: str, file: str) -> Mapping:
    """The mapping a YAML document describes. Raises `BadRecording` with line and column of what is wrong with it."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise BadRecording(file, [Complaint(*place, f"not YAML: {error.problem}")]) from None
    except yaml.YAMLError as error:
        raise BadRecording(file, [Complaint(1, 1, f"not YAML: {error}")]) from None
    reader = _Reader(_marks(root))
    mapping = reader.mapping(document)
    if mapping is not None:
        reader.complaints += [Complaint(*reader.marks.get(path, (1, 1)), what) for path, what in _faults(mapping)]
    if mapping is None or reader.complaints:
        raise BadRecording(file, reader.complaints)
    return mapping


class _Reader:
    """Converts a document piece by piece, so that each error is known by its path and so by its place."""

    def __init__(self, marks: Dict[Keys, tuple[int, int]]) -> None:
        self.marks = marks
        self.complaints: list[Complaint] = []

    def mapping(self, document: Any) -> Mapping | None:
        """The mapping, or None after a complaint."""
        if not isinstance(document, dict) or not isinstance(document.get("columns", {}), dict):
            return self._convert(document, Mapping, ())
        columns = {
            str(name): self._convert(value, ValueColumn, ("columns", str(name)))
            for name, value in document.get("columns", {}).items()
        }
        time = self._convert(document["time"], TimeColumn, ("time",)) if "time" in document else None
        stand_ins = {"time": {"column": "-"}, "columns": {}}
        rest = self._convert({name: stand_ins.get(name, value) for name, value in document.items()}, Mapping, ())
        if rest is None or time is None or None in columns.values():
            return None
        return msgspec.structs.replace(rest, time=time, columns=columns)

    def _convert(self, value: Any, cls: type[T], path: Keys) -> T | None:
        try:
            return msgspec.convert(value, cls)
        except msgspec.ValidationError as error:
            what, _, below = str(error).partition(" - at `$")
            steps = tuple(step for step in below.rstrip("`").split(".") if step and "[" not in step)
            if what.startswith("Object contains unknown field"):
                steps = (*steps, what.split("`")[1], _KEY)
            self.complaints.append(Complaint(*self.marks.get((*path, *steps), (1, 1)), what))
            return None


def _faults(mapping: Mapping) -> list[tuple[Keys, str]]:
    """What is well-formed and yet wrong, each with its path in the document."""
    faults: list[tuple[Keys, str]] = []
    if mapping.time.zone is not None and not _is_zone(mapping.time.zone):
        faults.append((("time", "zone"), f"{mapping.time.zone!r} is not an IANA time zone such as Europe/Zurich"))
    if not mapping.columns:
        faults.append((("columns",), "names no column to read"))
    seen: dict[Kind, str] = {}
    for name, column in mapping.columns.items():
        units = UNITS.get(column.kind)
        if units is None:
            faults.append((("columns", name, "kind"), f"{column.kind} cannot be recorded: give one of {', '.join(UNITS)}"))
        elif column.unit is not None and column.unit not in units:
            faults.append((("columns", name, "unit"), f"{column.kind} has no unit {column.unit!r}: give {' or '.join(units)}"))
        if column.kind in seen:
            faults.append((("columns", name, "kind"), f"{column.kind} comes from column {seen[column.kind]!r} already"))
        seen.setdefault(column.kind, name)
        if name == mapping.time.column:
            faults.append((("columns", name), "is the time column too"))
    if len(mapping.delimiter) != 1:
        faults.append((("delimiter",), f"{mapping.delimiter!r} is not one character"))
    if isinstance(mapping.row_names, str) and mapping.row_names != "auto":
        faults.append((("row_names",), f"{mapping.row_names!r} is not true, false or auto"))
    return faults


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _marks(node: Any, path: Keys = ()) -> dict[Keys, tuple[int, int]]:
    """Line and column of every key and value in the document, by its path."""
    if node is None:
        return {}
    marks = {path: (node.start_mark.line + 1, node.start_mark.column + 1)}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            marks |= _marks(value, (*path, str(key.value)))
            marks[*path, str(key.value), _KEY] = (key.start_mark.line + 1, key.start_mark.column + 1)
    return marks
