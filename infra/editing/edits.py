"""PURE: what people ask for (a file, a command's options) becomes the building as it shall be, or all that is wrong with it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from infra.editing.fields import Row, Value
from infra.editing.files import Cell, Fault, Record
from infra.editing.tables import POLICIES, ROOMS, State, Table, check
from schemas.errors import BuildingError

_MOST_SHOWN = 40


class Refused(BuildingError):
    """A change that cannot be; the message has a line for each thing that is wrong, `faults` the things."""

    reason = "refused"

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        ordered = sorted(faults, key=lambda fault: fault.line or 0)
        lines = [
            f"{source}{f', line {f.line}' if f.line else ''}: {f'{f.field}: ' if f.field else ''}{f.says}"
            for f in ordered[:_MOST_SHOWN]
        ]
        if len(ordered) > _MOST_SHOWN:
            lines.append(f"... and {len(ordered) - _MOST_SHOWN} more")
        super().__init__(
            "nothing was changed\n" + "\n".join(line.replace(": ", ":", 1) if ":: " in line else line for line in lines)
        )
        self.faults = ordered


class Edit:
    """One change of one table. `state` is the building as it shall be; `finish` checks the whole of it."""

    def __init__(self, before: State, table: Table, source: str, faults: Iterable[Fault] = ()) -> None:
        self.state = copy.deepcopy(before)
        self._table, self._source = table, source
        self._faults = list(faults)
        self._given: dict[str, Record] = {}

    @property
    def _rows(self) -> dict[str, Row]:
        return self.state[self._table.name]

    def put(self, records: Iterable[Record], *, replace: bool = False) -> None:
        """Each record is a whole row, new or in the place of the old one; with `replace` rows that are not given go."""
        for record in records:
            row = self._row(record, {})
            if row is None:
                continue
            key = self._table.key_of(row)
            if key in self._given:
                self._complain(
                    record, self._table.key[0], f"{self._table.one} {key} stands on line {self._given[key].line} already"
                )
            self._given[key] = record
            self._rows[key] = row
        if replace:
            for key in [key for key in self._rows if key not in self._given]:
                self._drop(key)

    def add(self, record: Record) -> None:
        """One new row."""
        row = self._row(record, {})
        if row is not None:
            key = self._table.key_of(row)
            if key in self._rows:
                self._complain(record, self._table.key[0], f"{self._table.one} {key} is there already: change it")
            self._given[key] = record
            self._rows[key] = row

    def change(self, key: str, record: Record) -> None:
        """Some fields of a row that is there."""
        old = self._there(key)
        if old is not None and (row := self._row(record, old)) is not None:
            self._given[key] = record
            self._rows[key] = row

    def remove(self, keys: Iterable[str]) -> None:
        """Rows that are there; a room takes its beacons and its policy along."""
        for key in keys:
            if self._there(key) is not None:
                self._drop(key)

    def finish(self) -> State:
        """The building as it shall be. Raises `Refused` with everything that is wrong."""
        check(self.state, self._complain_of)
        if self._faults:
            raise Refused(self._source, list(dict.fromkeys(self._faults)))
        return self.state

    def _drop(self, key: str) -> None:
        if self._table is ROOMS:
            if inside := [device for device, row in self.state["devices"].items() if row["room_id"] == key]:
                says = f"room {key} still has devices {', '.join(inside)}: move or remove them first"
                self._faults.append(Fault(None, "", says))
                return
            for name in ("beacons", "policies"):
                self.state[name] = {other: row for other, row in self.state[name].items() if row["room_id"] != key}
        del self._rows[key]

    def _there(self, key: str) -> Row | None:
        row = self._rows.get(key)
        if row is None:
            near = get_close_matches(key, self._rows, 3, 0.4) or list(self._rows)[:10]
            known = f": there are {', '.join(near)}" if near else ""
            self._faults.append(Fault(None, "", f"there is no {self._table.one} {key!r}{known}"))
        return row

    def _row(self, record: Record, old: Row) -> Row | None:
        """The typed row; None when something in it is wrong."""
        before = len(self._faults)
        row: Row = {}
        for name in record.cells.keys() - {field.name for field in self._table.fields}:
            near = get_close_matches(name, [field.name for field in self._table.fields], 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(f.name for f in self._table.fields[:12])}"
            self._complain(record, name, f"no such field: {hint}")
        for field in self._table.fields:
            cell = record.cells.get(field.name)
            value: Value = old.get(field.name, field.default) if cell is None else field.default
            if cell is not None and cell.text is not None:
                try:
                    value = field.read(cell.text)
                except ValueError as error:
                    self._complain(record, field.name, f"{cell.text!r}: {error}")
                    continue
            if value is None and field.required:
                self._complain(record, field.name, f"is missing: {field.doc.rstrip('.').lower()}")
            if value is not None or self._table is not POLICIES:
                row[field.name] = value
        return row if len(self._faults) == before else None

    def _complain(self, record: Record, field: str, says: str) -> None:
        self._faults.append(Fault(record.cells.get(field, Cell(None, record.line)).line, field, says))

    def _complain_of(self, table: str, key: str, field: str, says: str) -> None:
        record = self._given.get(key) if table == self._table.name else None
        if record is not None:
            self._complain(record, field, says)
        else:
            self._faults.append(Fault(None, field, f"{table} {key}: {says}"))
