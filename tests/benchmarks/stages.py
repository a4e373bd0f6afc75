"""Microseconds a reading, stage by stage, in the rooms role and without Kafka: `python -m tests.benchmarks.stages`."""

from __future__ import annotations

import asyncio
import io
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
from msgspec import Struct

from agents.room_events import read_events
from agents.rules.fold import LoggedEvent, fold_batch
from schemas.codecs import PUBLIC, Codecs, schema_text
from schemas.records import Kind, Reading
from streams.keys import partition_of
from streams.topics import ROOM_PARTITIONS
from tests.stories import NOON, SENSOR, introductions

READINGS = 200_000
_KINDS = (Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.motion)


class Record(Struct):
    """A record as the lane hands it over."""

    key: bytes
    value: bytes
    offset: int
    timestamp: int


def main() -> None:
    """Time each stage on the same readings of one room."""
    codecs = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=1)})
    records = list(_records(codecs))
    partition = partition_of("2", ROOM_PARTITIONS)
    introduced = fold_batch({}, {}, "log", partition, [LoggedEvent("2", i, NOON, e) for i, e in enumerate(introductions())])
    events, _ = asyncio.run(read_events(records, partition, codecs.decode, _never))
    schema = fastavro.parse_schema(json.loads(schema_text("atrium.Reading")))
    _time("fastavro to a dict, as the plain loop does", lambda: [_plain(record.value, schema) for record in records])
    _time("decode to a Reading", lambda: [codecs.decode(record.value) for record in records])
    _time("decode, stamp, and place in its room", lambda: asyncio.run(read_events(records, partition, codecs.decode, _never)))
    _time("fold", lambda: fold_batch(introduced.rooms, {}, "log", partition, events))


def _records(codecs: Codecs) -> list[Record]:
    rng, values, out = random.Random(1), [21.0, 42.0, 150.0, 0.0], []
    for number in range(READINGS):
        which = number % 4
        if which < 3:
            values[which] = min(max(values[which] + rng.uniform(-0.5, 0.5), 0.0), 400.0)
        elif rng.random() < 1 / 60:
            values[which] = 1.0 - values[which]
        at = NOON + timedelta(milliseconds=number * 50)
        stamp = int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
        out.append(Record(b"2", codecs.encode(Reading(SENSOR, _KINDS[which], values[which], at)), number + 4, stamp))
    return out


def _plain(value: bytes, schema: Any) -> Any:
    source = io.BytesIO(value)
    source.seek(5)
    return fastavro.schemaless_reader(source, schema, None)


async def _never(_: bytes | None) -> Any:
    raise AssertionError("every schema is known")


def _time(what: str, work: Callable[[], object]) -> None:
    best = min(_once(work) for _ in range(5))
    print(f"{what + ':':46}{best / READINGS * 1e6:6.2f} us")


def _once(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
