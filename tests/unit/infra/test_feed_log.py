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
