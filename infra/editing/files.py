"""PURE: records in YAML or CSV, each cell with the line it stands on; and back to text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

import yaml
from msgspec import Struct

from infra.editing.fields import Row, written
from infra.editing.tables import Table

FORMATS = ("yaml", "csv")


class Cell(Struct, frozen=True):
    """A field's text (None: empty) and its line."""

    text: str | None
    line: int | None = None


class Record(Struct, frozen=True):
    """One row as it was given."""

    cells: dict[str, Cell]
    line: int | None = None


class Fault(Struct, frozen=True):
    """Something wrong: where, in which field, and what would be right."""

    line: int | None
    field: str
    says: str


def read(content: bytes, kind: str, faults: list[Fault]) -> list[Record]:
    """The records in a file; what is wrong with its form is added to `faults`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.append(Fault(content.count(b"\n", 0, error.start) + 1, "", "not UTF-8: save the file as UTF-8"))
        return []
    return list(_csv(text, faults) if kind == "csv" else _yaml(text, faults))


def _csv(text: str, faults: list[Fault]) -> Iterator[Record]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    heading: list[str] | None = None
    line = 1
    try:
        for values in lines:
            first, line = line, lines.line_num + 1
            if not any(value.strip() for value in values):
                continue
            if heading is None:
                heading = [value.strip() for value in values]
                for twice in sorted({name for name in heading if heading.count(name) > 1}):
                    faults.append(Fault(first, twice, "stands twice in the heading"))
            elif len(values) != len(heading):
                faults.append(Fault(first, "", f"{len(values)} cells, where the heading has {len(heading)}"))
            else:
                yield Record({name: Cell(value.strip() or None, first) for name, value in zip(heading, values, strict=True)}, first)
    except csv.Error as error:
        faults.append(Fault(line, "", f"not readable as CSV: {error}"))


def _yaml(text: str, faults: list[Fault]) -> Iterator[Record]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", column {mark.column + 1}" if mark else ""
        faults.append(Fault(mark.line + 1 if mark else None, "", f"not readable as YAML{where}: {error.problem or error.context}"))
        return
    except yaml.YAMLError as error:
        faults.append(Fault(None, "", f"not readable as YAML: {error}"))
        return
    if root is None:
        return
    if not isinstance(root, yaml.SequenceNode):
        faults.append(Fault(root.start_mark.line + 1, "", "give a list: each record begins with '- '"))
        return
    for node in root.value:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            yield Record(_cells(node, faults), line)
        else:
            faults.append(Fault(line, "", "give a record: 'field: value' lines under one '- '"))


def _cells(node: yaml.MappingNode, faults: list[Fault]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for name, value in node.value:
        line = value.start_mark.line + 1
        field = str(name.value)
        if field in cells:
            faults.append(Fault(line, field, f"stands on line {cells[field].line} already"))
        elif not isinstance(value, yaml.ScalarNode):
            faults.append(Fault(line, field, "give a single value"))
        else:
            cells[field] = Cell(None if value.tag == "tag:yaml.org,2002:null" else value.value or None, line)
    return cells


def write(table: Table, rows: Iterable[Row], kind: str) -> str:
    """The rows as a file that reads back as the same rows."""
    if kind == "csv":
        out = io.StringIO()
        names = [field.name for field in table.fields]
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(names)
        lines.writerows([written(row.get(name)) for name in names] for row in rows)
        return out.getvalue()
    records = [
        {
            name: value if isinstance(value, int | float | str) else written(value)
            for name, value in row.items()
            if value is not None
        }
        for row in rows
    ]
    return yaml.safe_dump(records, sort_keys=False, allow_unicode=True) if records else "[]\n"
