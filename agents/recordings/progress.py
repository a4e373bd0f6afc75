"""How far a recording has come: told by the room's log itself, so that no note can be ahead of it or doubt it."""

from __future__ import annotations

from datetime import timedelta

from agents.recordings.recording import Recording
from schemas.records import Kind, Reading, RoomEvent


class Progress:
    """Counts the recording's rows among the events of a room's log, from a place on where `next_row` is known."""

    def __init__(self, recording: Recording, device_id: int, shift: timedelta, next_row: int) -> None:
        self.next_row = next_row
        """Rows before this one are in the log."""
        self.of_next: frozenset[Kind] = frozenset()
        """What of the next row is there too: a feeder may be killed within a row."""
        self.doubled: list[int] = []
        """Rows of which something stands in the log twice."""
        self.missed: list[int] = []
        """Rows that are not whole in the log though a later one is there."""
        self._recording, self._device_id, self._shift = recording, device_id, shift

    def see(self, event: RoomEvent) -> None:
        """Take in the next event of the room's log."""
        if not isinstance(event, Reading) or event.device_id != self._device_id:
            return
        at = event.at - self._shift
        index = self._recording.index_at(at)
        rows = self._recording.rows
        if index == len(rows) or rows[index].at != at:
            return  # of another recording fed into this room
        if index < self.next_row or (index == self.next_row and event.kind in self.of_next):
            self.doubled.append(index)
            return
        if index > self.next_row:
            self.missed += (row for row in range(self.next_row, index) if any(value is not None for value in rows[row].values))
            self.next_row, self.of_next = index, frozenset()
        self.of_next |= {event.kind}
        if len(self.of_next) == len(rows[index].readings(self._recording.kinds, self._device_id)):
            self.next_row, self.of_next = index + 1, frozenset()
