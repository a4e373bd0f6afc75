"""Avro readers and writers compiled from the schema for our own records, where a generic library spends most of the fold's time.

The library stays the judge: tests/property/test_compiled.py holds every record's bytes against fastavro's, both ways, and bodies of
any other writer schema go through fastavro. Only the Avro types our schemas use are known; another one is a `NotImplementedError`.
Encoding after the Avro 1.12 specification, "Binary encoding".
"""

from __future__ import annotations

import struct
import typing
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any

from msgspec import Struct

Reader = Callable[[bytes, int], tuple[Any, int]]
Writer = Callable[[Any], bytes]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _tail(data: bytes, at: int, low: int) -> tuple[int, int]:
    """The rest of a varint whose first byte `low` has its continuation bit set; most of ours end within three bytes."""
    byte = data[at]
    value = low & 0x7F | (byte & 0x7F) << 7
    if byte < 0x80:
        return value, at + 1
    byte = data[at + 1]
    value |= (byte & 0x7F) << 14
    if byte < 0x80:
        return value, at + 2
    return _long_tail(data, at + 2, value)


def _long_tail(data: bytes, at: int, value: int) -> tuple[int, int]:
    for shift in (21, 28, 35, 42, 49, 56, 63):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number longer than 10 bytes")


def _take(data: bytes, at: int, length: int) -> bytes:
    if length < 0 or at + length > len(data):
        raise ValueError(f"{length} bytes announced, {len(data) - at} left")
    return data[at : at + length]


def _index(values: tuple[Any, ...], at: int) -> Any:
    if at < 0:
        raise ValueError(f"symbol number {at}")
    return values[at]


def _flag(byte: int) -> bool:
    if byte > 1:
        raise ValueError(f"{byte} is no boolean")
    return byte == 1


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _time(milliseconds: int) -> time:
    return (_EPOCH + milliseconds * _MILLISECOND).time()


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND


def _time_milliseconds(at: time) -> int:
    return ((at.hour * 60 + at.minute) * 60 + at.second) * 1000 + at.microsecond // 1000


def _long(out: bytearray, number: int) -> None:
    number = (number << 1) ^ (number >> 63)
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _block(out: bytearray, size: int) -> None:
    if size:
        _long(out, size)


class _Source:
    """Python source of one function, grown line by line; types met are compiled in place."""

    def __init__(self, named: dict[str, Any], remembered: frozenset[type[Struct]] = frozenset()) -> None:
        self.remembered = remembered
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "tail": _tail, "take": _take, "index": _index, "flag": _flag, "instant": _instant, "clock": _time, "long": _long,
            "double": struct.Struct("<d").unpack_from, "pack_double": struct.Struct("<d").pack, "milliseconds": _milliseconds,
            "clock_milliseconds": _time_milliseconds, "block": _block,
        }  # fmt: skip
        self.schemas = named
        self._number = count()

    def fresh(self, prefix: str, value: Any = None) -> str:
        name = f"{prefix}{next(self._number)}"
        if value is not None:
            self.names[name] = value
        return name

    def add(self, depth: int, *lines: str) -> None:
        self.lines += ["    " * depth + line for line in lines]

    def resolved(self, schema: Any) -> Any:
        """A schema with names looked up; remembers the definitions it meets."""
        if isinstance(schema, str) and schema in self.schemas:
            return self.schemas[schema]
        if isinstance(schema, dict) and "name" in schema:
            self.schemas[f"{schema['namespace']}.{schema['name']}"] = schema
        return schema

    def compiled(self, head: str, file: str) -> Any:
        text = "\n".join([head, *self.lines])
        exec(compile(text, file, "exec"), self.names)  # our own schemas, no input from outside
        return self.names["compiled"]


def _plain(hint: Any) -> Any:
    """The type a hint means besides None."""
    arguments = [argument for argument in typing.get_args(hint) if argument is not type(None)]
    return arguments[0] if type(None) in typing.get_args(hint) else hint


