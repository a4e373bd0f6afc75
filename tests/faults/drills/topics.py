"""Topics read a drill at a time: what was appended since the last look, with Kafka's time of each record."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, Message, TopicPartition

from streams.settings import Settings
from streams.topics import Topic

_WITHIN_S = 60.0


class Tail:
    """One topic from where it was last read."""

    def __init__(self, settings: Settings, topic: Topic) -> None:
        self._settings, self._topic = settings, topic
        self.places = dict.fromkeys(range(topic.partitions), 0)

    def ends(self) -> dict[int, int]:
        """The next offset of each partition as it is now."""
        consumer = self._consumer()
        try:
            return {p: consumer.get_watermark_offsets(TopicPartition(self._topic.name, p), timeout=20)[1] for p in self.places}
        finally:
            consumer.close()

    def read(self, ends: dict[int, int] | None = None) -> list[Message]:
        """Everything up to `ends` (default: the present ends), in order within a partition."""
        ends = ends or self.ends()
        waiting = {p: end for p, end in ends.items() if end > self.places[p]}
        consumer = self._consumer()
        found: list[Message] = []
        deadline = time.monotonic() + _WITHIN_S
        try:
            consumer.assign([TopicPartition(self._topic.name, p, self.places[p]) for p in waiting])
            while waiting:
                assert time.monotonic() < deadline, f"{self._topic.name}: {waiting} not read within {_WITHIN_S:.0f} s"
                for message in consumer.consume(10_000, timeout=0.2):
                    assert message.error() is None, message.error()
                    if (message.offset() or 0) < ends[message.partition() or 0]:
                        found.append(message)
                for place in consumer.position([TopicPartition(self._topic.name, p) for p in waiting]):
                    if place.offset >= ends[place.partition]:
                        del waiting[place.partition]
        finally:
            consumer.close()
        self.places = {p: max(ends[p], self.places[p]) for p in self.places}
        return found

    def begin_anew(self) -> None:
        """The topic was made anew: it begins at 0."""
        self.places = dict.fromkeys(self.places, 0)

    def _consumer(self) -> Consumer:
        return Consumer({
            **self._settings.librdkafka, "group.id": "atrium-drill-reader", "enable.auto.commit": False, "log_level": "3",
        })  # fmt: skip
