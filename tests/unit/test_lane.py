"""What a lane refuses to save, and that a worker that crashed ends."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import faust
import pytest
from faust.types import TP

from streams.lane import Batch, Lane
from streams.log_watch import LogMadeAnew, LogWatch

PARTITION = TP("a-topic", 3)


class FakeLane:
    """A lane as a batch sees it, in generation 7."""

    def __init__(self, *log_ids):
        self.failed, self.saved, self.failure = False, {}, None
        self.log_ids = iter(log_ids)
        self.app = SimpleNamespace(
            lane_consumer=SimpleNamespace(flow_active=True, lane_done={}), consumer_generation_id=7,
            log_watch=LogWatch(self.log_id_of),
        )  # fmt: skip

    async def log_id_of(self, topic):
        return next(self.log_ids)

    async def fail(self, error):
        self.failed, self.failure = True, error

    def expect(self, tp, offset, generation):
        pass


async def save(lane, *offsets, generation=7):
    """Hand a batch of these offsets over, as of a generation; whether its work was done."""
    lane.app.consumer_generation_id = generation
    batch = Batch(lane, PARTITION, [SimpleNamespace(offset=offset) for offset in offsets], generation)
    done = asyncio.Event()

    async def work():
        done.set()

    batch.save(work())
    await asyncio.wait_for(batch.flight, 5)
    return done.is_set()


async def test_offsets_that_go_back_in_another_log_stop_the_worker():
    lane = FakeLane("one", "two")
    await lane.app.log_watch.check(PARTITION.topic)
    assert await save(lane, 10, 11)
    assert await save(lane, 12)
    assert not await save(lane, 0, 1)
    assert isinstance(lane.failure, LogMadeAnew)
    assert lane.app.lane_consumer.lane_done == {PARTITION: 13}, "nothing of the new log is committed"


async def test_offsets_that_go_back_in_the_same_log_are_saved_again():
    lane = FakeLane("one", "one")
    await lane.app.log_watch.check(PARTITION.topic)
    assert await save(lane, 10, 11)
    assert await save(lane, 10, 11)
    assert lane.failure is None


async def test_after_a_rebalance_what_was_saved_may_come_again():
    lane = FakeLane()
    assert await save(lane, 10, 11)
    assert await save(lane, 10, 11, generation=8)
    assert lane.failure is None


@pytest.mark.parametrize("offsets", [(12,), (15, 16)])
async def test_offsets_that_go_on_or_leave_gaps_are_saved(offsets):
    lane = FakeLane()
    assert await save(lane, 10, 11)
    assert await save(lane, *offsets)
    assert lane.failure is None


class Fetching:
    """A consumer whose `put`s reach a real lane; `taken` are the offsets an agent was handed, `sought` where it sought back to."""

    def __init__(self, *, shut_at_first=False):
        self.flow_active, self.lane_done, self.sought, self.seeks = True, {}, [], True
        self.refused_meanwhile = None
        app = faust.App("a-test")
        app.lanes, app.read_topics, app.lane_consumer = {}, set(), self
        self.lane = Lane(app, PARTITION.topic, shut_at_first=shut_at_first)
        self.batches = []
        self.lane.channel = SimpleNamespace(send=self.send)

    async def send(self, *, value):
        self.batches.append(value)

    async def seek_back(self, places):
        self.sought.append(places[PARTITION])
        if self.refused_meanwhile is not None:
            self.lane.expect(PARTITION, self.refused_meanwhile, self.lane.app.consumer_generation_id)
        return self.seeks

    async def put(self, *offsets, generation=7):
        self.lane.app.consumer_generation_id = generation
        await self.lane.put(PARTITION, [SimpleNamespace(offset=offset) for offset in offsets], generation)

    def take(self):
        """The batch an agent gets, or None."""
        return self.batches.pop(0) if self.batches else None

    def taken(self):
        """Offsets of the next batch, saved at once."""
        batch = self.take()
        if batch is None:
            return None
        batch.flight.set_result(None)
        return [record.offset for record in batch.records]


async def test_a_shut_lane_takes_nothing_and_fetches_it_again_when_opened():
    fetching = Fetching(shut_at_first=True)
    await fetching.put(10, 11)
    await fetching.put(12)
    assert fetching.taken() is None
    await fetching.lane.open(7)
    assert fetching.sought == [10]
    await fetching.put(13)  # fetched before the seek took place
    assert fetching.taken() is None
    assert fetching.sought == [10, 10]
    await fetching.put(10, 11, 12, 13)
    assert fetching.taken() == [10, 11, 12, 13]


async def test_a_lane_opened_for_one_generation_is_shut_for_the_next():
    fetching = Fetching(shut_at_first=True)
    await fetching.lane.open(7)
    await fetching.put(10, generation=8)
    assert fetching.taken() is None
    await fetching.lane.open(8)
    await fetching.put(10, generation=8)
    assert fetching.taken() == [10]


async def test_nothing_overtakes_a_batch_that_was_dropped():
    fetching = Fetching()
    await fetching.put(0, 1)
    fetching.take().drop()
    await fetching.put(2)
    assert fetching.taken() is None
    assert fetching.sought == [0]
    await fetching.put(0, 1, 2)
    assert fetching.taken() == [0, 1, 2]


async def test_nothing_overtakes_what_came_while_the_flow_was_stopped():
    fetching = Fetching()
    await fetching.put(10)
    assert fetching.taken() == [10]
    fetching.flow_active = False
    await fetching.put(11)
    fetching.flow_active = True
    await fetching.put(12)
    assert fetching.taken() is None
    assert fetching.sought == [11]


async def test_what_a_shut_lane_refused_is_fetched_again_though_nothing_comes_after_it_and_kafka_was_away_when_it_opened():
    fetching = Fetching(shut_at_first=True)
    await fetching.put(10, 11)
    await fetching.lane.fetch_again()
    assert fetching.sought == [], "not before it opens: it would be refused again"
    fetching.seeks = False
    await fetching.lane.open(7)
    await fetching.lane.fetch_again()
    fetching.seeks = True
    await fetching.lane.fetch_again()
    await fetching.lane.fetch_again()
    assert fetching.sought == [10, 10, 10], "until Kafka has heard it, and no more"
    await fetching.put(10, 11)
    assert fetching.taken() == [10, 11]


async def test_what_was_dropped_is_fetched_again_though_nothing_comes_after_it():
    fetching = Fetching()
    await fetching.put(0, 1)
    await fetching.lane.fetch_again()
    assert fetching.sought == [], "it is in flight"
    fetching.take().drop()
    await fetching.lane.fetch_again()
    assert fetching.sought == [0]


async def test_what_is_refused_while_it_seeks_back_is_owed_as_well():
    fetching = Fetching()
    await fetching.put(5)
    fetching.take().drop()
    fetching.refused_meanwhile = 3
    await fetching.lane.fetch_again()
    fetching.refused_meanwhile = None
    await fetching.lane.fetch_again()
    assert fetching.sought == [5, 3]


async def test_what_was_refused_is_not_sought_in_the_next_generation():
    fetching = Fetching(shut_at_first=True)
    await fetching.put(10)
    fetching.lane.app.consumer_generation_id = 8
    await fetching.lane.open(8)
    await fetching.lane.fetch_again()
    assert fetching.sought == []


async def test_an_assignment_prepared_late_does_not_shut_the_lane_for_the_next():
    fetching = Fetching(shut_at_first=True)
    fetching.lane.app.consumer_generation_id = 8
    await fetching.lane.open(8)
    await fetching.lane.open(7)
    await fetching.put(10, generation=8)
    assert fetching.taken() == [10]


async def test_a_gap_of_the_logs_own_is_taken_after_one_look():
    fetching = Fetching()
    await fetching.put(10)
    assert fetching.taken() == [10]
    fetching.seeks = False  # Kafka is away
    await fetching.put(15)
    fetching.seeks = True
    await fetching.put(15)
    assert fetching.taken() is None
    assert fetching.sought == [11, 11]
    await fetching.put(15, 16)
    assert fetching.taken() == [15, 16]


async def test_a_batch_dropped_late_says_nothing_of_the_next_generation():
    fetching = Fetching()
    await fetching.put(20, generation=8)
    assert fetching.taken() == [20]
    fetching.lane.expect(PARTITION, 10, 7)
    await fetching.put(21, generation=8)
    assert fetching.taken() == [21]


def test_a_worker_that_crashed_and_hangs_ends_all_the_same():
    hanging = "import time, streams.app as app; app.CRASHED_WITHIN_S = 0.1; app.end_for_sure(); time.sleep(60)"
    assert subprocess.run([sys.executable, "-c", hanging], timeout=30, check=False).returncode == 1