def reader(schema: Any, cls: type[Struct]) -> Reader:
    """A function (data, offset) -> (record, offset after it).

    On broken bytes it raises IndexError, ValueError, OverflowError or struct.error.
    """
    source = _Source({})
    _read(source, 1, schema, cls, "record")
    source.add(1, "return record, p")
    compiled: Reader = source.compiled("def compiled(b, p):", f"<reader of {cls.__name__}>")
    return compiled


def _read_long(source: _Source, depth: int, into: str) -> None:
    source.add(depth, "v = b[p]; p += 1", "if v > 127: v, p = tail(b, p, v)", f"{into} = (v >> 1) ^ -(v & 1)")


def _read(source: _Source, depth: int, schema: Any, hint: Any, into: str) -> None:
    schema = source.resolved(schema)
    if isinstance(schema, list):
        _read_long(source, depth, "branch")
        for number, branch in enumerate(schema):
            source.add(depth, f"{'if' if number == 0 else 'elif'} branch == {number}:")
            _read(source, depth + 1, branch, _plain(hint), into)
        source.add(depth, "else: raise ValueError(f'union branch {branch}')")
        return
    kind = schema["type"] if isinstance(schema, dict) else schema
    logical = schema.get("logicalType") if isinstance(schema, dict) else None
    match kind:
        case "null":
            source.add(depth, f"{into} = None")
        case "int" | "long":
            _read_long(source, depth, into)
            convert = {"timestamp-millis": "instant", "time-millis": "clock", None: None}[logical]
            if convert:
                source.add(depth, f"{into} = {convert}({into})")
        case "double":
            source.add(depth, f"{into} = double(b, p)[0]; p += 8")
        case "boolean":
            source.add(depth, f"{into} = flag(b[p]); p += 1")
        case "string" | "bytes":
            _read_long(source, depth, "n")
            source.add(depth, f"{into} = take(b, p, n){'.decode()' if kind == 'string' else ''}; p += n")
        case "enum":
            symbols = source.fresh("symbols", tuple(_plain(hint)(symbol) for symbol in schema["symbols"]))
            _read_long(source, depth, "n")
            source.add(depth, f"{into} = index({symbols}, n)")
        case "array" | "map":
            _read_blocks(source, depth, schema, hint, into)
        case "record":
            cls = _plain(hint)
            hints = typing.get_type_hints(cls)
            fields = {field["name"]: source.fresh("f") for field in schema["fields"]}
            for field in schema["fields"]:
                _read(source, depth, field["type"], hints[field["name"]], fields[field["name"]])
            name = source.fresh("cls", cls)
            source.add(depth, f"{into} = {name}({', '.join(fields[field] for field in cls.__struct_fields__)})")
        case _:
            raise NotImplementedError(f"Avro type {kind!r}")


def _read_blocks(source: _Source, depth: int, schema: Any, hint: Any, into: str) -> None:
    arguments = typing.get_args(_plain(hint))
    items, size, item, key = source.fresh("items"), source.fresh("size"), source.fresh("item"), source.fresh("key")
    is_map = schema["type"] == "map"
    source.add(depth, f"{items} = {'{}' if is_map else '[]'}", "while True:")
    _read_long(source, depth + 1, size)
    source.add(depth + 1, f"if {size} == 0: break", f"if {size} < 0:")
    _read_long(source, depth + 2, "n")
    source.add(depth + 2, f"{size} = -{size}")
    source.add(depth + 1, f"if {size} > len(b): raise ValueError('more items than bytes')", f"for _ in range({size}):")
    if is_map:
        _read(source, depth + 2, "string", str, key)
    _read(source, depth + 2, schema["values" if is_map else "items"], arguments[1] if is_map else arguments[0], item)
    source.add(depth + 2, f"{items}[{key}] = {item}" if is_map else f"{items}.append({item})")
    source.add(depth, f"{into} = {items if is_map else f'tuple({items})'}")


_REMEMBERED_MOST = 20_000


