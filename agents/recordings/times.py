"""Instants from a file's cells: local times of a zone, with its summer time, or absolute ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from agents.recordings.cells import Cell
from agents.recordings.mapping import EPOCHS, TimeColumn

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_BACK = timedelta(hours=1)


class BadTime(ValueError):
    """A cell that is no instant; the message says why."""


class Times:
    """Reads one time column, row after row. An hour that a zone's clocks show twice is told apart by the row before."""

    def __init__(self, column: TimeColumn) -> None:
        self._format = column.format
        self._zone = ZoneInfo(column.zone) if column.zone else None

    def instant(self, cell: Cell, after: datetime | None) -> datetime:
        """The instant (UTC, whole milliseconds) in a cell. Raises `BadTime`."""
        try:
            at = self._absolute(self._parsed(cell), after)
        except OverflowError:
            raise BadTime(f"{cell!r} is no time there was") from None
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def _parsed(self, cell: Cell) -> datetime:
        if isinstance(cell, datetime):
            return cell
        if self._format in EPOCHS:
            try:
                return _EPOCH + timedelta(milliseconds=round(float(cell or "") * (1000 // EPOCHS[self._format])))
            except (TypeError, ValueError):
                raise BadTime(f"{cell!r} is not a number of {self._format.removeprefix('unix_')} since 1970") from None
        if not isinstance(cell, str):
            raise BadTime(f"{cell!r} is not a time: for numbers, say `format: unix_s` or `unix_ms`")
        try:
            if self._format == "iso":
                return datetime.fromisoformat(cell.strip())
            return datetime.strptime(cell.strip(), self._format)  # noqa: DTZ007  # its zone comes next
        except ValueError:
            raise BadTime(f"{cell!r} is not a time of the form {self._format}") from None

    def _absolute(self, read: datetime, after: datetime | None) -> datetime:
        if read.tzinfo is not None:
            return read.astimezone(UTC)
        if self._zone is None:
            raise BadTime(f"{read} has no offset: say in the mapping's `time` which `zone` it is local to")
        at = read.replace(tzinfo=self._zone).astimezone(UTC)
        if at.astimezone(self._zone).replace(tzinfo=None) != read:
            raise BadTime(f"{read} was skipped when the clocks of {self._zone.key} went forward")
        if after is not None and at <= after:
            return read.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        return at
