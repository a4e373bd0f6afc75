"""A worker ends when a topic it reads has become another log, and only then."""

import pytest
from confluent_kafka import KafkaException

from streams.log_watch import LogMadeAnew, LogWatch


class Enough(Exception):
    pass


async def crash_after(answers):
    """The error the watch crashes with, fed these answers of Kafka's."""
    left = iter(answers)
    crashed = []

    async def log_id_of(topic):
        answer = next(left, None)
        if answer is None:
            raise Enough
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def crash(error):
        crashed.append(error)

    try:
        await LogWatch(log_id_of).watch("a-topic", crash, every_s=0)
    except Enough:
        assert not crashed
        return None
    return crashed[0]


async def test_the_same_log_for_ever_is_no_reason():
    assert await crash_after(["one", "one", "one"]) is None


@pytest.mark.parametrize("away", [KafkaException("unknown topic"), TimeoutError()])
async def test_a_topic_that_is_away_and_comes_back_the_same_is_no_reason(away):
    assert await crash_after([away, "one", away, away, "one"]) is None


async def test_another_log_ends_the_worker_and_says_which():
    error = await crash_after(["one", KafkaException("unknown topic"), "two"])
    assert isinstance(error, LogMadeAnew)
    assert "one" in str(error)
    assert "two" in str(error)