class _Remembering:
    """A writer that keeps the bytes of the objects it met: frozen, shared by many rows, and written with every one of them."""

    def __init__(self, write: Writer) -> None:
        self._write = write
        self._known: dict[int, tuple[Any, bytes]] = {}

    def __call__(self, record: Any) -> bytes:
        known = self._known.get(id(record))  # the object is kept with its bytes, so its id stays its own
        if known is not None:
            return known[1]
        if len(self._known) >= _REMEMBERED_MOST:
            self._known.clear()
        body = self._write(record)
        self._known[id(record)] = record, body
        return body


def writer(schema: Any, cls: type[Struct], prefix: bytes = b"", remembered: frozenset[type[Struct]] = frozenset()) -> Writer:
    """A function record -> `prefix` + Avro body. Bodies of records inside it that are of the `remembered` classes are kept."""
    return _compiled_writer(_Source({}, remembered), schema, cls, prefix)


def _body_writer(named: dict[str, Any], schema: Any, cls: type[Struct]) -> Writer:
    """A writer of a record inside another one; types either defines are known to both."""
    return _compiled_writer(_Source(named), schema, cls, b"")


def _compiled_writer(source: _Source, schema: Any, cls: type[Struct], prefix: bytes) -> Writer:
    source.names["prefix"] = prefix
    source.add(1, "o = bytearray(prefix)")
    _write(source, 1, schema, cls, "record")
    source.add(1, "return bytes(o)")
    compiled: Writer = source.compiled("def compiled(record):", f"<writer of {cls.__name__}>")
    return compiled


def _write(source: _Source, depth: int, schema: Any, hint: Any, value: str) -> None:
    schema = source.resolved(schema)
    if isinstance(schema, list):
        other = schema.index("null") ^ 1
        source.add(depth, f"if {value} is None: o.append({schema.index('null') * 2})", "else:", f"    o.append({other * 2})")
        _write(source, depth + 1, schema[other], _plain(hint), value)
        return
    kind = schema["type"] if isinstance(schema, dict) else schema
    logical = schema.get("logicalType") if isinstance(schema, dict) else None
    match kind:
        case "int" | "long":
            convert = {"timestamp-millis": "milliseconds({})", "time-millis": "clock_milliseconds({})", None: "{}"}[logical]
            source.add(depth, f"long(o, {convert.format(value)})")
        case "double":
            source.add(depth, f"o += pack_double({value})")
        case "boolean":
            source.add(depth, f"o.append(1 if {value} else 0)")
        case "string" | "bytes":
            source.add(depth, f"s = {value}{'.encode()' if kind == 'string' else ''}; long(o, len(s)); o += s")
        case "enum":
            codes = source.fresh("codes", {_plain(hint)(symbol): number * 2 for number, symbol in enumerate(schema["symbols"])})
            source.add(depth, f"o.append({codes}[{value}])")
        case "array" | "map":
            is_map = kind == "map"
            arguments = typing.get_args(_plain(hint))
            item, key = source.fresh("item"), source.fresh("key")
            source.add(depth, f"block(o, len({value}))")
            source.add(depth, f"for {key}, {item} in {value}.items():" if is_map else f"for {item} in {value}:")
            if is_map:
                _write(source, depth + 1, "string", str, key)
            _write(source, depth + 1, schema["values" if is_map else "items"], arguments[1] if is_map else arguments[0], item)
            source.add(depth, "o.append(0)")
        case "record" if _plain(hint) in source.remembered:
            name = source.fresh("body", _Remembering(_body_writer(source.schemas, schema, _plain(hint))))
            source.add(depth, f"o += {name}({value})")
        case "record":
            hints = typing.get_type_hints(_plain(hint))
            name = source.fresh("r")
            source.add(depth, f"{name} = {value}")
            for field in schema["fields"]:
                local = source.fresh("f")
                source.add(depth, f"{local} = {name}.{field['name']}")
                _write(source, depth, field["type"], hints[field["name"]], local)
        case _:
            raise NotImplementedError(f"Avro type {kind!r}")
