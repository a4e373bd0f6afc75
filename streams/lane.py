"""The batch lane: whole record lists of one partition go from Faust's fetch to an ordinary agent, and nothing overtakes.

    lane = Lane(app, topic_name)

    @app.agent(lane.channel)
    async def agent(batches):
        async for batch in batches:          # one list of records of one partition
            if batch.stale:
                batch.drop()
                continue
            rows = fold(batch.records)       # changes nothing that lasts
            batch.save(write(rows))          # makes it last; then, and only then, the offset may be committed

One batch is in flight per partition: the next list of a partition waits until the last is saved or dropped. A dropped batch is
read again by the seek that every rebalance makes, so a batch may be dropped only when it is stale. Saving must be idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import faust
from faust.types import TP

from schemas.errors import BuildingError

if TYPE_CHECKING:
    from streams.app import App

DRAIN_S: Final = 8.0
"""How long a rebalance or a stop waits for batches being saved before it drops them."""


class LoggedRecord(Protocol):
    """One record as aiokafka fetched it."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int
    """Milliseconds since 1970: the broker's stamp where the topic is LogAppendTime."""


class Stale(BuildingError):
    """Raised by the work given to `Batch.save` to give the batch up; only right where `Batch.stale` is true."""

    reason = "stale"


class Batch:
    """One fetch of one partition on its way through an agent."""

    __slots__ = ("_dropped", "_lane", "_saving", "flight", "generation", "records", "tp")

    def __init__(self, lane: Lane, tp: TP, records: Sequence[LoggedRecord], generation: int) -> None:
        self._lane = lane
        self._dropped = False
        self._saving: asyncio.Task[None] | None = None
        self.tp = tp
        self.records = records
        self.generation = generation
        self.flight: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def stale(self) -> bool:
        """Whether its partition may no longer be ours, or an earlier batch failed: drop it."""
        app = self._lane.app
        if self._dropped or self._lane.failed:
            return True
        return not app.lane_consumer.flow_active or self.generation != app.consumer_generation_id

    def drop(self) -> None:
        """Give it up: nothing is committed."""
        self._dropped = True
        if not self.flight.done():
            self.flight.set_result(None)

    def save(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background; when it ends the offset may be committed.

        `Stale` or a cancellation (a rebalance that could not wait) drops the batch; any other error stops the worker before
        anything later of any partition is committed.
        """
        if self.stale:
            work.close()
            self.drop()
        else:
            self._saving = asyncio.create_task(self._save(work))

    async def _save(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await self._stay_in_the_log(work)
            await work
            if not self._lane.failed:
                self._lane.saved[self.tp] = self.generation, self.records[-1].offset + 1
                self._lane.app.lane_consumer.lane_done[self.tp] = self.records[-1].offset + 1
        except (Stale, asyncio.CancelledError):
            self._dropped = True
        except Exception as error:
            await self._lane.fail(error)
        finally:
            self.drop()

    async def _stay_in_the_log(self, work: Coroutine[Any, Any, None]) -> None:
        """Look, when offsets go back within an assignment, whether the topic became another log. Raises `LogMadeAnew`.

        A seek to the committed offset, as Faust makes one when it starts, brings back what was saved and not committed yet.
        """
        generation, following = self._lane.saved.get(self.tp, (self.generation, 0))
        if generation == self.generation and self.records[0].offset < following:
            try:
                await self._lane.app.log_watch.check_until_known(self.tp.topic)
            except BaseException:
                work.close()
                raise

    async def settle(self) -> None:
        """End it one way or the other within `DRAIN_S`: saved if its saving has begun, else dropped."""
        if self._saving is None:
            self.drop()
            return
        await asyncio.wait({self._saving}, timeout=DRAIN_S)
        if self._saving.cancel():
            await asyncio.wait({self._saving})


class LaneChannel(faust.Channel[Batch]):
    """A channel whose queue is never cleared: Faust clears its own when recovery ends, and with it what came after the seek.

    A batch of an earlier assignment is known by its generation, so there is nothing to clear.
    """

    @property
    def queue(self) -> Any:
        """The queue of this channel."""
        if self._queue is None:
            self._queue = self.app.FlowControlQueue(maxsize=self.maxsize or 0, clear_on_resume=False)
        return self._queue


class Lane:
    """One topic of an app, consumed in batches by one agent on `channel`."""

    def __init__(self, app: App, topic: str) -> None:
        self.app = app
        self.topic = app.topic(topic, key_type=bytes, value_type=bytes)
        self.channel = LaneChannel(app, maxsize=64)
        self.failed = False
        """Set by the first failure, never cleared: the worker is going down."""
        self._in_flight: dict[TP, Batch] = {}
        self._attended: set[asyncio.Task[None]] = set()
        self.saved: dict[TP, tuple[int, int]] = {}
        """Per partition the generation in which it was last saved, and the next offset."""
        app.lanes[topic] = self
        app.read_topics.add(topic)

    async def put(self, tp: TP, records: Sequence[LoggedRecord], generation: int) -> None:
        """Hand over one fetch, fetched in `generation`, once the partition's last batch is done."""
        before = self._in_flight.get(tp)
        if before is not None:
            await asyncio.wait({before.flight})
        batch = Batch(self, tp, records, generation)
        if batch.stale:
            return
        self._in_flight[tp] = batch
        await self.channel.send(value=batch)

    def attend(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work beside the batches that, like them, must be over before partitions change hands; errors as in `Batch.save`."""
        task = asyncio.create_task(self._attend(work))
        self._attended.add(task)
        task.add_done_callback(self._attended.discard)
        return task

    async def _attend(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Stale:
            return
        except Exception as error:
            await self.fail(error)

    async def drain(self) -> None:
        """Wait until nothing is in flight."""
        for task in list(self._attended):
            task.cancel()
        if self._attended:
            await asyncio.wait(self._attended)
        await asyncio.gather(*(batch.settle() for batch in self._in_flight.values() if not batch.flight.done()))

    async def fail(self, error: BaseException) -> None:
        """Stop the worker: from now on no batch of this lane is saved or committed."""
        self.failed = True
        await self.app.crash(error)
