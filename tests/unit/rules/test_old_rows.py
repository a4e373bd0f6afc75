"""A room's row that an earlier release wrote is folded on as if this release had written it."""

from __future__ import annotations

import io
import json
from datetime import datetime, time
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest

from schemas import compatibility
from schemas.codecs import Codecs
from schemas.records import Kind
from schemas.rows import Room
from tests.stories import BLIND, LAMP, VALVE, Story

RELEASES = Path(compatibility.__file__).parent / "releases"
OLD_ID, OWN_ID = 7, 8


def lived() -> Story:
    """A room with a hand on its blind, a command answered and one under way, its lamp lit in the dark."""
    story = Story().motion().temperature(21.0).humidity(45.0).light(5.0)
    story.confirms(VALVE)
    story.hand(Kind.closed_pct, 30.0)
    return story


def as_written_by(release: str, room: Room) -> Any:
    """The row as that release wrote it, and as today's codecs read it."""
    text = (RELEASES / release / "atrium.Room.avsc").read_text()
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(json.loads(text)), _plain(room))
    codecs = Codecs({Room: OWN_ID})
    codecs.learn(OLD_ID, text)
    return codecs.decode(b"\x00" + OLD_ID.to_bytes(4, "big") + body.getvalue())


def _plain(room: Room) -> Any:
    """Dicts of Python's own values; instants stay instants."""
    return msgspec.to_builtins(room, builtin_types=(datetime, time))


@pytest.mark.parametrize("release", sorted(path.name for path in RELEASES.iterdir()))
def test_a_row_of_an_earlier_release_is_folded_on(release: str) -> None:
    ours, theirs = lived(), lived()
    theirs.rooms["2"] = as_written_by(release, theirs.room)
    for story in (ours, theirs):
        story.confirms(BLIND)
        story.after(minutes=10).humidity(60.0)  # the hand holds against it
        story.after(hours=2).humidity(60.0).motion()  # and gives way
        story.after(hours=1)
    assert theirs.targets(BLIND) == ours.targets(BLIND) == [0.0, 30.0, 100.0]
    assert theirs.targets(VALVE) == ours.targets(VALVE)
    assert theirs.targets(LAMP) == ours.targets(LAMP)
    assert [command.command_id for command in theirs.commands] == [command.command_id for command in ours.commands]
