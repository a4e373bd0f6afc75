"""Records to bytes and back, in Confluent's wire format: 0x00, schema id as 4 bytes big-endian, Avro body.

Pure: the ids come from outside (`streams.registry` asks the registry). A schema id met for the first time raises
`SchemaNotCached`; the caller looks it up and calls `learn`, then decodes again.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import msgspec

from schemas import commands, compiled, records, rows
from schemas.errors import SchemaNotCached, Undecodable

NAMESPACE = "atrium"
SCHEMA_FOLDER = Path(__file__).parent / "avro"
PUBLIC: tuple[type[msgspec.Struct], ...] = (
    records.Reading, records.Tick, records.Intent, records.CommandResult, records.DeviceChanged, records.PolicyChanged,
    records.Device, records.RoomInfo, records.Beacon, records.Policy, records.DeadLetter,
    commands.Command, commands.Effect,
    rows.Room, rows.OccupancyRow, rows.AveragesRow, rows.ActuationRow,
)  # fmt: skip
"""Every record that travels on a topic by itself; each has a subject named like its full name."""
_BY_NAME = {f"{NAMESPACE}.{cls.__name__}": cls for cls in PUBLIC}
_WRITTEN_AGAIN: frozenset[type[msgspec.Struct]] = frozenset({records.Policy, records.Device, commands.Proposal, rows.Sent})
"""What stands in a room's row, seldom changes, and is written with every row."""
HEADER = 5
"""Bytes before the Avro body: 0x00 and the schema id."""
_MIDNIGHT = datetime(2000, 1, 1, tzinfo=UTC)


def subject_of(cls: type[msgspec.Struct]) -> str:
    """The registry's subject of a record (RecordNameStrategy)."""
    return f"{NAMESPACE}.{cls.__name__}"


@cache
def schema_text(name: str) -> str:
    """The self-contained schema of a record as JSON: references inlined where they are first used."""
    return json.dumps(_inline(json.loads(_file_text(name)), {name}), separators=(",", ":"))


def _file_text(name: str) -> str:
    return (SCHEMA_FOLDER / f"{name}.avsc").read_text(encoding="utf-8")


def _inline(node: Any, seen: set[str]) -> Any:
    if isinstance(node, str) and node.startswith(f"{NAMESPACE}."):
        if node in seen:
            return node
        seen.add(node)
        return _inline(json.loads(_file_text(node)), seen)
    if isinstance(node, list):
        return [_inline(item, seen) for item in node]
    if isinstance(node, dict):
        return {key: _inline(value, seen) if key in ("type", "items", "values", "fields") else value for key, value in node.items()}
    return node


@cache
def _parsed(name: str) -> Any:
    return fastavro.parse_schema(json.loads(schema_text(name)))


@cache
def _reader(cls: type[msgspec.Struct]) -> compiled.Reader:
    return compiled.reader(json.loads(schema_text(subject_of(cls))), cls)


def _header(schema_id: int) -> bytes:
    return b"\x00" + schema_id.to_bytes(HEADER - 1, "big")


