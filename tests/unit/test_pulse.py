"""A worker the group has not confirmed within its session sends nothing, new or waiting."""

import asyncio

import pytest

from streams.pulse import Fenced, Pulse
from streams.transport import fence, watch_heartbeats


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pulse(clock):
    return Pulse(session_s=10, clock=clock)


def test_a_session_counts_from_when_the_coordinator_was_asked(pulse, clock):
    assert not pulse.alive
    asked_at = pulse.now()
    clock.now += 4
    pulse.confirmed(asked_at)
    clock.now += 5
    assert pulse.alive
    clock.now += 2
    assert not pulse.alive


def test_a_no_ends_it_at_once(pulse):
    pulse.confirmed(pulse.now())
    pulse.lost()
    assert not pulse.alive


class Coordinator:
    generation = 4
    answer = True

    async def _do_heartbeat(self):
        return self.answer

    async def _on_join_complete(self, *_):
        return None


async def test_heartbeats_and_joins_reach_the_pulse(pulse, clock):
    coordinator = Coordinator()
    watch_heartbeats(coordinator, pulse)
    await coordinator._on_join_complete(5, "member", "protocol", b"")
    assert pulse.alive
    clock.now += 9
    assert await coordinator._do_heartbeat() is True
    clock.now += 9
    assert pulse.alive
    coordinator.answer = False
    assert await coordinator._do_heartbeat() is False
    assert pulse.alive, "a coordinator that did not answer has not given our partitions away yet"
    coordinator.generation = -1
    await coordinator._do_heartbeat()
    assert not pulse.alive


class Sender:
    def __init__(self):
        self.sent = []
        self._in_flight = {1}
        self._muted_partitions = {"p0", "p1", "p2"}

    async def _send_produce_req(self, node_id, batches):
        self.sent.append((node_id, batches))


class Batch:
    def __init__(self):
        self.future = asyncio.get_running_loop().create_future()

    def failure(self, exception):
        self.future.set_exception(exception)


async def test_batches_waiting_in_the_producer_fail_instead_of_going_out_late(pulse, clock):
    class Producer:
        _sender = Sender()

    sender = Producer._sender
    fence(Producer, pulse)
    pulse.confirmed(pulse.now())
    await sender._send_produce_req(1, {"p0": Batch()})
    assert len(sender.sent) == 1
    clock.now += 60
    late = {"p1": Batch(), "p2": Batch()}
    await sender._send_produce_req(1, late)
    assert len(sender.sent) == 1
    for batch in late.values():
        with pytest.raises(Fenced):
            await batch.future
    assert sender._in_flight == set()
    assert sender._muted_partitions == {"p0"}
