"""Appending to Kafka until it is there: a gateway waits for a broker that is away, it loses nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from schemas.codecs import Codecs
from streams.producer import Producer, SendFailed
from streams.topics import Topic

_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_logger = logging.getLogger(__name__)


class Log:
    """A producer and codecs; `trouble` is None or why Kafka does not take what is sent.

    `owner` tells whether nobody else can own our lines yet: a process that was stopped for a while may wake to find they are.
    """

    def __init__(self, producer: Producer, codecs: Codecs, owner: Callable[[], bool]) -> None:
        self._producer, self._codecs = producer, codecs
        self._owner = owner
        self.trouble: str | None = None

    async def as_owner(self) -> None:
        """Return once our lines are surely ours. If they are not, the rebalance that tells us cancels whoever waits here."""
        while not self._owner():  # noqa: ASYNC110 - it depends on a clock: nothing could set an event
            await asyncio.sleep(_PAUSE_S)

    async def append(self, topic: Topic, key: str | bytes | None, record: Struct) -> None:
        """Append a record; return when Kafka has acknowledged it, however long that takes."""
        value, pause_s = self._codecs.encode(record), _PAUSE_S
        while True:
            try:
                await self._producer.send(topic.name, key, value)
            except SendFailed as error:
                self.trouble = f"waiting for Kafka: {error}"
                _logger.warning("%s", self.trouble)
                await asyncio.sleep(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            else:
                self.trouble = None
                return


def utc_now() -> datetime:
    """Now, in the whole milliseconds records have."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
