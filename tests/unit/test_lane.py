"""What a lane refuses to save, and that a worker that crashed ends."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest
from faust.types import TP

from streams.lane import Batch
from streams.log_watch import LogMadeAnew, LogWatch

PARTITION = TP("a-topic", 3)


class Lane:
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
    lane = Lane("one", "two")
    await lane.app.log_watch.check(PARTITION.topic)
    assert await save(lane, 10, 11)
    assert await save(lane, 12)
    assert not await save(lane, 0, 1)
    assert isinstance(lane.failure, LogMadeAnew)
    assert lane.app.lane_consumer.lane_done == {PARTITION: 13}, "nothing of the new log is committed"


async def test_offsets_that_go_back_in_the_same_log_are_saved_again():
    lane = Lane("one", "one")
    await lane.app.log_watch.check(PARTITION.topic)
    assert await save(lane, 10, 11)
    assert await save(lane, 10, 11)
    assert lane.failure is None


async def test_after_a_rebalance_what_was_saved_may_come_again():
    lane = Lane()
    assert await save(lane, 10, 11)
    assert await save(lane, 10, 11, generation=8)
    assert lane.failure is None


@pytest.mark.parametrize("offsets", [(12,), (15, 16)])
async def test_offsets_that_go_on_or_leave_gaps_are_saved(offsets):
    lane = Lane()
    assert await save(lane, 10, 11)
    assert await save(lane, *offsets)
    assert lane.failure is None


def test_a_worker_that_crashed_and_hangs_ends_all_the_same():
    hanging = "import time, streams.app as app; app.CRASHED_WITHIN_S = 0.1; app.end_for_sure(); time.sleep(60)"
    assert subprocess.run([sys.executable, "-c", hanging], timeout=30, check=False).returncode == 1
