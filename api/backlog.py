"""What a replica reads before it has caught up: per key only the row that will stand, decoded once, at the end.

A table's changelog holds every row of the last hour at least. Looking at a row's position costs a thirtieth of decoding it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from schemas.codecs import Codecs
from schemas.records import Position
from streams import topics
from streams.positions import Row, peek_position, position_of, supersedes

TABLES = {topic.name: topic for topic in topics.TABLES}


class Raw(Struct, frozen=True):
    """One record as it was read; `value` None is a tombstone."""

    topic: str
    key: str
    value: bytes | None


class Backlog:
    """Takes the records of tables; gives back, when asked, the last of each key by position."""

    def __init__(self, codecs: Codecs, decode: Callable[[bytes], Row]) -> None:
        self._codecs, self._decode = codecs, decode
        self._held: dict[tuple[str, str], tuple[Raw, Position | None]] = {}

    def take(self, raw: Raw) -> bool:
        """Keep a table's record, or let it go for a higher one; False for any other topic's.

        Raises what `decode` raises for a row that is not in today's own schema and cannot be read.
        """
        topic = TABLES.get(raw.topic)
        if topic is None:
            return False
        place = raw.topic, raw.key
        position = None if raw.value is None else self._position(topic, raw.value)
        _, held = self._held.get(place, (None, None))
        if position is None or held is None or supersedes(position, held):
            self._held[place] = raw, position
        return True

    def drain(self) -> Iterator[Raw]:
        """Everything kept, once."""
        held, self._held = self._held, {}
        return (raw for raw, _ in held.values())

    def _position(self, topic: topics.Topic, value: bytes) -> Position:
        if self._codecs.writes(topic.records[0], value):
            return peek_position(value)
        return position_of(self._decode(value))
