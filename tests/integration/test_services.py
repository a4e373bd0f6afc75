"""The embedded services keep what they were given, through a stop, a kill and a second provisioning."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import msgspec
import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType
from confluent_kafka.schema_registry import SchemaRegistryClient

from infra.provision import TopicUnusable, create_topics, provision
from schemas.codecs import PUBLIC, subject_of
from streams.topics import CATALOGUE, DEAD_LETTERS, ROOM_EVENTS
from tests.conftest import Services
from tests.processes import wait_until


@pytest.fixture(scope="module")
def provisioned(services: Services) -> Iterator[Services]:
    asyncio.run(provision(services.settings))
    yield services


def read_all(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test-services", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + 30
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            values.append(message.value() or b"")
    consumer.close()
    return values


def test_provisioning_makes_every_topic_as_the_catalogue_says(provisioned: Services) -> None:
    admin = AdminClient(provisioned.settings.librdkafka)
    topics = admin.list_topics(timeout=10).topics
    assert {topic.name: len(topics[topic.name].partitions) for topic in CATALOGUE} == {
        topic.name: topic.partitions for topic in CATALOGUE
    }
    [described] = admin.describe_configs([ConfigResource(ResourceType.TOPIC, ROOM_EVENTS.name)]).values()
    config = described.result(10)
    assert config["message.timestamp.type"].value == "LogAppendTime"
    assert config["retention.ms"].value == str(7 * 24 * 3600 * 1000)


def test_a_setting_that_drifted_is_put_back(provisioned: Services) -> None:
    librdkafka = provisioned.settings.librdkafka
    longer = msgspec.structs.replace(DEAD_LETTERS, retention=timedelta(days=40))
    assert create_topics(librdkafka, [longer]) == []
    wait_until(lambda: _retention(librdkafka) == str(40 * 24 * 3600 * 1000), "40 days are kept")
    assert create_topics(librdkafka) == []
    wait_until(lambda: _retention(librdkafka) == str(30 * 24 * 3600 * 1000), "30 days are kept again")


def _retention(librdkafka: dict[str, str]) -> str:
    admin = AdminClient(librdkafka)
    [described] = admin.describe_configs([ConfigResource(ResourceType.TOPIC, DEAD_LETTERS.name)]).values()
    return str(described.result(10)["retention.ms"].value)


def test_another_number_of_partitions_is_refused_not_repaired(provisioned: Services) -> None:
    admin = AdminClient(provisioned.settings.librdkafka)
    admin.create_topics([NewTopic("building.odd", num_partitions=3, replication_factor=1)])["building.odd"].result(10)
    wait_until(lambda: "building.odd" in admin.list_topics(timeout=10).topics, "the topic is listed")
    odd = msgspec.structs.replace(DEAD_LETTERS, name="building.odd")
    with pytest.raises(TopicUnusable, match="has 3 partitions, 1 are needed"):
        create_topics(provisioned.settings.librdkafka, [odd])
    admin.delete_topics(["building.odd"])["building.odd"].result(10)


def test_kafka_killed_and_started_again_has_every_acknowledged_record(provisioned: Services) -> None:
    bootstrap = provisioned.settings.kafka
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic("test.kept", 1, 1)])["test.kept"].result(10)
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "enable.idempotence": True})
    acknowledged: list[bytes] = []

    def note(error: KafkaError | None, message: Message) -> None:
        if error is None:
            acknowledged.append(message.value() or b"")

    for number in range(2000):
        producer.produce("test.kept", str(number).encode(), on_delivery=note)
    producer.flush(20)
    provisioned.broker.kill()
    provisioned.broker.start()
    assert len(acknowledged) == 2000
    assert read_all(bootstrap, "test.kept", 2000) == acknowledged


def test_schema_ids_outlive_a_killed_registry(provisioned: Services) -> None:
    def ids() -> dict[str, int]:
        client = SchemaRegistryClient({"url": provisioned.settings.registry})
        return {subject: client.get_latest_version(subject).schema_id for subject in client.get_subjects()}

    before = ids()
    provisioned.registry.kill()
    provisioned.registry.start()
    assert set(before) >= {subject_of(record) for record in PUBLIC}
    assert ids() == before


def test_the_database_outlives_a_killed_server(provisioned: Services) -> None:
    async def rooms() -> list[str]:
        db = await asyncpg.connect(provisioned.settings.database)
        try:
            return [row["room_id"] for row in await db.fetch("SELECT room_id FROM building.rooms ORDER BY room_id")]
        finally:
            await db.close()

    before = asyncio.run(rooms())
    children = psutil.Process(provisioned.postgres.pid).children(recursive=True)
    provisioned.postgres.kill()
    psutil.wait_procs(children, timeout=60)  # until then they hold the shared memory, and no other server starts
    provisioned.postgres.start()
    assert {"1", "2", "10", "11"} <= set(before)  # beside the rooms other tests recorded
    assert asyncio.run(rooms()) == before
