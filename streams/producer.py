"""Producing from processes that are not the rooms worker: each send awaited until Kafka has it safely."""

from __future__ import annotations

import asyncio
import logging
import threading
from functools import cache
from typing import Any

import confluent_kafka
from confluent_kafka.admin import AdminClient
from msgspec import Struct

from schemas.errors import BuildingError
from streams.settings import Settings

_POLL_S = 0.1
_FULL_QUEUE_PAUSE_S = 0.01
NO_PLACE = "acknowledged only by the acknowledgement of a later record: it may or may not be in the log"
"""What a report without error and without offset means. librdkafka infers that a record it could not settle is in the log from a
later one's being there; in a topic made anew, which takes any first sequence number, it need not be."""
_logger = logging.getLogger(__name__)


class SendFailed(BuildingError):
    """Kafka did not acknowledge a record; it may or may not be in the log."""

    reason = "send_failed"


class Written(Struct, frozen=True):
    """Where a record went."""

    partition: int
    offset: int


class Producer:
    """One idempotent producer, acks from all replicas, keys placed as `streams.keys.partition_of` says.

    Make it inside the event loop that awaits its sends. `timeout_s` bounds how long a send may wait for a broker.
    """

    def __init__(self, settings: Settings, *, timeout_s: float = 30.0, linger_ms: float = 2.0) -> None:
        self._config: dict[str, Any] = {
            **settings.librdkafka,
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "delivery.timeout.ms": int(timeout_s * 1000),
            "topic.metadata.refresh.interval.ms": 60_000,
            "reconnect.backoff.max.ms": 1_000,
            "compression.type": "lz4",
        }
        self._closing, self._fatal = threading.Event(), threading.Event()
        self._producer = self._connect()
        self._poller = threading.Thread(target=self._poll, name="producer-poll", daemon=True)
        self._poller.start()

    async def send(self, topic: str, key: str | bytes | None, value: bytes | None) -> Written:
        """Append one record and wait until Kafka acknowledged it. Raises `SendFailed`."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[Written] = loop.create_future()

        def delivered(error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message) -> None:
            partition, offset = message.partition(), message.offset()
            if error is not None or partition is None or offset is None:
                outcome: Written | SendFailed = SendFailed(f"{topic}: {error or NO_PLACE}")
            else:
                outcome = Written(partition, offset)
            try:
                loop.call_soon_threadsafe(_settle, written, outcome)
            except RuntimeError:  # the loop has closed: nobody is waiting any more
                _logger.debug("acknowledged after the event loop had closed: %s", topic)

        while True:
            try:
                self._producer.produce(topic, value=value, key=key, on_delivery=delivered)
                break
            except BufferError:
                await asyncio.sleep(_FULL_QUEUE_PAUSE_S)
            except confluent_kafka.KafkaException as error:
                raise SendFailed(f"{topic}: {error}") from error
        return await written

    async def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is on its way, at most `timeout_s`, then stop."""
        left = await asyncio.to_thread(self._producer.flush, timeout_s)
        self._closing.set()
        await asyncio.to_thread(self._poller.join)
        if left:
            _logger.warning("closed with %d records unacknowledged", left)

    def _connect(self) -> confluent_kafka.Producer:
        return confluent_kafka.Producer({**self._config, "error_cb": self._on_error})

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)
            if self._fatal.is_set():  # an idempotent producer that lost its sequence never sends again: begin a new one
                lost, self._producer = self._producer, self._connect()
                self._fatal.clear()
                lost.purge()
                lost.flush(_POLL_S)  # tells the waiters

    def _on_error(self, error: confluent_kafka.KafkaError) -> None:
        if error.fatal():
            _logger.error("producer begins anew after %s", error)
            self._fatal.set()
        else:
            _logger.info("kafka: %s", error)


def _settle(written: asyncio.Future[Written], outcome: Written | SendFailed) -> None:
    if written.done():  # its waiter was cancelled
        return
    if isinstance(outcome, SendFailed):
        written.set_exception(outcome)
    else:
        written.set_result(outcome)


async def log_id(settings: Settings, topic: str, timeout_s: float = 10.0) -> str:
    """Kafka's id of a topic: a topic deleted and created again is a new log. Raises `KafkaException` when there is none."""
    return await asyncio.to_thread(read_log_id, settings, topic, timeout_s)


def read_log_id(settings: Settings, topic: str, timeout_s: float = 10.0) -> str:
    """`log_id` for a thread. Raises `KafkaException` and `TimeoutError`."""
    admin = _admin(tuple(sorted(settings.librdkafka.items())))
    answer = admin.describe_topics(confluent_kafka.TopicCollection([topic]), request_timeout=timeout_s)[topic]
    return str(answer.result(2 * timeout_s).topic_id)


@cache
def _admin(config: tuple[tuple[str, str], ...]) -> AdminClient:
    """One client for the life of the process: letting one go whose request failed can crash librdkafka in its main thread.

    It keeps quiet while Kafka is away: whoever asks says so, once.
    """
    return AdminClient({**dict(config), "log_level": "2"})
