"""Waiting for an event, but not for ever."""

from __future__ import annotations

import asyncio


async def happens(event: asyncio.Event, within_s: float) -> bool:
    """Whether an event comes within so many seconds; returns as soon as it does.

    `asyncio.wait_for` may lose a cancellation (python/cpython issue 86296).
    """
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
