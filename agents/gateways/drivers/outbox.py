"""What a driver has for its gateway, in the order it came; and the bug that ended the driver's own work: it must not go unheard."""

from __future__ import annotations

import asyncio
from typing import Final

from agents.gateways.drivers.base import Hand, Report

_MOST: Final = 10_000


class Outbox:
    """A queue of reports and hands. `dropped` counts those nobody fetched; `trouble` is None, or what ended the driver's work."""

    def __init__(self) -> None:
        self.dropped = 0
        self.trouble: str | None = None
        self._queue: asyncio.Queue[Report | Hand | BaseException] = asyncio.Queue()

    async def get(self) -> Report | Hand:
        """The next one; waits for it. Raises what ended a watched task."""
        said = await self._queue.get()
        if isinstance(said, BaseException):
            self._queue.put_nowait(said)  # whoever asks again hears it again
            raise said
        return said

    def put(self, said: Report | Hand) -> None:
        """Somebody said something."""
        if self.trouble is not None:  # nothing comes after it, and nothing may push it out
            self.dropped += 1
            return
        if self._queue.qsize() >= _MOST:  # nobody fetches them: the newest matter most
            self._queue.get_nowait()
            self.dropped += 1
        self._queue.put_nowait(said)

    def watch(self, task: asyncio.Task[None]) -> None:
        """Let `get` raise what this task of the driver's ends with; to be cancelled is no failure."""
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and self.trouble is None:
            self.trouble = f"the driver has stopped: {error!r}"
            self._queue.put_nowait(error)
