"""A record counts as written when Kafka told its place, and not before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import confluent_kafka
import pytest

from infra.feed.log import Appender, RoomLog, SendStopped
from streams.producer import NO_PLACE, Producer, SendFailed, Written
from streams.settings import Settings

SETTINGS = Settings(home=Path("unused"), kafka_bootstrap_servers="127.0.0.1:9")
PLACES = [(3, 17), (3, None), (None, None)]
"""Partition and offset of a delivery report without an error, as confluent_kafka gives them: None is librdkafka's "unknown"."""


class Client:
    """confluent_kafka's producer, every record acknowledged at `place`."""

    place: tuple[int | None, int | None] = (0, 0)

    def __init__(self, config: dict[str, Any]) -> None:
        self._owed: list[Callable[[Any, Any], None]] = []

    def produce(self, *_: Any, on_delivery: Callable[[Any, Any], None], **__: Any) -> None:
        self._owed.append(on_delivery)

    def poll(self, timeout: float) -> None:
        time.sleep(min(timeout, 0.001))
        while self._owed:
            self._owed.pop(0)(None, SimpleNamespace(partition=lambda: self.place[0], offset=lambda: self.place[1]))

    def flush(self, _timeout: float) -> int:
        self.poll(0)
        return 0


@pytest.fixture(params=PLACES, ids=str)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int | None, int | None]]:
    monkeypatch.setattr(Client, "place", request.param)
    monkeypatch.setattr(confluent_kafka, "Producer", Client)
    yield request.param


async def test_a_send_is_done_when_its_place_is_known(place: tuple[int | None, int | None]) -> None:
    producer = Producer(SETTINGS)
    try:
        if place == (3, 17):
            assert await producer.send("building.room-events", "1", b"") == Written(3, 17)
        else:
            with pytest.raises(SendFailed, match=f"building.room-events: {NO_PLACE}"):
                await producer.send("building.room-events", "1", b"")
    finally:
        await producer.close()


def test_a_recording_goes_on_only_from_a_place_that_is_known(place: tuple[int | None, int | None]) -> None:
    appender = Appender(SETTINGS, RoomLog(SETTINGS, "1"))
    appender.append(b"")
    if place == (3, 17):
        appender.flush()
        assert appender.last_offset == 17
    else:
        with pytest.raises(SendStopped, match=NO_PLACE):
            appender.flush()
        assert appender.last_offset is None
