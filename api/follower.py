"""Feeds the replica from Kafka: every partition of every followed topic from its beginning, and a look at the rooms' log's end.

confluent-kafka's calls block, so they live in one thread; what they bring is applied on the event loop, which the thread awaits.
No offset is ever committed: each process reads everything again when it starts.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from api.backlog import Backlog, Raw
from api.replica import FOLLOWED, Change, LogState, Replica
from schemas.codecs import Codecs
from schemas.errors import RegistryUnavailable, SchemaNotCached, Undecodable, UnknownSchema
from streams.producer import read_log_id
from streams.registry import look_up
from streams.settings import Settings
from streams.topics import ROOM_EVENTS, ROOM_PARTITIONS

ROOMS_GROUP = "atrium-rooms"
_BATCH = 2000
_POLL_S = 0.2
_LOOK_EVERY_S = 2.0
_KAFKA_TIMEOUT_S = 4.0
_RETRY_S = 1.0
_UNUSABLE = (Undecodable, UnknownSchema, UnicodeDecodeError, IndexError)
log = logging.getLogger(__name__)
T = TypeVar("T")


class Follower:
    """One thread that reads, for one replica on one event loop. `on_log` hears at every look which log the rooms' log is now."""

    def __init__(
        self,
        settings: Settings,
        codecs: Codecs,
        on_log: Callable[[str], None],
        replica: Replica,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings, self._codecs, self._on_log, self._replica, self._clock = settings, codecs, on_log, replica, clock
        self._backlog = Backlog(codecs, self._decode)
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Read until cancelled; a bug ends it with its exception."""
        done: asyncio.Future[None] = self._loop.create_future()

        def work() -> None:
            failed: BaseException | None = None
            try:
                self._read()
            except BaseException as error:  # told to whoever awaits `done`
                failed = error
            with suppress(RuntimeError):  # the loop has closed: nobody awaits any more
                self._loop.call_soon_threadsafe(_settle, done, failed)

        threading.Thread(target=work, name="replica", daemon=True).start()
        try:
            await asyncio.shield(done)
        finally:
            self._stop.set()
            await asyncio.wait({done}, timeout=_KAFKA_TIMEOUT_S)

    def _read(self) -> None:
        consumer = Consumer({
            **self._settings.librdkafka,
            "group.id": "atrium-api-replica",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "reconnect.backoff.max.ms": 1000,
            "topic.metadata.refresh.interval.ms": 30_000,
        })  # fmt: skip
        # Asks what the rooms' group has committed without ever joining it. Not an admin client: one that asks a group's coordinator
        # aborts the process when the answer comes after its time-out (librdkafka issue 4605).
        meter = Consumer({**self._settings.librdkafka, "group.id": ROOMS_GROUP, "enable.auto.commit": False})
        try:
            left = self._assign(consumer)
            next_look = 0.0
            while not self._stop.is_set():
                messages = consumer.consume(_BATCH, _POLL_S)
                changes = [change for message in messages if (change := self._change(message, left)) is not None]
                if not left:
                    changes = [*self._worked_off(), *changes]
                if changes or self._replica.partitions_left != len(left):
                    self._on_loop(self._take(changes, len(left)))
                if not left and time.monotonic() >= next_look:
                    self._look(meter)
                    next_look = time.monotonic() + _LOOK_EVERY_S
        finally:
            meter.close()
            consumer.close()

    def _assign(self, consumer: Consumer) -> set[tuple[str, int]]:
        """Assign everything from the beginning, waiting for the topics to be there. Returns the partitions."""
        while not self._stop.is_set():
            try:
                known = consumer.list_topics(timeout=_KAFKA_TIMEOUT_S).topics
                missing = [topic.name for topic in FOLLOWED if topic.name not in known or not known[topic.name].partitions]
                trouble = f"waiting for the topics {', '.join(missing)}" if missing else None
            except KafkaException as error:
                trouble = f"Kafka does not answer: {error}"
            self._on_loop(self._trouble(trouble))
            if trouble is None:
                partitions = [(topic.name, number) for topic in FOLLOWED for number in known[topic.name].partitions]
                consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for name, number in partitions])
                return set(partitions)
            self._stop.wait(_RETRY_S)
        return set()

    def _change(self, message: Message, left: set[tuple[str, int]]) -> Change | None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  confluent-kafka's public name for it
                left.discard((message.topic() or "", message.partition() or 0))
            else:
                log.warning("kafka: %s", error)
            return None
        try:
            raw = Raw(message.topic() or "", (message.key() or b"").decode(), message.value())
            return None if left and self._backlog.take(raw) else self._decoded(raw)
        except _UNUSABLE as unusable:  # its writer's consumers dead-letter it; here it is skipped
            log.warning("skipped %s[%s]@%s: %s", message.topic(), message.partition(), message.offset(), unusable)
            return None

    def _worked_off(self) -> Iterator[Change]:
        """What the backlog holds; nothing once it has been worked off."""
        for raw in self._backlog.drain():
            try:
                yield self._decoded(raw)
            except _UNUSABLE as unusable:
                log.warning("skipped the row of %r in %s: %s", raw.key, raw.topic, unusable)

    def _decoded(self, raw: Raw) -> Change:
        return Change(raw.topic, raw.key, None if raw.value is None else self._decode(raw.value))

    def _decode(self, value: bytes) -> Any:
        while True:
            try:
                return self._codecs.decode(value)
            except SchemaNotCached as unknown:
                self._learn(unknown.schema_id)

    def _learn(self, schema_id: int) -> None:
        while not self._stop.is_set():
            try:
                self._on_loop(look_up(self._settings.registry, self._codecs, schema_id))
            except RegistryUnavailable as error:
                self._on_loop(self._trouble(f"waiting for the schema registry: {error}"))
                self._stop.wait(_RETRY_S)
            else:
                return
        raise Undecodable("stopped before its schema was known")

    def _look(self, meter: Consumer) -> None:
        """Measure the replica against the rooms' log. Everything read before was applied before."""
        partitions = [TopicPartition(ROOM_EVENTS.name, number) for number in range(ROOM_PARTITIONS)]
        try:
            marks = {tp.partition: meter.get_watermark_offsets(tp, timeout=_KAFKA_TIMEOUT_S) for tp in partitions}
            committed = meter.committed(partitions, timeout=_KAFKA_TIMEOUT_S)
            state = LogState(
                begins={number: begin for number, (begin, _) in marks.items()},
                ends={number: end for number, (_, end) in marks.items()},
                committed={tp.partition: tp.offset for tp in committed if tp.offset >= 0},
                log_id=read_log_id(self._settings, ROOM_EVENTS.name, _KAFKA_TIMEOUT_S),
            )
        except (KafkaException, TimeoutError) as error:
            self._on_loop(self._trouble(f"Kafka does not answer: {error or 'no reply in time'}"))
        else:
            self._on_loop(self._measure(state))

    async def _take(self, changes: list[Change], left: int) -> None:
        self._replica.partitions_left = left
        self._replica.apply(changes)

    async def _measure(self, state: LogState) -> None:
        self._replica.trouble = None
        if state.log_id is not None:
            self._on_log(state.log_id)
        self._replica.measure(state, self._clock())

    async def _trouble(self, trouble: str | None) -> None:
        if trouble != self._replica.trouble:
            log.warning("%s", trouble or "Kafka answers again")
        self._replica.trouble = trouble

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _settle(done: asyncio.Future[None], failed: BaseException | None) -> None:
    if done.done():
        return
    if failed is None:
        done.set_result(None)
    else:
        done.set_exception(failed)
