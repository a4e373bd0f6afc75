"""A schema met for the first time is looked up; a registry that is away is waited for, and the role says so."""

import pytest

from schemas.codecs import PUBLIC, Codecs, schema_text
from schemas.errors import RegistryUnavailable, Undecodable, UnknownSchema
from schemas.records import Tick
from streams import decoding
from streams.decoding import decode

IDS = {cls: number for number, cls in enumerate(PUBLIC, start=1)}
THERE = Codecs({**IDS, Tick: 99})


@pytest.fixture
def told(monkeypatch):
    statuses = []
    monkeypatch.setattr(decoding, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(decoding, "notify", lambda **said: statuses.append(said["status"]))
    return statuses


def registry(monkeypatch, *answers):
    """Answers each question with the next: an error, or None for the schema of Tick."""
    left = list(answers)

    async def look_up(url, codecs, schema_id):
        answer = left.pop(0)
        if answer is not None:
            raise answer
        codecs.learn(schema_id, schema_text("atrium.Tick"))

    monkeypatch.setattr(decoding, "look_up", look_up)
    return left


def tick():
    from datetime import UTC, datetime

    return Tick(datetime(2026, 3, 2, tzinfo=UTC))


async def test_a_new_schema_id_is_learnt_once(monkeypatch, told):
    codecs, left = Codecs(IDS), registry(monkeypatch, None)
    for _ in range(2):
        assert await decode("", codecs, THERE.encode(tick())) == tick()
    assert left == told == []


@pytest.mark.parametrize("answer", [None, UnknownSchema(99), Undecodable("not ours")])
async def test_an_absent_registry_is_waited_for_and_the_status_cleared_whatever_it_answers(monkeypatch, told, answer):
    registry(monkeypatch, RegistryUnavailable("gone"), RegistryUnavailable("gone"), answer)
    if answer is None:
        assert await decode("", Codecs(IDS), THERE.encode(tick())) == tick()
    else:
        with pytest.raises(type(answer)):
            await decode("", Codecs(IDS), THERE.encode(tick()))
    assert ["schema registry" in status for status in told] == [True, True, False]
    assert told[-1] == ""


async def test_the_wait_is_given_up_with_the_partition(monkeypatch, told):
    registry(monkeypatch, RegistryUnavailable("gone"))
    with pytest.raises(RegistryUnavailable):
        await decode("", Codecs(IDS), THERE.encode(tick()), lambda: True)
    assert told[-1] == ""
