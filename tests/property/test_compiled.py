"""The compiled readers and writers against fastavro, for every record."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codecs import PUBLIC, Codecs, schema_text, subject_of
from schemas.errors import Undecodable
from schemas.rows import AveragesRow

IDS = {cls: number for number, cls in enumerate(PUBLIC, start=1)}
CODECS = Codecs(IDS)
INSTANTS = st.integers(0, 2**42).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=20),
}


def datums(schema: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Datums of an Avro schema, as fastavro takes them."""
    if isinstance(schema, list):
        return st.one_of([datums(branch, named) for branch in schema])
    if isinstance(schema, str):
        return datums(named[schema], named) if schema in named else PRIMITIVES[schema]
    if "name" in schema:
        named[f"{schema['namespace']}.{schema['name']}"] = schema
    match schema["type"], schema.get("logicalType"):
        case _, "timestamp-millis":
            return INSTANTS
        case _, "time-millis":
            return st.times().map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000, fold=0))
        case "enum", _:
            return st.sampled_from(schema["symbols"])
        case "array", _:
            return st.lists(datums(schema["items"], named), max_size=3)
        case "map", _:
            return st.dictionaries(st.text(max_size=5), datums(schema["values"], named), max_size=3)
        case "record", _:
            return st.fixed_dictionaries({field["name"]: datums(field["type"], named) for field in schema["fields"]})
        case kind, _:
            return PRIMITIVES[kind]


@pytest.mark.parametrize("cls", PUBLIC, ids=subject_of)
@given(data=st.data())
@settings(max_examples=20)
def test_bytes_equal_fastavros_both_ways(cls: type[msgspec.Struct], data: st.DataObject) -> None:
    schema = json.loads(schema_text(subject_of(cls)))
    datum = data.draw(datums(schema, {}))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    wire = b"\x00" + IDS[cls].to_bytes(4, "big") + out.getvalue()
    record = msgspec.convert(datum, cls)
    assert CODECS.encode(record) == wire
    assert CODECS.decode(wire) == record


@pytest.mark.parametrize("cls", PUBLIC, ids=subject_of)
@given(body=st.binary(max_size=60))
@settings(max_examples=30)
def test_any_bytes_decode_or_are_undecodable(cls: type[msgspec.Struct], body: bytes) -> None:
    try:
        record = CODECS.decode(b"\x00" + IDS[cls].to_bytes(4, "big") + body)
    except Undecodable:
        return
    assert isinstance(record, cls)


def test_blocks_with_a_byte_count_are_read_too() -> None:
    row = CODECS.decode(
        b"\x00"
        + IDS[AveragesRow].to_bytes(4, "big")
        + b"\x02L\x00\x00"
        + b"\x01\x16"
        + b"\x02"
        + b"\x00"
        + bytes(8)
        + b"\x02"
        + b"\x00"
    )
    assert len(row.buckets) == 1
