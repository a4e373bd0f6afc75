"""What a person wants, appended to a room's log and acknowledged by Kafka before anybody is told so."""

from __future__ import annotations

from typing import Protocol

from schemas.codecs import Codecs
from schemas.errors import BuildingError
from schemas.records import Intent, Position
from streams.producer import Producer
from streams.topics import ROOM_EVENTS


class NotAcknowledged(BuildingError):
    """Kafka did not acknowledge the intent: it may or may not take effect."""

    reason = "not_acknowledged"


class IntentSink(Protocol):
    """Where the API puts intents."""

    async def append(self, room_id: str, intent: Intent) -> Position:
        """Append to the room's log; returns once acknowledged. Raises `NotAcknowledged`."""


class KafkaIntents:
    """Intents into `building.room-events`; closed for business until `open` was called."""

    def __init__(self) -> None:
        self._ready: tuple[Producer, Codecs, str] | None = None

    def open(self, producer: Producer, codecs: Codecs, log_id: str) -> None:
        """From now on intents go through this producer; `log_id` names the log in the positions."""
        self._ready = producer, codecs, log_id

    async def append(self, room_id: str, intent: Intent) -> Position:
        """Append to the room's log; returns once acknowledged. Raises `NotAcknowledged`."""
        if self._ready is None:
            raise NotAcknowledged("not connected to Kafka yet")
        producer, codecs, log_id = self._ready
        try:
            written = await producer.send(ROOM_EVENTS.name, room_id, codecs.encode(intent))
        except Exception as error:  # whatever the client raises, the record was not acknowledged
            raise NotAcknowledged(str(error)) from error
        return Position(log_id, written.partition, written.offset)
