"""A topic deleted and made anew is another log: whoever reads it begins anew with it, knowing nothing of old offsets.

aiokafka does not know topic ids: a worker that missed the moment would read the new log's records at the old log's positions. So it
ends, and its supervisor starts it again.
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


class LogWatch:
    """Knows the ids of the topics a worker reads, and notices when one has another."""

    def __init__(self, log_id_of: Callable[[str], Awaitable[str]]) -> None:
        self._log_id_of = log_id_of
        self._known: dict[str, str] = {}

    async def check(self, topic: str) -> None:
        """Ask for the topic's id. Raises `LogMadeAnew`, or what the asking raises."""
        found = await self._log_id_of(topic)
        known = self._known.setdefault(topic, found)
        if found != known:
            raise LogMadeAnew(f"{topic} was log {known} and is log {found} now: deleted and made anew")

    async def check_until_known(self, topic: str, *, every_s: float = EVERY_S) -> None:
        """The same, waiting for a topic or broker that is away."""
        while True:
            try:
                await self.check(topic)
            except (KafkaException, TimeoutError) as error:
                _logger.debug("%s: %r", topic, error)
                await asyncio.sleep(every_s)
            else:
                return

    async def watch(self, topic: str, crash: Callable[[BaseException], Awaitable[None]], *, every_s: float = EVERY_S) -> None:
        """Check again and again; `crash` once the topic is another log."""
        while True:
            try:
                await self.check_until_known(topic, every_s=every_s)
            except LogMadeAnew as error:
                await crash(error)
                return
            await asyncio.sleep(every_s)
