"""FULL_TRANSITIVE: every reader, old or new, reads every record, old or new."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest

from schemas import compatibility
from schemas.compatibility import problems, releases, todays, write_release

KIND = {"type": "enum", "name": "Kind", "namespace": "t", "symbols": ["unknown", "lux"], "default": "unknown"}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def record(*fields: dict[str, Any], name: str = "Reading") -> str:
    return json.dumps({"type": "record", "name": name, "namespace": "t", "fields": list(fields)})


def between(today: str, *released: str) -> list[str]:
    return problems({"t.Reading": today}, {f"0.{number}.0": {"t.Reading": old} for number, old in enumerate(released, start=1)})


VALUE = field("value", "double")
INSTANT = {"type": "long", "logicalType": "timestamp-millis"}
INNER = {"type": "record", "name": "Why", "namespace": "t", "fields": [field("rule", "string")]}
INNER_WORSE = {"type": "record", "name": "Why", "namespace": "t", "fields": [field("rule", "string"), field("slot", "int")]}

COMPATIBLE = {
    "nothing changed": (record(VALUE), record(VALUE)),
    "a new field with a default": (record(VALUE, field("unit", "string", default="")), record(VALUE)),
    "a field with a default gone": (record(VALUE), record(VALUE, field("unit", "string", default=""))),
    "fields in another order": (record(VALUE, field("a", "int")), record(field("a", "int"), VALUE)),
    "another doc and default": (record(field("a", "int", default=2, doc="new")), record(field("a", "int", default=1))),
    "an enum with a default gains a symbol": (
        record(field("kind", {**KIND, "symbols": ["unknown", "lux", "noise"]})),
        record(field("kind", KIND)),
    ),
    "an enum with a default loses a symbol": (record(field("kind", {**KIND, "symbols": ["unknown"]})), record(field("kind", KIND))),
}
INCOMPATIBLE = {
    "a new field without a default": (record(VALUE, field("unit", "string")), record(VALUE), "t.Reading.unit: new since 0.1.0"),
    "a field without a default gone": (record(VALUE), record(VALUE, field("unit", "string")), "t.Reading.unit: gone"),
    "a wider number": (record(field("a", "long")), record(field("a", "int")), "t.Reading.a: was int in 0.1.0, is long"),
    "another type": (record(field("a", "string")), record(field("a", "int")), "t.Reading.a: was int in 0.1.0, is string"),
    "no longer nullable": (
        record(field("a", "int")), record(field("a", ["null", "int"])), "t.Reading.a: was union(null, int) in 0.1.0, is int",
    ),
    "another unit of time": (
        record(field("at", {"type": "long", "logicalType": "timestamp-micros"})), record(field("at", INSTANT)),
        "t.Reading.at: was timestamp-millis in 0.1.0, is timestamp-micros",
    ),
    "another unit of time in a union": (
        record(field("at", ["null", "long"], default=None)), record(field("at", ["null", INSTANT], default=None)),
        "t.Reading.at: was",
    ),
    "an enum without a default gains a symbol": (
        record(field("kind", {**KIND, "symbols": ["unknown", "lux", "noise"]})),
        record(field("kind", {key: value for key, value in KIND.items() if key != "default"})),
        "t.Kind: noise is new, and the enum had no default in 0.1.0",
    ),
    "an enum without a default loses a symbol": (
        record(field("kind", {"type": "enum", "name": "Kind", "namespace": "t", "symbols": ["unknown"]})),
        record(field("kind", KIND)),
        "t.Kind: lux of 0.1.0 cannot be read today",
    ),
    "a new enum field whose enum has a default but the field has none": (
        record(VALUE, field("kind", KIND)), record(VALUE), "t.Reading.kind: new since 0.1.0 without a default",
    ),
    "a change inside a nested record": (
        record(field("why", ["null", INNER_WORSE], default=None)), record(field("why", ["null", INNER], default=None)),
        "t.Why.slot: new since 0.1.0 without a default",
    ),
    "another record": (record(VALUE, name="Other"), record(VALUE), "t.Other: not compatible with 0.1.0"),
}  # fmt: skip


@pytest.mark.parametrize(("today", "released"), COMPATIBLE.values(), ids=COMPATIBLE)
def test_a_compatible_change_passes(today: str, released: str) -> None:
    assert between(today, released) == []


@pytest.mark.parametrize(("today", "released", "says"), INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_an_incompatible_change_is_told_once_with_its_field(today: str, released: str, says: str) -> None:
    found = between(today, released)
    assert len(found) == 1, found
    assert found[0].startswith(says)


def test_every_earlier_release_counts_not_only_the_last() -> None:
    with_unit, without = record(VALUE, field("unit", "string", default="")), record(VALUE)
    assert between(record(VALUE, field("unit", "int", default=0)), without) == []
    [problem] = between(record(VALUE, field("unit", "int", default=0)), with_unit, without)
    assert "0.1.0" in problem


def test_a_released_record_may_not_vanish() -> None:
    assert problems({}, {"0.1.0": {"t.Reading": record(VALUE)}}) == [
        "t.Reading: released in 0.1.0 and gone today: its records are still read; bring it back"
    ]


def test_todays_schemas_are_compatible_with_every_committed_release() -> None:
    assert problems(todays(), releases()) == []


def test_a_release_is_written_once_and_read_back(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write_release("0.1.0", tmp_path)
    assert {name: json.loads(text) for name, text in releases(tmp_path)["0.1.0"].items()} == {
        name: json.loads(text) for name, text in todays().items()
    }
    write_release("0.1.0", tmp_path)
    monkeypatch.setattr(compatibility, "todays", lambda: {"t.Reading": record(VALUE)})
    with pytest.raises(click.ClickException, match="a release never changes"):
        write_release("0.1.0", tmp_path)
    with pytest.raises(click.ClickException, match="not a version"):
        write_release("../x", tmp_path)
