"""Whatever happens to rooms workers and the broker: the tables equal the offline fold, and no command has two contents."""

import os
import random
import time

import msgspec
import pytest

from streams.keys import partition_of
from streams.topics import ROOM_PARTITIONS
from tests.folding import Load, assert_live_equals_offline, codecs_of, committed, group_members, wait_caught_up
from tests.processes import Running, free_port, role, role_part, wait_until


@pytest.fixture(scope="module")
def codecs(stack):
    return codecs_of(stack)


@pytest.fixture
def load(stack, codecs, request):
    """Rooms of this test's own, introduced."""
    load = Load(stack, codecs, rooms=50, seed=len(request.node.name), prefix=request.node.name[:24])
    load.introduce()
    return load


def test_killed_at_ten_random_moments_in_mid_stream(stack, load, record_property):
    seed = int(os.environ.get("ATRIUM_TEST_SEED") or random.randrange(1_000_000))
    print(f"the same moments again: ATRIUM_TEST_SEED={seed}")
    record_property("seed", seed)
    moments = random.Random(seed)
    worker = Running(role_part("rooms", stack), stack.home / "logs")
    try:
        for _ in range(10):
            worker.launch()
            worker.wait_ready()
            under_load(load, moments.uniform(0.05, 2.5), 4_000)
            worker.kill()
        load.flush()
        worker.start()
        wait_caught_up(stack)
    finally:
        worker.stop()
    assert_live_equals_offline(stack)


def test_of_two_workers_one_is_killed_and_the_other_takes_over_within_30_s(stack, load):
    second = msgspec.structs.replace(stack, rooms_web_port=free_port())
    with role("rooms", stack) as first, role("rooms", second, label="rooms-2"):
        wait_until(lambda: group_members(stack) == 2, "two members share the log")
        load.read(3_000)
        load.flush()
        wait_caught_up(stack)
        load.read(3_000)
        first.kill()
        killed_at = time.monotonic()
        load.read(3_000)
        load.flush()
        wait_caught_up(stack, within_s=30)
        assert time.monotonic() - killed_at < 30
    assert_live_equals_offline(stack)


def test_a_worker_frozen_for_60_s_under_load_does_no_harm_when_it_wakes(stack, load):
    second = msgspec.structs.replace(stack, rooms_web_port=free_port())
    with role("rooms", stack) as first, role("rooms", second, label="rooms-2"):
        wait_until(lambda: group_members(stack) == 2, "two members share the log")
        under_load(load, 2)
        first.freeze()
        try:
            before = committed(stack)
            under_load(load, 60)
            moved = {p for p, offset in committed(stack).items() if offset > before[p]}
            assert moved >= {partition_of(room_id, ROOM_PARTITIONS) for room_id in load.room_ids}
        finally:
            first.thaw()
        under_load(load, 3)
        load.flush()
        wait_caught_up(stack)
        wait_until(lambda: group_members(stack) == 2, "the woken worker is back in the group", 60)
        under_load(load, 1)
        load.flush()
        wait_caught_up(stack)
    assert_live_equals_offline(stack)


def under_load(load: Load, seconds: float, per_second: int = 500) -> None:
    """Write at a steady rate."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        load.read(per_second // 10)
        time.sleep(max(0.0, 0.1 - (time.monotonic() - started)))


def test_the_broker_killed_and_away_for_30_s_loses_nothing_acknowledged(services, stack, load):
    with role("rooms", stack) as worker:
        under_load(load, 2)
        services.broker.kill()
        try:
            load.read(2_000)
            time.sleep(30)
        finally:
            services.broker.start()
        load.read(2_000)
        load.flush()
        wait_caught_up(stack)
        assert worker.process.poll() is None, "the worker did not survive the broker's absence"
    assert_live_equals_offline(stack)


def test_the_registry_away_is_a_pause_not_a_dead_letter(services, stack, load, codecs):
    """A schema id never seen before cannot be judged while the registry is away."""
    from schemas.records import Kind, Reading
    from tests.folding import fold_offline

    good = codecs.encode(Reading(10_000, Kind.temperature_c, 20.0, load.now()))
    with role("rooms", stack) as worker:
        wait_caught_up(stack)
        services.registry.kill()
        try:
            load.write(load.room_ids[0], b"\x00\x7f\xff\xff\xfe" + good[5:])
            load.write(load.room_ids[0], good)
            load.flush()
            wait_until(lambda: any("registry" in status for status in worker.read_statuses()), "the worker says it waits")
        finally:
            services.registry.start()
        wait_caught_up(stack)
        assert worker.read_statuses()[-1] == ""
    assert_live_equals_offline(stack)
    assert "unknown_schema" in fold_offline(stack).rejects.values()
