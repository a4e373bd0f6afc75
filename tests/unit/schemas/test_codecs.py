"""Records, their schemas and their bytes agree."""

from __future__ import annotations

import enum
import inspect
import io
import json
import typing
from datetime import UTC, datetime

import fastavro
import msgspec
import pytest

from schemas import commands, records, rows
from schemas.codecs import DEFAULT_POLICY, PUBLIC, SCHEMA_FOLDER, Codecs, schema_text, subject_of
from schemas.errors import SchemaNotCached, Undecodable
from schemas.records import Kind, Reading

READING = Reading(9, Kind.temperature_c, 21.5, datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC))
IDS = {cls: number for number, cls in enumerate(PUBLIC, start=1)}
CLASSES = {
    name: cls
    for module in (records, commands, rows)
    for name, cls in inspect.getmembers(module, inspect.isclass)
    if issubclass(cls, msgspec.Struct | enum.StrEnum) and cls not in (msgspec.Struct, enum.StrEnum)
}
FILES = sorted(SCHEMA_FOLDER.glob("*.avsc"))
CODECS = Codecs(IDS)
"""Compiled once; the tests that learn a schema make their own."""


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_each_schema_file_and_its_class_name_the_same_fields(path) -> None:
    schema = json.loads(path.read_text())
    cls = CLASSES[schema["name"]]
    if schema["type"] == "enum":
        assert [member.value for member in cls] == schema["symbols"]
        assert schema["default"] == "unknown"
        return
    assert {field["name"] for field in schema["fields"]} == set(cls.__struct_fields__)
    assert all(field.get("doc") for field in schema["fields"])
    hints = typing.get_type_hints(cls)
    for field in schema["fields"]:
        nullable = isinstance(field["type"], list) and "null" in field["type"]
        assert nullable == (type(None) in typing.get_args(hints[field["name"]])), field["name"]


def test_no_class_is_without_a_schema_file() -> None:
    assert {path.stem.removeprefix("atrium.") for path in FILES} == CLASSES.keys()


@pytest.mark.parametrize("cls", PUBLIC, ids=subject_of)
def test_a_schema_stands_alone_and_is_no_union(cls) -> None:
    parsed = fastavro.parse_schema(json.loads(schema_text(subject_of(cls))))
    assert (parsed["type"], parsed["name"]) == ("record", subject_of(cls))


def test_the_wire_format_is_confluents() -> None:
    data = CODECS.encode(READING)
    assert data[:5] == b"\x00" + IDS[Reading].to_bytes(4, "big")
    body = fastavro.schemaless_reader(io.BytesIO(data[5:]), json.loads(schema_text("atrium.Reading")), None)
    assert body == {"device_id": 9, "kind": "temperature_c", "value": 21.5, "at": READING.at}


@pytest.mark.parametrize("value", [0.0, -0.0, 1e300, float("inf"), -40.0])
def test_a_reading_survives_its_bytes(value: float) -> None:
    reading = msgspec.structs.replace(READING, value=value)
    assert CODECS.decode(CODECS.encode(reading)) == reading


def test_nan_survives_so_that_it_can_be_set_aside_by_name() -> None:
    data = CODECS.encode(msgspec.structs.replace(READING, value=float("nan")))
    value = CODECS.decode(data).value
    assert value != value


@pytest.mark.parametrize("data", [None, b"", b"\x00\x00\x00", b"{}", b"\x01\x00\x00\x00\x01abc"])
def test_what_is_not_wire_format_is_undecodable(data) -> None:
    with pytest.raises(Undecodable):
        CODECS.decode(data)


def test_every_truncation_of_a_reading_is_undecodable() -> None:
    data = CODECS.encode(READING)
    for length in range(5, len(data)):
        with pytest.raises(Undecodable):
            CODECS.decode(data[:length])


def test_bytes_too_many_are_undecodable() -> None:
    with pytest.raises(Undecodable):
        CODECS.decode(CODECS.encode(READING) + b"\x00")


def test_an_id_not_looked_up_yet_says_which() -> None:
    with pytest.raises(SchemaNotCached) as caught:
        CODECS.decode(b"\x00\x00\x00\x03\xe7body")
    assert caught.value.schema_id == 999


def test_a_later_writer_with_a_new_kind_and_a_new_field_is_read_as_today() -> None:
    schema = json.loads(schema_text("atrium.Reading"))
    kind = next(f for f in schema["fields"] if f["name"] == "kind")
    kind["type"]["symbols"].append("radon_bq_m3")
    schema["fields"].append({"name": "endpoint", "type": "int", "default": 0})
    out = io.BytesIO()
    fields = {"device_id": 9, "kind": "radon_bq_m3", "value": 4.0, "at": READING.at, "endpoint": 2}
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), fields)
    codecs = Codecs(IDS)
    codecs.learn(700, json.dumps(schema))
    assert codecs.decode(b"\x00" + (700).to_bytes(4, "big") + out.getvalue()).kind is Kind.unknown


@pytest.mark.parametrize(
    "schema", ['"string"', "{", '{"type":"record","name":"Stranger","namespace":"else","fields":[]}', '["null","int"]']
)
def test_a_schema_that_is_none_of_ours_is_refused(schema: str) -> None:
    with pytest.raises(Undecodable):
        Codecs(IDS).learn(701, schema)


def test_the_default_policy_is_the_old_projects() -> None:
    p = DEFAULT_POLICY
    assert (p.valve_occupied_pct, p.valve_vacant_pct, p.humid_above_pct, p.light_on_pct, p.dark_at_most_lx) == (90, 10, 50, 90, 20)
    assert (p.day_starts.isoformat(), p.day_ends.isoformat(), p.manual_lease_s) == ("07:00:00", "19:00:00", 7200)


def test_a_command_id_follows_from_its_cause_alone() -> None:
    cause = records.Position("log-1", 3, 42)
    assert commands.command_id(cause, 5, 0) == "6728f5b3dcb110891499bab87e6f115d"
    causes = [
        ("log-2", 3, 42, 5, 0),
        ("log-1", 4, 42, 5, 0),
        ("log-1", 3, 43, 5, 0),
        ("log-1", 3, 42, 6, 0),
        ("log-1", 3, 42, 5, 1),
    ]
    ids = {commands.command_id(records.Position(*c[:3]), *c[3:]) for c in causes}
    assert len(ids | {commands.command_id(cause, 5, 0)}) == 6
