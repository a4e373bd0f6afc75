"""Runs every part as a child process: each starts when what it needs is ready, is restarted when it ends, and stops in reverse.

Nothing outlives the supervisor: should it be killed, the kernel ends its children (`infra.part.in_child`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

from infra import status
from infra.child import Child
from infra.part import Part
from infra.status import PartStatus, Status

_LATECOMERS_S = 20.0


class Supervisor:
    """The parts of one home. `observe` is called with every part's status whenever one changes."""

    def __init__(
        self, parts: list[Part], home: Path, *, url: str, addresses: dict[str, str], observe: Callable[[list[PartStatus]], None]
    ) -> None:
        self._home = home
        self._url = url
        self._addresses = addresses
        self._observe = observe
        self._children = {part.name: Child(part, home / "logs", self._changed) for part in parts}
        self._stop = asyncio.Event()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Run until SIGINT or SIGTERM; a second one kills at once. Raises `PartFailed`. The caller holds `infra.status.lock`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask_to_stop)
        self._changed()
        keeping = [asyncio.create_task(child.keep(self._children)) for child in self._children.values()]
        all_ready = asyncio.create_task(self._when_ready(on_ready))
        stop = asyncio.create_task(self._stop.wait())
        try:
            pending: set[asyncio.Task[object]] = {*keeping, stop}
            while not self._stop.is_set():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # a part that failed for good ends the whole
        finally:
            all_ready.cancel()
            await self._stop_all()
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            self._changed()

    async def _when_ready(self, on_ready: Callable[[], None]) -> None:
        """Tell that the whole is ready; a part that is long in coming does not keep the rest back."""
        await asyncio.gather(*(child.ready.wait() for child in self._children.values() if child.part.essential))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LATECOMERS_S):
                await asyncio.gather(*(child.ready.wait() for child in self._children.values()))
        on_ready()

    def _ask_to_stop(self) -> None:
        if self._stop.is_set():
            for child in self._children.values():
                child.kill()
        self._stop.set()

    async def _stop_all(self) -> None:
        """What needs others stops before them; parts that do not need each other stop together."""
        left = dict(self._children)
        for child in left.values():
            child.stopping = True
        while left:
            needed = {name for child in left.values() for name in child.part.needs}
            layer = [left.pop(name) for name in list(left) if name not in needed]
            await asyncio.gather(*(child.stop() for child in layer))

    def _changed(self) -> None:
        parts = [child.status for child in self._children.values()]
        status.write(Status(home=str(self._home), supervisor=None, url=self._url, parts=parts, addresses=self._addresses))
        self._observe(parts)
