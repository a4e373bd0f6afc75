"""The fold beside the feed: what is fed into a recorded room is folded here too, so that the feeder knows its next tick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec.structs import replace

from agents.rules.fold import LoggedEvent, fold_batch
from schemas.records import Position, RoomEvent, Tick
from schemas.rows import Room


class Follower:
    """One recorded room. What comes out of the log is folded at its place; what is fed, at the next place that can be."""

    def __init__(self, room_id: str, log_id: str, partition: int, room: Room | None) -> None:
        self.room = room
        self._room_id, self._log_id, self._partition = room_id, log_id, partition
        self._offset = room.position.offset if room else -1

    def read(self, logged: LoggedEvent) -> None:
        """Fold an event as it stands in the log; one the room has already changes nothing."""
        self._offset = max(self._offset, logged.offset)
        self._fold([logged])

    def feed(self, events: Sequence[RoomEvent], at: datetime) -> None:
        """Fold events about to be appended."""
        first = self._offset + 1
        self._offset += len(events)
        self._fold([LoggedEvent(self._room_id, first + i, at, event) for i, event in enumerate(events)])

    def ticks_until(self, at: datetime) -> Iterator[Tick]:
        """The ticks due up to an instant, folded as they are given. None before the first reading: time has not begun."""
        while self.room is not None and self.room.sensed and self.room.wake_at is not None and self.room.wake_at <= at:
            tick = Tick(self.room.wake_at)
            self.feed([tick], tick.wake_at)
            yield tick

    def room_at(self, offset: int) -> Room | None:
        """The room, standing at the true place of the last event fed."""
        return None if self.room is None else replace(self.room, position=Position(self._log_id, self._partition, offset))

    def _fold(self, events: Sequence[LoggedEvent]) -> None:
        rooms = {} if self.room is None else {self._room_id: self.room}
        self.room = fold_batch(rooms, {}, self._log_id, self._partition, events).rooms.get(self._room_id, self.room)
