"""PURE: what the history tables keep of a record: its place, the columns people ask for, and always its exact bytes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec import Struct

from schemas.commands import Command
from schemas.records import CommandResult, DeviceChanged, Intent, Reading, Tick

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_IMPOSSIBLE = datetime(9999, 12, 30, tzinfo=UTC)
_LONGEST_ID = 200  # far above any real one; PostgreSQL's index takes 2.7 kB
Row = tuple[Any, ...]


class Table(Struct, frozen=True):
    """A history table: its columns in the order of its rows; `logged_at` is the fourth and names the day."""

    name: str
    columns: tuple[str, ...]


ROOM_EVENTS = Table(
    "room_events",
    (
        "log_id", "partition", "offset", "logged_at", "room_id", "type", "at", "device_id", "kind", "value", "command_id", "status",
        "record",
    ),
)  # fmt: skip
COMMANDS = Table(
    "commands",
    (
        "log_id", "partition", "offset", "logged_at", "line_id", "command_id", "room_id", "device_id", "kind", "target_pct",
        "issued_at", "slot", "rule", "policy_revision", "cause_log_id", "cause_partition", "cause_offset", "record",
    ),
)  # fmt: skip


class Raw(Struct, frozen=True):
    """A Kafka record and its place; `logged_ms` is the broker's stamp."""

    log_id: str
    partition: int
    offset: int
    logged_ms: int
    key: bytes | None
    value: bytes | None


def room_event_row(raw: Raw, event: Struct | None) -> Row:
    """A row of `ROOM_EVENTS`; `event` None stands for bytes nobody could decode."""
    at: datetime | None = None
    device_id: int | None = None
    kind: str | None = None
    value: float | None = None
    answered: tuple[str | None, str | None] = None, None
    match event:
        case Reading():
            at, device_id, kind, value = event.at, event.device_id, event.kind.value, event.value
        case Tick():
            at = event.wake_at
        case Intent():
            at, device_id, kind, value = event.at, event.device_id, event.kind.value, event.value_pct
        case CommandResult():
            at, device_id, value = event.at, event.device_id, event.reported_pct
            answered = _text(event.command_id), event.status.value
        case DeviceChanged():
            device_id = event.device_id
    name = None if event is None else type(event).__name__
    return (*_place(raw), name, at, _int(device_id, 32), kind, value, *answered, raw.value)


def command_row(raw: Raw, command: Struct | None) -> Row:
    """A row of `COMMANDS`; anything but a `Command` leaves only its place and bytes."""
    if not isinstance(command, Command):
        return (*_place(raw), *[None] * (len(COMMANDS.columns) - 6), raw.value)
    return (
        *_place(raw), _text(command.command_id), _text(command.room_id), _int(command.device_id, 32), command.kind.value,
        command.target_pct, command.issued_at, command.winner.slot.value, _text(command.winner.rule),
        _int(command.policy_revision, 64), _text(command.cause.log_id), _int(command.cause.partition, 32),
        _int(command.cause.offset, 64), raw.value,
    )  # fmt: skip


def stamp(milliseconds: int) -> datetime:
    """Kafka's stamp as an instant; one that is missing (-1) or no date becomes 1970, so that its record is kept all the same.

    So do the last two days a date can name: with a day its next one's partition is made, whose bound is the day after it.
    """
    try:
        at = _EPOCH + timedelta(milliseconds=max(milliseconds, 0))
    except OverflowError:
        return _EPOCH
    return at if at < _FIRST_IMPOSSIBLE else _EPOCH


def days_of(rows: list[Row]) -> set[date]:
    """UTC days the rows belong to."""
    return {row[3].date() for row in rows}


def _place(raw: Raw) -> Row:
    key = (raw.key or b"").decode(errors="backslashreplace")
    return raw.log_id, raw.partition, raw.offset, stamp(raw.logged_ms), _text(key)


def _text(text: str) -> str:
    return text.replace("\x00", "\\x00")[:_LONGEST_ID]  # PostgreSQL's text has no NUL


def _int(number: int | None, bits: int) -> int | None:
    # Poison bytes can decode to numbers that Avro's int would not hold and PostgreSQL's does not: the bytes still tell them.
    return number if number is not None and -(1 << bits - 1) <= number < 1 << bits - 1 else None
