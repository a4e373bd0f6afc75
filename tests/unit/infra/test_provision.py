"""What is told when Kafka is away."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra import provision
from infra.provision import KafkaUnanswering, create_topics


class Away:
    """An admin client whose broker does not answer."""

    def __init__(self, _config: object) -> None:
        pass

    def list_topics(self, timeout: float) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "Failed to get metadata: Broker transport failure"))


def test_a_kafka_that_is_away_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "AdminClient", Away)
    with pytest.raises(KafkaUnanswering) as told:
        create_topics({})
    assert str(told.value) == "Kafka does not tell the topics: Failed to get metadata: Broker transport failure"