class Codecs:
    """Encodes the records of `PUBLIC`, decodes every known schema id into today's classes."""

    def __init__(self, ids: Mapping[type[msgspec.Struct], int]) -> None:
        self._encode = {
            cls: compiled.writer(
                json.loads(schema_text(subject_of(cls))), cls, b"\x00" + schema_id.to_bytes(4, "big"), _WRITTEN_AGAIN
            )
            for cls, schema_id in ids.items()
        }
        self._own: dict[int, type[msgspec.Struct]] = {}
        self._by_header: dict[bytes, compiled.Reader] = {}
        for cls, schema_id in ids.items():
            self._adopt(schema_id, cls)
        self._writers: dict[int, tuple[type[msgspec.Struct], Any]] = {}

    def _adopt(self, schema_id: int, cls: type[msgspec.Struct]) -> None:
        self._own[schema_id] = cls
        self._by_header[_header(schema_id)] = _reader(cls)

    def encode(self, record: msgspec.Struct) -> bytes:
        """Wire bytes of a record; the same record gives the same bytes."""
        return self._encode[type(record)](record)

    def writes(self, cls: type[msgspec.Struct], data: bytes) -> bool:
        """Whether `data` is headed as a record of this class in today's own schema."""
        return len(data) > HEADER and data[0] == 0 and self._own.get(int.from_bytes(data[1:HEADER], "big")) is cls

    def knows(self, schema_id: int) -> bool:
        """Whether `decode` can read bodies of this id."""
        return schema_id in self._own or schema_id in self._writers

    def schema_json(self, schema_id: int) -> str:
        """The writer's schema of a known id, for keeping beside its records."""
        if schema_id in self._own:
            return schema_text(subject_of(self._own[schema_id]))
        return json.dumps({key: value for key, value in self._writers[schema_id][1].items() if not key.startswith("__")})

    def learn(self, schema_id: int, schema_json: str) -> None:
        """Add a writer's schema from the registry. Raises `Undecodable` if it is none of our records."""
        try:
            writer: Any = fastavro.parse_schema(json.loads(schema_json))
            cls = _BY_NAME[writer["name"]]
        except (KeyError, TypeError, ValueError, fastavro.schema.SchemaParseException, fastavro.schema.UnknownType) as error:
            raise Undecodable(f"schema id {schema_id} is not one of the building's records: {error!r}") from error
        if json.loads(schema_json) == json.loads(schema_text(subject_of(cls))):
            self._adopt(schema_id, cls)  # today's schema under an id of its own: the quick reader will do
        else:
            self._writers[schema_id] = (cls, writer)

    def decode(self, data: bytes | None) -> Any:
        """The record in `data`. Raises `SchemaNotCached` for an id not yet learnt, `Undecodable` for anything broken."""
        read = self._by_header.get(data[:HEADER]) if data else None
        if read is None or data is None:
            return self._decode_foreign(data)
        try:
            record, end = read(data, HEADER)
        except Exception as error:  # a broken body can raise nearly anything inside an Avro reader
            raise Undecodable(f"schema id {int.from_bytes(data[1:HEADER], 'big')}: {error!r}") from error
        if end == len(data):
            return record
        raise _too_long(record, end, data)

    def _decode_foreign(self, data: bytes | None) -> Any:
        """Decode what was not written with today's schemas."""
        if data is None or len(data) < HEADER or data[0] != 0:
            raise Undecodable("not in Confluent wire format" if data else "empty value")
        schema_id = int.from_bytes(data[1:HEADER], "big")
        if schema_id not in self._writers:
            raise SchemaNotCached(schema_id)
        cls, writer = self._writers[schema_id]
        source = io.BytesIO(data)
        source.seek(HEADER)
        try:
            record = msgspec.convert(fastavro.schemaless_reader(source, writer, _parsed(subject_of(cls))), cls)
        except Exception as error:
            raise Undecodable(f"schema id {schema_id}, {cls.__name__}: {error!r}") from error
        if source.tell() == len(data):
            return record
        raise _too_long(record, source.tell(), data)


def _too_long(record: msgspec.Struct, end: int, data: bytes) -> Undecodable:
    return Undecodable(f"{type(record).__name__}: {len(data) - end} bytes too many")


def body_of(record: msgspec.Struct) -> bytes:
    """A record's Avro body alone: the same whatever id a registry gave its schema."""
    return _body_writer(type(record))(record)


@cache
def _body_writer(cls: type[msgspec.Struct]) -> compiled.Writer:
    return compiled.writer(json.loads(schema_text(subject_of(cls))), cls)


def _default_policy() -> records.Policy:
    values: dict[str, Any] = {"revision": 0}
    for field in json.loads(_file_text(subject_of(records.Policy)))["fields"]:
        if "default" in field:  # a time-millis default is milliseconds after midnight
            at_ms = isinstance(field["type"], dict) and field["type"].get("logicalType") == "time-millis"
            values[field["name"]] = (_MIDNIGHT + timedelta(milliseconds=field["default"])).time() if at_ms else field["default"]
    return msgspec.convert(values, records.Policy)


DEFAULT_POLICY = _default_policy()
"""Revision 0: the defaults written in `atrium.Policy.avsc`."""
