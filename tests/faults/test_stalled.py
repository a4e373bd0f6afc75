"""A worker that hangs while Kafka answers ends itself, and the next one does what lay waiting; one given nothing asks again."""

import asyncio
import sys

import msgspec
import pytest

from infra.provision import provision
from tests.conftest import start_services, stop_services, test_settings
from tests.folding import Load, assert_live_equals_offline, codecs_of, wait_caught_up
from tests.processes import Running, home_of_its_own, role, role_part, wait_until

HANGING = """
import asyncio, os, pathlib, sys
import streams.stall_watch, streams.transport
from streams.settings import read_settings
from streams.worker import run_role

streams.stall_watch.watch_for_stalls.__kwdefaults__["every_s"] = 0.5
fetch = streams.transport.Consumer._wait_next_records

async def fetch_until_told(self, timeout):
    while pathlib.Path(sys.argv[1]).exists():
        pathlib.Path(sys.argv[1] + "-hangs").touch()
        await asyncio.sleep(0.1)
    return await fetch(self, timeout)

streams.transport.Consumer._wait_next_records = fetch_until_told
run_role("rooms", read_settings(os.environ))
"""


@pytest.mark.parametrize("hangs", ["while it recovers", "while it folds"])
def test_a_worker_that_hangs_is_ended_and_the_next_folds_what_it_left(stack, tmp_path, hangs):
    load = Load(stack, codecs_of(stack), rooms=5, seed=len(hangs), prefix="stalled")
    load.introduce()
    with role("rooms", stack):  # rows to recover
        load.read(300)
        load.flush()
        wait_caught_up(stack)
    told = tmp_path / "hang"
    hanging = msgspec.structs.replace(
        role_part("rooms", stack, label="rooms-hanging"), argv=(sys.executable, "-c", HANGING, str(told))
    )
    worker = Running(hanging, tmp_path)
    try:
        if hangs == "while it folds":
            worker.start()
            told.touch()
        else:
            told.touch()
            worker.launch()
        wait_until((tmp_path / "hang-hangs").exists, "the worker hangs", 60)
        load.read(500)
        load.flush()
        assert worker.process.wait(60) != 0
        assert "records wait, and" in worker.log.read_text()
    finally:
        worker.stop()
    with role("rooms", stack):
        wait_caught_up(stack)
    assert_live_equals_offline(stack)


def test_a_worker_that_was_given_nothing_since_kafka_named_no_topics_asks_again_within_seconds():
    with home_of_its_own("early") as home:
        services = start_services(test_settings(home))
        worker = Running(role_part("rooms", services.settings), home / "logs")
        try:
            worker.launch()
            wait_until(lambda: "Ignoring missing topic" in worker.log.read_text(), "it has shared out nothing")
            asyncio.run(provision(services.settings))
            wait_until(lambda: "partitions [0, 1," in worker.log.read_text(), "it folds the building's log", 30)
        finally:
            worker.stop()
            stop_services(services.running)
