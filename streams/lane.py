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

One batch is in flight per partition: the next list of a partition waits until the last is saved or dropped. Within one assignment
a partition's batches follow on without a gap: what was dropped, or refused while the lane was shut, is fetched again before
anything later is taken. Saving must be idempotent.
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

    __slots__ = ("_lane", "_saving", "flight", "generation", "records", "tp")

    def __init__(self, lane: Lane, tp: TP, records: Sequence[LoggedRecord], generation: int) -> None:
        self._lane = lane
        self._saving: asyncio.Task[None] | None = None
        self.tp = tp
        self.records = records
        self.generation = generation
        self.flight: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def stale(self) -> bool:
        """Whether it is over, its partition may no longer be ours, or an earlier batch failed: drop it."""
        app = self._lane.app
        if self.flight.done() or self._lane.failed:
            return True
        return not app.lane_consumer.flow_active or self.generation != app.consumer_generation_id

    def drop(self) -> None:
        """Give it up: nothing is committed, and its records come again."""
        if not self.flight.done():
            self._lane.expect(self.tp, self.records[0].offset, self.generation)
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
                self.flight.set_result(None)
        except (Stale, asyncio.CancelledError):
            pass
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
    """One topic of an app, consumed in batches by one agent on `channel`.

    A lane that is `shut_at_first` takes nothing of an assignment until it is opened for its generation.
    """

    def __init__(self, app: App, topic: str, *, shut_at_first: bool = False) -> None:
        self.app = app
        self._shut_at_first = shut_at_first
        self.holds = False
        """Whether the consumer waits here for a batch in hand, and fetches nothing for any other partition meanwhile."""
        self._opened = -1
        self._next: dict[TP, tuple[int, int]] = {}
        """Per partition the generation and the offset that the next batch must not begin behind."""
        self._owed: set[TP] = set()
        """Partitions on which something was refused or dropped and is still to be sought back to, at their place in `_next`."""
        self._sought: dict[TP, tuple[int, int]] = {}
        """Where a gap was sought back to: a gap that stays after that is the log's own (records deleted by retention)."""
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

    async def open(self, generation: int) -> None:
        """Take batches of this generation from now on, and fetch again what was refused of it."""
        self._opened = max(self._opened, generation)
        owed = self._owed_now()
        if owed:
            await self.app.lane_consumer.seek_back(owed)  # `fetch_again` comes back to it: what is being fetched may lie behind

    async def fetch_again(self) -> None:
        """Seek back to what was refused or dropped; before every fetch.

        Nothing that comes later on the partition may be waited for: when a building is quiet, nothing does.
        """
        owed = self._owed_now()
        if owed and await self.app.lane_consumer.seek_back(owed):
            self._owed -= {tp for tp, offset in owed.items() if self._next[tp][1] == offset}  # not what was refused meanwhile

    def _owed_now(self) -> dict[TP, int]:
        generation = self.app.consumer_generation_id
        self._owed = {tp for tp in self._owed if self._next[tp][0] == generation}  # a rebalance has set the others' positions anew
        if not self.app.lane_consumer.flow_active or self._is_shut(generation):
            return {}
        return {tp: self._next[tp][1] for tp in self._owed if not self.in_hand(tp)}

    def _is_shut(self, generation: int) -> bool:
        return self._shut_at_first and self._opened != generation

    @property
    def attends(self) -> bool:
        """Whether there is work beside the batches."""
        return bool(self._attended)

    def in_hand(self, tp: TP) -> bool:
        """Whether a batch of this partition is in flight."""
        return tp in self._in_flight and not self._in_flight[tp].flight.done()

    def expect(self, tp: TP, offset: int, generation: int) -> None:
        """Take nothing later of this partition in this generation before the record at `offset`."""
        if generation != self.app.consumer_generation_id:
            return  # its positions are over: the next assignment has set others
        since, following = self._next.get(tp, (generation, offset))
        self._next[tp] = generation, min(offset, following) if since == generation else offset
        self._owed.add(tp)

    async def put(self, tp: TP, records: Sequence[LoggedRecord], generation: int) -> None:
        """Hand over one fetch, fetched in `generation`, once the partition's last batch is done.

        Faust may fetch a partition it has paused, during a recovery, and seek back only later: what cannot be taken now is
        never skipped.
        """
        before = self._in_flight.get(tp)
        if before is not None:
            self.holds = True
            try:
                await asyncio.wait({before.flight})
            finally:
                self.holds = False
        batch = Batch(self, tp, records, generation)
        if batch.stale or self._is_shut(generation):
            self.expect(tp, records[0].offset, generation)
            return
        since, following = place = self._next.get(tp, (generation, records[0].offset))
        if since == generation and records[0].offset > following and self._sought.get(tp) != place:
            self._owed.add(tp)
            if await self.app.lane_consumer.seek_back({tp: following}):
                self._sought[tp] = place
                self._owed.discard(tp)
            return
        self._owed.discard(tp)
        self._sought.pop(tp, None)
        self._next[tp] = generation, records[-1].offset + 1
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
