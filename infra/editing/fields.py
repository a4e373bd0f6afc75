"""PURE: the fields of the building's tables: how each is read from text, and what would be right where it cannot be."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from datetime import time
from typing import Any

import msgspec
from msgspec import Struct

Value = str | int | float | bool | time | None
Row = dict[str, Value]
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Field(Struct, frozen=True):
    """One field. `read` raises `ValueError` saying what would be right."""

    name: str
    read: Callable[[str], Value]
    doc: str
    required: bool = True
    default: Value = None


def text(what: str) -> Callable[[str], Value]:
    """Any text but none."""

    def read(given: str) -> Value:
        if not given.strip() or not given.isprintable():
            raise ValueError(f"give {what}")
        return given.strip()

    return read


def whole(what: str, low: int, high: int) -> Callable[[str], Value]:
    """A whole number."""

    def read(given: str) -> Value:
        try:
            value = int(given)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"give {what}, a whole number from {low} to {high}")
        return value

    return read


def number(given: str) -> Value:
    """A number."""
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("give a number")
    return value


def flag(given: str) -> Value:
    """True or false."""
    if given.lower() not in _TRUE + _FALSE:
        raise ValueError("give true or false")
    return given.lower() in _TRUE


def choice(options: Sequence[str]) -> Callable[[str], Value]:
    """One of a few words."""

    def read(given: str) -> Value:
        if given not in options:
            raise ValueError(f"give one of {', '.join(options)}")
        return given

    return read


def clock(given: str) -> Value:
    """A local time of day."""
    try:
        return time.fromisoformat(given)
    except ValueError:
        raise ValueError("give a local time such as 07:00:00") from None


def structured(kind: Any) -> Callable[[str], Value]:
    """A list of records as JSON."""

    def read(given: str) -> Value:
        try:
            value = msgspec.json.decode(given, type=kind)
        except msgspec.MsgspecError as error:
            raise ValueError(f"give JSON: {error}") from None
        return msgspec.json.encode(value).decode()

    return read


def beacon_uuid(given: str) -> Value:
    """A UUID, in lower case with dashes."""
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise ValueError("give a UUID such as b9407f30-f5f8-466e-aff9-25556b57fe6d") from None


def written(value: Value) -> str:
    """The text that reads back as the value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, time):
        return value.isoformat()
    return "" if value is None else str(value)
