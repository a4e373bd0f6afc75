"""Reading a topic from its beginning to its present end, for processes that need its content once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.settings import Settings
from streams.topics import Topic

T = TypeVar("T")
_BATCH = 10_000
_POLL_S = 1.0
_RETRY_S = 0.2
_QUICK_POLL_S = 0.2


def read_to_end(settings: Settings, topic: Topic, timeout_s: float = 30.0) -> Iterator[Message]:
    """Every record of the topic up to the end it has now, in order within a partition. Blocks: call it in a thread.

    Joins no group and commits nothing. Raises `KafkaException` when Kafka is away or silent for `timeout_s`.
    """
    consumer = Consumer(
        {
            **settings.librdkafka,
            "log_level": "4",
            "group.id": "atrium-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
        }
    )
    try:
        ends = _ends(consumer, topic.name, timeout_s)
        consumer.assign([TopicPartition(topic.name, partition, OFFSET_BEGINNING) for partition in ends])
        heard = time.monotonic()
        while ends:
            first = consumer.poll(_POLL_S)  # `consume` alone would wait for a full batch
            messages = [] if first is None else [first, *consumer.consume(_BATCH, timeout=0)]
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > timeout_s:
                raise TimeoutError(
                    f"{topic.name}: nothing from Kafka for {timeout_s:g} s, short of the end of partitions {sorted(ends)}"
                )
            for message in messages:
                if message.error() is not None:
                    raise KafkaException(message.error())
                yield message
            for place in consumer.position([TopicPartition(topic.name, partition) for partition in ends]):
                if place.offset >= ends[place.partition]:
                    del ends[place.partition]
    finally:
        consumer.close()


def _ends(consumer: Consumer, topic: str, timeout_s: float) -> dict[int, int]:
    """The next offset of each partition that holds anything."""

    def ask() -> dict[int, int]:
        found = consumer.list_topics(topic, timeout=timeout_s).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        marks = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=timeout_s) for p in found.partitions}
        return {partition: high for partition, (low, high) in marks.items() if high > low}

    return _once_led(ask, timeout_s)


def _once_led(ask: Callable[[], T], timeout_s: float) -> T:
    """Ask again until there is an answer: a topic just made may take a moment to have its leaders. Raises `KafkaException`."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return ask()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)


def last_values(settings: Settings, topic: Topic) -> dict[bytes, bytes]:
    """The last value of each key of a compacted topic, deleted ones left out. Blocks, raises as `read_to_end`."""
    values: dict[bytes, bytes] = {}
    for message in read_to_end(settings, topic):
        key, value = message.key() or b"", message.value()
        values.pop(key, None)
        if value is not None:
            values[key] = value
    return values


class CompactedReader:
    """Topics of one partition, read from their beginning and then on from where the last reading ended."""

    def __init__(self, settings: Settings, topics: Sequence[Topic], timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._consumer = Consumer(
            {
                **settings.librdkafka,
                "log_level": "4",
                "group.id": "atrium-reader",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
            }
        )
        self._places = [TopicPartition(topic.name, 0, OFFSET_BEGINNING) for topic in topics]
        self._read = {topic.name: 0 for topic in topics}
        self._consumer.assign(self._places)

    def read_on(self) -> list[tuple[str, str, bytes | None]]:
        """Topic, key and value of every record up to the ends the topics have now, each topic's in order. Blocks.

        Raises `KafkaException` when Kafka is away or silent.
        """
        records: list[tuple[str, str, bytes | None]] = []
        ends = _once_led(self._marks, self._timeout_s)
        heard = time.monotonic()
        while any(low < high and self._read[topic] < high for topic, (low, high) in ends.items()):
            messages = self._consumer.consume(_BATCH, _QUICK_POLL_S if not records else 0.02)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > self._timeout_s:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"silent for {self._timeout_s:g} s"))  # noqa: SLF001
            for message in messages:
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                topic = message.topic() or ""
                records.append((topic, (message.key() or b"").decode(errors="replace"), message.value()))
                self._read[topic] = (message.offset() or 0) + 1
        return records

    def _marks(self) -> dict[str, tuple[int, int]]:
        return {place.topic: self._consumer.get_watermark_offsets(place, timeout=self._timeout_s) for place in self._places}

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()
