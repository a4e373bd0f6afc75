"""The backlog: what a replica makes of it is what it would have made of every record."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from api.backlog import Backlog, Raw
from api.replica import Change, Replica
from schemas.codecs import Codecs
from schemas.errors import Undecodable
from schemas.records import Position
from schemas.rows import Room
from streams import topics
from tests.unit.api.building import Building

TABLE = topics.TABLE_ROOMS.name


class CountingCodecs(Codecs):
    """Codecs that count what they decode."""

    def __init__(self) -> None:
        super().__init__({Room: 7})
        self.decoded = 0

    def decode(self, data: bytes | None):
        self.decoded += 1
        return super().decode(data)


def raws(codecs: Codecs, rows: list[Room | None]) -> list[Raw]:
    return [Raw(TABLE, "2", None if row is None else codecs.encode(row)) for row in rows]


def stood(codecs: Codecs, records: list[Raw]) -> Room | None:
    """What a replica shows that was fed every record."""
    replica = Replica()
    replica.apply(Change(raw.topic, raw.key, None if raw.value is None else codecs.decode(raw.value)) for raw in records)
    return replica.rooms.get("2")


@pytest.mark.parametrize("seed", range(30))
def test_the_backlog_comes_to_what_every_record_would_have_come_to(building: Building, seed: int) -> None:
    chance, codecs = random.Random(seed), CountingCodecs()
    rows = building.warm(8)
    reborn = [replace(row, position=Position("log-2", row.position.partition, row.position.offset - 5)) for row in rows[:3]]
    told: list[Room | None] = [*rows, None, *rows[:2]]
    chance.shuffle(told)
    told += chance.sample(reborn, chance.randrange(4))
    records = raws(codecs, told)
    backlog = Backlog(codecs, codecs.decode)
    assert all(backlog.take(raw) for raw in records)
    assert stood(codecs, list(backlog.drain())) == stood(codecs, records)
    assert list(backlog.drain()) == []


def test_a_row_is_decoded_once_a_key(building: Building) -> None:
    codecs = CountingCodecs()
    backlog = Backlog(codecs, codecs.decode)
    for raw in raws(codecs, building.warm(8)):
        backlog.take(raw)
    assert codecs.decoded == 0
    assert len(list(backlog.drain())) == 1


def test_other_topics_are_not_held() -> None:
    codecs = CountingCodecs()
    assert not Backlog(codecs, codecs.decode).take(Raw(topics.ROOMS.name, "2", b""))


def test_a_row_nobody_can_read_is_told(building: Building) -> None:
    codecs = CountingCodecs()
    backlog = Backlog(codecs, codecs.decode)
    with pytest.raises(Undecodable):
        backlog.take(Raw(TABLE, "2", b"no row"))
