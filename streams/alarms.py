"""When rooms want to be woken: a heap of their `wake_at`s. Pure; time is passed in."""

from __future__ import annotations

import heapq
from datetime import datetime


class Alarms:
    """One alarm a room; setting it again replaces it. An alarm taken is not given again until it is set to another instant."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []
        self._set: dict[str, datetime] = {}
        self._taken: dict[str, datetime] = {}

    def set(self, room_id: str, wake_at: datetime | None) -> None:
        """The room wants to wake at this instant; None: not at all."""
        if wake_at is None:
            self._set.pop(room_id, None)
        elif wake_at not in (self._set.get(room_id), self._taken.get(room_id)):
            self._set[room_id] = wake_at
            heapq.heappush(self._heap, (wake_at, room_id))
            if len(self._heap) > 2 * len(self._set) + 64:  # mostly replaced ones
                self._heap = [(at, room) for room, at in self._set.items()]
                heapq.heapify(self._heap)

    def clear(self) -> None:
        """Forget everything: the rooms belong to someone else now."""
        self._heap.clear()
        self._set.clear()
        self._taken.clear()

    def next_at(self) -> datetime | None:
        """When the next alarm is due."""
        self._skip()
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: datetime) -> list[tuple[str, datetime]]:
        """The alarms due by now, each once."""
        due = []
        while (at := self.next_at()) is not None and at <= now:
            wake_at, room_id = heapq.heappop(self._heap)
            del self._set[room_id]
            self._taken[room_id] = wake_at
            due.append((room_id, wake_at))
        return due

    def put_back(self, room_id: str, wake_at: datetime) -> None:
        """Its tick could not be sent: due again, unless the room wants something else by now."""
        if self._taken.get(room_id) == wake_at:
            del self._taken[room_id]
            if room_id not in self._set:
                self.set(room_id, wake_at)

    def _skip(self) -> None:
        while self._heap and self._set.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
