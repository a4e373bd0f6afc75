"""What must be there before a role starts: topics, schemas, tables, the building. Idempotent: a second run changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from agents.directory import fill
from infra.database import migrate
from infra.seed import seed
from schemas.errors import BuildingError
from schemas.records import Bus
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import CATALOGUE, Topic

_MOST_REPLICAS = 3
_TIMEOUT_S = 30.0


class TopicUnusable(BuildingError):
    """A topic could not be made, or is there with another number of partitions than its keys were spread over."""

    reason = "topic_unusable"


class KafkaUnanswering(BuildingError):
    """Kafka cannot be reached, or did not say what was asked of it."""

    reason = "kafka_unanswering"


async def provision(settings: Settings) -> None:
    """Make everything ready. Raises `TopicUnusable`, `KafkaUnanswering` and what the registry and the database raise."""
    await asyncio.gather(
        asyncio.to_thread(create_topics, settings.librdkafka),
        register_all(settings.registry),
        _prepare_database(settings),
    )
    await fill(settings)


async def _prepare_database(settings: Settings) -> None:
    await migrate(settings.database)
    if settings.simulator_enabled:
        await seed(settings.database, without=[Bus.zwave] if settings.zwave_is_real else [])


def create_topics(librdkafka: dict[str, str], catalogue: Iterable[Topic] = CATALOGUE) -> list[str]:
    """Create the topics that are missing and set the settings that differ; the names of those created.

    Raises `TopicUnusable`, and `KafkaUnanswering` when Kafka is away.
    """
    admin = AdminClient({**librdkafka, "log_level": "4"})  # from warnings on: it chats at its own end
    with _asking("the topics"):
        cluster = admin.list_topics(timeout=_TIMEOUT_S)
    replicas = min(_MOST_REPLICAS, len(cluster.brokers))
    missing, present = [], []
    for topic in catalogue:
        found = cluster.topics.get(topic.name)
        if found is None:
            missing.append(topic)
        elif len(found.partitions) != topic.partitions:
            raise TopicUnusable(
                f"topic {topic.name} has {len(found.partitions)} partitions, {topic.partitions} are needed: "
                "changing it moves keys to other partitions, see docs/operations.md"
            )
        else:
            present.append(topic)
    _create(admin, missing, replicas)
    _update(admin, present)
    return [topic.name for topic in missing]


def _create(admin: AdminClient, topics: list[Topic], replicas: int) -> None:
    if not topics:
        return
    wanted = [
        NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=replicas, config=_config(topic, replicas))
        for topic in topics
    ]
    _await_all(admin.create_topics(wanted, operation_timeout=_TIMEOUT_S))


def _config(topic: Topic, replicas: int) -> dict[str, str]:
    # With three copies two must have a record before it counts as acknowledged: one broker may be lost.
    return topic.config | ({"min.insync.replicas": "2"} if replicas >= _MOST_REPLICAS else {})


def _update(admin: AdminClient, topics: list[Topic]) -> None:
    if not topics:
        return
    wanted = {topic.name: topic.config for topic in topics}
    described = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in wanted])
    changes = []
    for resource, future in described.items():
        with _asking(f"the settings of {resource.name}"):
            now = future.result(_TIMEOUT_S)
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in wanted[resource.name].items()
            if now[key].value != value
        ]
        if entries:
            changes.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=entries))
    if changes:
        _await_all(admin.incremental_alter_configs(changes))


def _await_all(futures: Mapping[Any, Future[Any]]) -> None:
    for name, future in futures.items():
        try:
            future.result(_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            raise TopicUnusable(f"{name}: {_text(error)}") from error


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except (KafkaException, TimeoutError) as error:
        raise KafkaUnanswering(f"Kafka does not tell {what}: {_text(error)}") from error


def _text(error: Exception) -> str:
    known = error.args[0] if error.args else None
    return known.str() if isinstance(known, KafkaError) else str(error) or f"no answer within {_TIMEOUT_S:g} s"
