"""Ending what a controller was told to begin, for somebody who does not wait for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from agents.gateways.drivers.base import BusUnavailable

STOP_S = 5.0
"""The controller stops within this; whoever pressed Ctrl-C waits for it."""
_under_way: set[asyncio.Task[None]] = set()


async def call_off(what: str, ending: Coroutine[Any, Any, None]) -> None:
    """Wait for `ending`, `STOP_S` at most. After that it goes on: an inclusion that begins late would else stay open.

    Raises what it raises, and `BusUnavailable` where it takes longer.
    """
    task = asyncio.ensure_future(ending)
    _under_way.add(task)
    task.add_done_callback(_over)
    await asyncio.wait([task], timeout=STOP_S)
    if not task.done():
        raise BusUnavailable(f"the controller was told to stop {what}, and has not answered within {STOP_S:.0f} s")
    task.result()


def _over(task: asyncio.Task[None]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # seen, also where nobody waits any more
