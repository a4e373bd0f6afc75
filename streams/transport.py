"""Faust's Kafka transport with three additions: the batch lane's fetch, row restore, and a producer that fences itself.

Every private name of Faust and aiokafka used here is pinned by tests/unit/test_private_names.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import aiokafka
from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.keys import partition_of
from streams.pulse import Fenced, Pulse

if TYPE_CHECKING:
    from streams.app import App


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Notes every word of the group's coordinator in the app's pulse."""

    async def on_start(self) -> None:
        """Connect, then listen to the heartbeats."""
        await super().on_start()
        watch_heartbeats(self._consumer._coordinator, cast("App", self.app).pulse)  # type: ignore[union-attr]  # noqa: SLF001


def watch_heartbeats(coordinator: Any, pulse: Pulse) -> None:
    """Wrap an aiokafka group coordinator so that heartbeats and joins reach the pulse."""
    heartbeat, joined = coordinator._do_heartbeat, coordinator._on_join_complete  # noqa: SLF001

    async def do_heartbeat() -> bool:
        asked_at = pulse.now()
        confirmed = bool(await heartbeat())
        if confirmed:
            pulse.confirmed(asked_at)
        elif coordinator.generation < 0:  # reset by the answer: the coordinator does not know us any more
            pulse.lost()
        return confirmed

    async def on_join_complete(*args: Any) -> None:
        pulse.confirmed(pulse.now())
        await joined(*args)

    coordinator._do_heartbeat = do_heartbeat  # noqa: SLF001
    coordinator._on_join_complete = on_join_complete  # noqa: SLF001


class Consumer(driver.Consumer):
    """Hands the record lists of lane topics to their lanes and changelog rows to their tables; the rest goes Faust's way."""

    app: App

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lane_done: dict[TP, int] = {}
        """Per lane partition the offset that may be committed."""
        self.restoring = False
        """Whether rows of a changelog are in hand."""
        self.restored = 0
        """How many changelog records have been taken."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        for lane in self.app.lanes.values():
            await lane.fetch_again()
        fetched, active = await super()._wait_next_records(timeout)
        records = cast("dict[TP, list[Any]]", fetched)
        if not records or not self.flow_active:
            return records, active
        generation = self.app.consumer_generation_id  # before any wait: a rebalance may come and go while a lane is busy
        for tp in list(records):
            if tp.topic in self.app.restores:
                await self._restore(tp, records[tp])
                records[tp] = records[tp][-1:]  # Faust needs only to see how far it has come
        for tp in [tp for tp in records if tp.topic in self.app.lanes]:
            if not self.flow_active:
                return records, active  # what is left makes getmany seek back
            if generation != self.app.consumer_generation_id:
                return {}, active  # rebalanced since: the seek that came with it reads all of these again
            await self.app.lanes[tp.topic].put(TP(tp.topic, tp.partition), records.pop(tp), generation)
        return records, active

    async def _restore(self, tp: Any, records: list[Any]) -> None:
        self.restoring = True
        try:
            await self.app.restores[tp.topic].restore(tp.partition, records)
        finally:
            self.restoring = False
        self.restored += len(records)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        # A copy: Faust may pause every partition before the fetch begins, and an empty set means all of them to aiokafka.
        return await super()._getmany(active_partitions and set(active_partitions), timeout)

    async def seek_back(self, places: Mapping[TP, int]) -> bool:
        """Fetch on from these offsets; False when a rebalance or an outage came between, after which positions are set anew."""
        try:
            await self.seek_wait(dict(places))
        except (IllegalStateError, KafkaError, TimeoutError) as error:
            self.log.warning("not sought back to %r: %r", places, error)
            return False
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        yield from (tp for tp in list(self.lane_done) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic in self.app.lanes:
            return self.lane_done.pop(tp, None)
        return super()._new_offset(tp)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Complain, as Faust does every few seconds, of a partition that is not fetched.

        Its further complaints are about streams that take no event for five minutes. A lane hands its records past Faust's streams
        and a recovered changelog is read by nobody: both would be called hanging for ever.
        """
        if tp.topic in self.app.lanes:
            self._thread._verify_aiokafka_event_path(now, tp)  # noqa: SLF001 - pinned

    async def wait_empty(self) -> None:
        """Finish what the lanes have in flight, then what Faust has, then commit: on revoke and on stop."""
        for lane in self.app.lanes.values():
            await lane.drain()
        await super().wait_empty()
        self.lane_done.clear()


class Producer(driver.Producer):
    """An aiokafka producer that sends nothing, new or waiting, once this worker may have lost its partitions."""

    app: App

    def _new_producer(self, transactional_id: str | None = None) -> aiokafka.AIOKafkaProducer:
        producer = super()._new_producer(transactional_id)
        fence(producer, self.app.pulse)
        return producer

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Place a key as every producer of the building does; Faust's own way knows only topics it has sent to."""
        partitions = self.app.consumer.topic_partitions(topic)
        return TP(topic, partition_of(key, partitions)) if partitions else super().key_partition(topic, key)


def fence(producer: aiokafka.AIOKafkaProducer, pulse: Pulse) -> None:
    """Make a producer fail its batches with `Fenced` at the last moment before they would leave, unless the pulse is alive."""
    sender = producer._sender  # noqa: SLF001
    send = sender._send_produce_req  # noqa: SLF001

    async def send_while_alive(node_id: int, batches: Mapping[Any, Any]) -> None:
        if pulse.alive:
            await send(node_id, batches)
            return
        for batch in batches.values():
            batch.failure(exception=Fenced("the group has not confirmed this worker within its session"))
        sender._in_flight.remove(node_id)  # noqa: SLF001
        sender._muted_partitions.difference_update(batches)  # noqa: SLF001

    sender._send_produce_req = send_while_alive  # noqa: SLF001


class Transport(driver.Transport):
    """Kafka transport with the classes above."""

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer
