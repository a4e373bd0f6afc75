"""One room's log in Kafka: read from a place to its end, and appended to in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import confluent_kafka
from confluent_kafka import Consumer, KafkaException, TopicPartition

from agents.room_events import stamp
from agents.rules.fold import LoggedEvent
from schemas.codecs import Codecs
from schemas.errors import BuildingError, SchemaNotCached, Undecodable, UnknownSchema
from streams.decoding import decode
from streams.keys import partition_of
from streams.producer import NO_PLACE
from streams.settings import Settings
from streams.topics import ROOM_EVENTS

_TIMEOUT_S = 10.0
_BATCH = 5_000
_ACK_S = 30.0
_STILL_S, _LONGEST_S = 1.0, 5.0
"""A killed feeder's last request is with Kafka by then, whose other writers may never be still."""


class SendStopped(BuildingError):
    """Kafka did not take a record; what was sent after it was not appended either."""

    reason = "send_stopped"


class RoomLog:
    """The log of one room: the records with its key in one partition."""

    def __init__(self, settings: Settings, room_id: str) -> None:
        self.room_id = room_id
        self.partition = partition_of(room_id, ROOM_EVENTS.partitions)
        self._settings = settings

    def ends(self) -> tuple[int, int]:
        """Offset of the partition's first record, and the next to be written. Raises `KafkaException`."""
        consumer = self._consumer()
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(ROOM_EVENTS.name, self.partition), timeout=_TIMEOUT_S)
        finally:
            consumer.close()
        return low, high

    def end_at_rest(self) -> int:
        """The end once nothing has come for a while: a killed feeder's last request may still be on its way.

        Other rooms share the partition: in a living building it is never still, so the wait has an end.
        """
        end = self.ends()[1]
        began = since = time.monotonic()
        while time.monotonic() - since < _STILL_S and time.monotonic() - began < _LONGEST_S:
            time.sleep(_STILL_S / 10)
            if (now := self.ends()[1]) != end:
                end, since = now, time.monotonic()
        return end

    def read(self, codecs: Codecs, start: int, end: int) -> Iterator[LoggedEvent]:
        """The room's events from `start` up to, not including, `end`. Blocks: not for an event loop's thread.

        Raises `KafkaException`, and `RegistryUnavailable` when a schema of another release cannot be asked for.
        """
        if start >= end:
            return
        consumer = self._consumer()
        try:
            place = TopicPartition(ROOM_EVENTS.name, self.partition, start)
            consumer.assign([place])
            key, heard = self.room_id.encode(), time.monotonic()
            while True:
                for message in consumer.consume(_BATCH, 0.1):
                    heard = time.monotonic()
                    if (error := message.error()) is not None:
                        raise KafkaException(error)
                    offset = message.offset() or 0
                    if offset < end and message.key() == key and (event := self._event(codecs, message.value())):
                        yield LoggedEvent(self.room_id, offset, stamp(message.timestamp()[1]), event)
                if consumer.position([place])[0].offset >= end:
                    return
                if time.monotonic() - heard > _TIMEOUT_S:
                    raise SendStopped(f"Kafka is silent: {ROOM_EVENTS.name}/{self.partition} could not be read")
        finally:
            consumer.close()

    def _event(self, codecs: Codecs, value: bytes | None) -> Any:
        """The event in these bytes; None for what a room cannot use either."""
        try:
            try:
                return codecs.decode(value)
            except SchemaNotCached:  # of another release: the room has folded it all the same
                until = time.monotonic() + _TIMEOUT_S
                return asyncio.run(decode(self._settings.registry, codecs, value, lambda: time.monotonic() > until))
        except (Undecodable, UnknownSchema):
            return None

    def _consumer(self) -> Consumer:
        return Consumer({**self._settings.librdkafka, "log_level": "4", "group.id": "atrium-reader", "enable.auto.commit": False})


class Appender:
    """Appends to one room's log in order and without gaps: idempotent, and after a failure nothing more."""

    def __init__(self, settings: Settings, log: RoomLog) -> None:
        self._key, self._partition = log.room_id.encode(), log.partition
        self._producer = confluent_kafka.Producer(
            {
                **settings.librdkafka,
                "log_level": "3",  # below it warns that the guarantee is experimental
                "enable.idempotence": True,
                "enable.gapless.guarantee": True,
                "acks": "all",
                "linger.ms": 5,
                "delivery.timeout.ms": 0,  # a record given up while later ones arrive would leave a gap: `flush` gives up instead
                "compression.type": "lz4",
            }
        )
        self._failure: str | None = None
        self.last_offset: int | None = None
        """Of the last record acknowledged."""

    def append(self, value: bytes) -> None:
        """Send one record; waits while too many are on their way. Raises `SendStopped`."""
        deadline = time.monotonic() + _ACK_S
        while self._failure is None:
            if time.monotonic() > deadline:
                self._failure = f"no answer for {_ACK_S:g} s"
                break
            try:
                self._producer.produce(ROOM_EVENTS.name, value, self._key, self._partition, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self._failure = str(error)
            else:
                return
        raise SendStopped(f"Kafka did not take a record: {self._failure}")

    def poll(self) -> None:
        """Hear what was acknowledged. Raises `SendStopped`."""
        self._producer.poll(0)
        if self._failure is not None:
            raise SendStopped(f"Kafka did not take a record: {self._failure}")

    def flush(self) -> None:
        """Return once everything sent is acknowledged. Raises `SendStopped`."""
        left = self._producer.flush(_ACK_S)
        if left:
            raise SendStopped(f"Kafka did not answer for {left} records")
        self.poll()

    def _delivered(self, error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message) -> None:
        offset = message.offset()
        if error is not None or offset is None:
            self._failure = self._failure or str(error or NO_PLACE)
        else:
            self.last_offset = offset
