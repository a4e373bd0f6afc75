"""A topic deleted and made anew is another log: whoever reads it begins anew with it, knowing nothing of old offsets.

aiokafka does not know topic ids. A worker whose topic was away for a moment keeps an empty assignment until its metadata is five
minutes old; one that missed the moment would read the new log's records at the old log's positions. So the worker ends, and its
supervisor starts it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from confluent_kafka import KafkaException

from schemas.errors import BuildingError

EVERY_S: Final = 3.0
_logger = logging.getLogger(__name__)


class LogMadeAnew(BuildingError):
    """A topic this worker reads was deleted and made anew."""

    reason = "log_made_anew"


async def watch_log(
    topic: str,
    log_id_of: Callable[[str], Awaitable[str]],
    crash: Callable[[BaseException], Awaitable[None]],
    *,
    every_s: float = EVERY_S,
) -> None:
    """Ask for the topic's id again and again; `crash` once it is another. A topic that is away, or a broker, is waited for."""
    known: str | None = None
    while True:
        try:
            found = await log_id_of(topic)
        except (KafkaException, TimeoutError) as error:
            _logger.debug("%s: %r", topic, error)
        else:
            known = known or found
            if found != known:
                await crash(LogMadeAnew(f"{topic} was log {known} and is log {found} now: deleted and made anew"))
                return
        await asyncio.sleep(every_s)
