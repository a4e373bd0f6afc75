"""Sends that hold on while Kafka is away and give up only when the partition may be somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiokafka.errors import KafkaError, KafkaTimeoutError

from streams.lane import Stale
from streams.notify import notify
from streams.pulse import Fenced

FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 4.0

Send = Callable[[], Awaitable[Sequence[asyncio.Future[Any]]]]


async def until_acknowledged(send: Send, stale: Callable[[], bool]) -> None:
    """Send, await every acknowledgement; send all of it again while Kafka is away or has not confirmed us.

    What is sent must bear repeating. Raises `Stale` once `stale` is true, any other failure (a record Kafka refuses) as it is.
    """
    pause_s = FIRST_PAUSE_S
    told = False
    while True:
        error = await _attempt(send)
        if error is None:
            if told:
                notify(status="")
            return
        if stale():
            raise Stale(str(error)) from error
        if not _passes(error):
            raise error
        notify(status=f"waiting for Kafka: {error!r}")
        told = True
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        if stale():
            raise Stale(str(error)) from error


async def _attempt(send: Send) -> Exception | None:
    try:
        outcomes = await asyncio.gather(*await send(), return_exceptions=True)
    except (KafkaError, Fenced) as error:
        refused: Exception = error
        return refused
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            failure: Exception = outcome
            return failure
        if isinstance(outcome, BaseException):
            raise outcome
    return None


def _passes(error: Exception) -> bool:
    """Whether trying again can help."""
    return isinstance(error, Fenced | KafkaTimeoutError) or bool(getattr(error, "retriable", False))
