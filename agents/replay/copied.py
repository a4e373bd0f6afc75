"""PURE: rows out of PostgreSQL's COPY in binary form, where a driver's own row objects would cost as much as the fold.

After the PostgreSQL 18 documentation, "COPY", "File Formats", "Binary Format".
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from schemas.errors import Undecodable

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FIXED = struct.Struct(">hiqiqi")  # field count; length and offset; length and logged_at; length of room_id
_LENGTH = struct.Struct(">i")
_FIELDS = 4


class StoredEvent(Struct, frozen=True, gc=False):
    """A row of history.room_events: the key as it was kept, the Kafka value as it was."""

    offset: int
    logged_at: datetime
    room_id: str
    record: bytes | None


def stored_events(data: bytes) -> list[StoredEvent]:
    """The rows ("offset", logged_at, room_id, record) of one whole COPY. Raises `Undecodable` where it breaks off."""
    if not data.startswith(_SIGNATURE):
        raise Undecodable("not PostgreSQL's binary copy format")
    rows: list[StoredEvent] = []
    names: dict[bytes, str] = {}
    stamp, logged_at = 0, _EPOCH
    at = len(_SIGNATURE) + 8 + _LENGTH.unpack_from(data, len(_SIGNATURE) + 4)[0]
    try:
        while True:
            if data[at] == 0xFF:  # a field count of -1 ends it
                return rows
            count, _, offset, _, microseconds, length = _FIXED.unpack_from(data, at)
            if count != _FIELDS:
                raise Undecodable(f"{count} columns at byte {at}, {_FIELDS} were asked for")
            at += _FIXED.size
            end = at + length
            key = data[at:end]
            name = names.get(key)
            if name is None:
                name = names[key] = key.decode()
            if microseconds != stamp:
                stamp, logged_at = microseconds, _EPOCH + timedelta(microseconds=microseconds)
            length = _LENGTH.unpack_from(data, end)[0]
            at = end + 4
            record = None
            if length >= 0:
                record = data[at : at + length]
                at += length
            rows.append(StoredEvent(offset, logged_at, name, record))
    except (IndexError, struct.error) as error:
        raise Undecodable(f"the copy breaks off at byte {at} of {len(data)}") from error
