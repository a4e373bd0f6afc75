"""What is wrong with a recording or its mapping: every complaint with its place."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from schemas.errors import BuildingError

MOST = 20
"""Complaints gathered before reading stops: one wrong column would otherwise complain in every row."""


class Complaint(Struct, frozen=True):
    """One thing that is wrong. Lines (of Parquet: rows) and columns count from 1; `name` is the column's, where it has one."""

    line: int
    column: int
    what: str
    name: str = ""


class BadRecording(BuildingError):
    """A file, or the mapping that explains it, cannot be used; nothing of it was fed."""

    reason = "bad_recording"

    def __init__(self, file: str, complaints: Sequence[Complaint], *, unit: str = "line", more: bool = False) -> None:
        self.complaints = tuple(complaints)
        lines = [f"{file}: {self._count(more)}, nothing was fed"]
        lines += [
            f"  {unit} {each.line}, column {each.column}{f' ({each.name})' if each.name else ''}: {each.what}"
            for each in complaints
        ]
        super().__init__("\n".join(lines))

    def _count(self, more: bool) -> str:
        count = len(self.complaints)
        return f"the first {count} errors" if more else f"{count} error{'s' if count != 1 else ''}"


class TooMany(Exception):  # ends the reading, is no error of its own
    """The most complaints have been gathered."""


class Complaints:
    """Gathers complaints about one file; the one after the most ends the reading."""

    def __init__(self) -> None:
        self.found: list[Complaint] = []

    def add(self, line: int, column: int, what: str, name: str = "") -> None:
        """Note one. Raises `TooMany`."""
        if len(self.found) == MOST:
            raise TooMany
        self.found.append(Complaint(line, column, what, name))
