"""The batch lane leans on private names of Faust and aiokafka. When either changes one, this says which, before anything runs."""

import inspect
from importlib.metadata import version

import faust
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch
from aiokafka.producer.sender import Sender
from faust.stores.memory import Store
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers import aiokafka as driver
from faust.web.drivers.aiohttp import Web

LEANED_ON = [
    (driver.Consumer, "_new_consumer_thread", "(self) -> "),
    (BaseConsumer, "_wait_next_records", "(self, timeout: float) -> "),
    (driver.Consumer, "_getmany", "(self, active_partitions: "),
    (driver.Consumer, "seek_wait", "(self, partitions: "),
    (BaseConsumer, "_filter_tps_with_pending_acks", "(self, topics: "),
    (BaseConsumer, "_new_offset", "(self, tp: "),
    (BaseConsumer, "wait_empty", "(self) -> "),
    (driver.AIOKafkaConsumerThread, "on_start", "(self) -> "),
    (driver.AIOKafkaConsumerThread, "_verify_aiokafka_event_path", "(self, now: float, tp: "),
    (BaseConsumer, "verify_event_path", "(self, now: float, tp: "),
    (driver.Producer, "_new_producer", "(self, transactional_id: "),
    (driver.Producer, "key_partition", "(self, topic: str, key: bytes) -> "),
    (faust.App, "_new_transport", "(self) -> "),
    (faust.App, "_new_web", "(self) -> "),
    (faust.App, "_on_agent_error", "(self, agent: "),
    (faust.App, "FlowControlQueue", "(self, maxsize: "),
    (faust.Table, "apply_changelog_batch", "(self, batch: "),
    (Web, "json", "(self, value: Any, *, "),
    (GroupCoordinator, "_do_heartbeat", "(self)"),
    (GroupCoordinator, "_on_join_complete", "(self, generation, member_id, "),
    (Sender, "_send_produce_req", "(self, node_id, batches)"),
    (MessageBatch, "failure", "(self, exception)"),
]
WRITTEN_IN = [
    (driver.AIOKafkaConsumerThread.on_start, "self._consumer = "),
    (driver.Producer.on_start, "self._producer = self._new_producer()"),
    (driver.ConsumerRebalanceListener.on_partitions_assigned, "app.consumer_generation_id = generation"),
    (AIOKafkaProducer.__init__, "self._sender = Sender("),
    (Sender.__init__, "self._in_flight = set()"),
    (Sender.__init__, "self._muted_partitions = set()"),
    (Sender._sender_routine, "self._send_produce_req(node_id, node_batches)"),
    (Sender._send_produce_req, "self._in_flight.remove(node_id)"),
    (Sender._send_produce_req, "self._muted_partitions.remove(tp)"),
    (MessageAccumulator._pop_batch, "batch.future.add_done_callback(cb)"),
    (GroupCoordinator._heartbeat_routine, "success = await self._do_heartbeat()"),
    (GroupCoordinator._do_rejoin_group, "await self._on_join_complete("),
    (GroupCoordinator.__init__, "self.generation = OffsetCommitRequest.DEFAULT_GENERATION_ID"),
    (Store.__post_init__, "self._key_partition"),
    (Store.on_recovery_completed, "self._key_partition.items()"),
    (BaseConsumer.verify_all_partitions_active, "self.verify_event_path(now, tp)"),
    (BaseConsumer.getmany, "await self._wait_next_records(timeout)"),
    (BaseConsumer._wait_next_records, "await self._getmany("),
    (BaseConsumer._filter_committable_offsets, "self._new_offset(tp)"),
    (BaseConsumer.force_commit, "self._filter_tps_with_pending_acks(topics)"),
    (Recovery.on_recovery_completed, "self.app.on_rebalance_complete.send()"),
    (Recovery.on_recovery_completed, "consumer.perform_seek()"),
    (faust.App._on_partitions_revoked, "self._consumer_wait_empty"),
]


def test_the_versions_the_lane_was_written_against():
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


@pytest.mark.parametrize(("owner", "name", "signature"), LEANED_ON, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_private_name_is_there_with_its_signature(owner, name, signature):
    found = str(inspect.signature(getattr(owner, name)))
    assert found.startswith(signature), f"{owner.__name__}.{name} is now {found}"


@pytest.mark.parametrize(("function", "line"), WRITTEN_IN, ids=lambda value: getattr(value, "__qualname__", str(value)))
def test_a_step_the_lane_builds_on_is_still_taken(function, line):
    assert line in inspect.getsource(function), f"{function.__qualname__} no longer has {line!r}"
