"""The ledger: every record the load has had acknowledged, on file, so that it outlives whatever happens to anything else."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ENTRY = struct.Struct("<dHqHBq?")
NOWHERE = -1
"""The offset of a record that was acknowledged without its place (`streams.producer.NO_PLACE`)."""


class Entry(NamedTuple):
    """One acknowledged record. `sent_at` in seconds, `at_ms` the reading's own time; `poison`: bytes that are no reading."""

    sent_at: float
    partition: int
    offset: int
    room: int
    kind: int
    at_ms: int
    poison: bool

    @property
    def placed(self) -> bool:
        """Whether Kafka told its place."""
        return self.offset != NOWHERE

    def packed(self) -> bytes:
        """As it stands in the file."""
        return _ENTRY.pack(*self)


def read(path: Path) -> Iterator[Entry]:
    """Every entry so far."""
    data = path.read_bytes()
    for fields in _ENTRY.iter_unpack(data[: len(data) // _ENTRY.size * _ENTRY.size]):
        yield Entry(*fields)
