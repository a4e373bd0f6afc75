"""Sends hold on while Kafka is away, and give up when the partition may be somebody else's."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError, RequestTimedOutError

from streams import delivery
from streams.delivery import until_acknowledged
from streams.lane import Stale
from streams.pulse import Fenced


@pytest.fixture(autouse=True)
def told(monkeypatch):
    statuses = []
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(delivery, "notify", lambda **said: statuses.append(said["status"]))
    return statuses


class Kafka:
    """Answers each attempt with the next outcome: an error or None."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.attempts = 0

    async def send(self):
        self.attempts += 1
        outcome = self.outcomes.pop(0)
        acked, answer = (asyncio.get_running_loop().create_future() for _ in range(2))
        acked.set_result(None)
        answer.set_exception(outcome) if outcome else answer.set_result(None)
        return [acked, answer]


@pytest.mark.parametrize("error", [Fenced("?"), KafkaTimeoutError(), RequestTimedOutError(), KafkaConnectionError()])
async def test_an_error_that_passes_is_waited_out_and_told(error, told):
    kafka = Kafka(error, error, None)
    await until_acknowledged(kafka.send, lambda: False)
    assert kafka.attempts == 3
    assert "waiting for Kafka" in told[0]
    assert told[-1] == ""


async def test_a_record_kafka_refuses_is_not_sent_for_ever():
    kafka = Kafka(MessageSizeTooLargeError())
    with pytest.raises(MessageSizeTooLargeError):
        await until_acknowledged(kafka.send, lambda: False)
    assert kafka.attempts == 1


async def test_a_batch_of_a_lost_partition_is_given_up_after_the_failure():
    kafka = Kafka(Fenced("?"), None)
    with pytest.raises(Stale):
        await until_acknowledged(kafka.send, lambda: True)
    assert kafka.attempts == 1


async def test_an_error_while_handing_over_counts_like_one_of_the_acknowledgement():
    async def send():
        raise KafkaConnectionError

    with pytest.raises(Stale):
        await until_acknowledged(send, lambda: True)
