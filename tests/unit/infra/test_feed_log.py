"""What a feeder reads of a room's log: records of other releases too."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.feed.log import RoomLog
from schemas.codecs import PUBLIC, Codecs, schema_text
from schemas.errors import UnknownSchema
from schemas.records import Tick
from streams import decoding
from streams.settings import Settings

IDS = {cls: number for number, cls in enumerate(PUBLIC, start=1)}
TICK = Tick(datetime(2026, 3, 2, tzinfo=UTC))
OF_ANOTHER_RELEASE = Codecs({**IDS, Tick: 99}).encode(TICK)


def read(codecs: Codecs) -> Any:
    return RoomLog(cast(Settings, SimpleNamespace(registry="")), "1")._event(codecs, OF_ANOTHER_RELEASE)


def test_an_event_of_another_releases_schema_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = json.loads(schema_text("atrium.Tick"))
    schema["doc"] = "As an earlier release had it."

    async def look_up(_url: str, codecs: Codecs, schema_id: int) -> None:
        codecs.learn(schema_id, json.dumps(schema))

    monkeypatch.setattr(decoding, "look_up", look_up)
    assert read(Codecs(IDS)) == TICK


def test_an_event_whose_schema_nobody_knows_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(_url: str, _codecs: Codecs, schema_id: int) -> None:
        raise UnknownSchema(schema_id)

    monkeypatch.setattr(decoding, "look_up", look_up)
    assert read(Codecs(IDS)) is None


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("grows_until_s", "waits_s"), [(0.0, 1.0), (2.0, 3.0), (float("inf"), 5.0)])
def test_a_killed_feeders_successor_waits_for_stillness_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, grows_until_s: float, waits_s: float
) -> None:
    clock, log = Clock(), RoomLog(cast(Settings, SimpleNamespace(registry="")), "1")
    monkeypatch.setattr("infra.feed.log.time", clock)
    monkeypatch.setattr(log, "ends", lambda: (0, round(min(clock.now, grows_until_s) * 10)))
    assert log.end_at_rest() == round(min(clock.now, grows_until_s) * 10)
    assert clock.now == pytest.approx(waits_s, abs=0.3)
