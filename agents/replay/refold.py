"""PURE: stored events through the fold that runs live, `agents.rules.fold`, and what comes of them, with a digest."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import blake2b

from msgspec import Struct

from agents.replay.copied import StoredEvent
from agents.room_events import Misplaced, Source, fold_all, undeliverable
from agents.rules.fold import Addressed, LoggedEvent, Reject
from schemas.codecs import Codecs, body_of
from schemas.errors import SchemaNotCached, Undecodable, UnknownSchema
from schemas.records import Position
from schemas.rows import ActuationRow, AveragesRow, OccupancyRow, Room
from streams.keys import partition_of
from streams.topics import COMMANDS, ROOM_EVENTS


class Spent(Struct):
    """Seconds by the clock: waiting for rows and taking them apart, decoding, folding; and of the processor, for all of it."""

    loading_s: float = 0.0
    decoding_s: float = 0.0
    folding_s: float = 0.0
    processor_s: float = 0.0

    @property
    def total_s(self) -> float:
        """All three."""
        return self.loading_s + self.decoding_s + self.folding_s


class Refolded(Struct):
    """The tables as the log makes them, commands in the log's order, what was set aside; `events` counts those of the span."""

    rooms: dict[str, Room]
    occupancy: dict[str, OccupancyRow]
    averages: dict[str, AveragesRow]
    actuation: dict[str, ActuationRow]
    commands: list[Addressed]
    rejects: list[tuple[Source, Reject]]
    events: int
    spent: Spent

    def digest(self) -> str:
        """BLAKE2b-256 over the rooms rows (Avro bodies) in the order of their keys, then the command ids in the log's order.

        Schema ids are left out: they number a registry, not the building.
        """
        ordered = sorted(self.commands, key=lambda each: each.command.cause.partition)
        return digest_of(self.rooms, [each.command.command_id for each in ordered])


def digest_of(rooms: Mapping[str, Room], command_ids: Iterable[str]) -> str:
    """The digest of rooms rows and command ids, see `Refolded.digest`."""
    hashed = blake2b(digest_size=32)
    for room_id, room in sorted(rooms.items()):
        for part in (room_id.encode(), body_of(room)):
            hashed.update(len(part).to_bytes(4, "big") + part)
    for command_id in command_ids:
        hashed.update(command_id.encode())
    return hashed.hexdigest()


class Decoder:
    """Stored records to events as the live role takes them (`agents.room_events.read_events`)."""

    def __init__(self, codecs: Codecs) -> None:
        self._decode = codecs.decode

    def events(self, source: Source, stored: list[StoredEvent]) -> tuple[list[LoggedEvent], list[tuple[Reject, datetime]]]:
        """Events in order, and what cannot be used with its stamp."""
        decode, usable = self._decode, set(ROOM_EVENTS.records)
        events: list[LoggedEvent] = []
        rejects: list[tuple[Reject, datetime]] = []
        placed: dict[str, bool] = {}
        for row in stored:
            room_id = row.room_id
            well = placed.get(room_id)
            if well is None:
                well = placed[room_id] = bool(room_id) and partition_of(room_id, ROOM_EVENTS.partitions) == source.partition
            try:
                if not well:
                    raise Misplaced(f"room {room_id!r} does not belong to partition {source.partition}")
                event = decode(row.record)
                if type(event) not in usable:
                    raise Undecodable(f"a {type(event).__name__} has no place in the rooms' log")
            except SchemaNotCached as error:
                rejects.append(
                    (Reject(row.offset, UnknownSchema.reason, f"schema id {error.schema_id} was never met"), row.logged_at)
                )
            except Undecodable as error:
                rejects.append((Reject(row.offset, error.reason, str(error)), row.logged_at))
            else:
                events.append(LoggedEvent(room_id, row.offset, row.logged_at, event))
        return events, rejects


class Ahead:
    """Keeps of a room's events those that its beginning has not applied yet, and none behind its end."""

    def __init__(self, begun: Mapping[str, Room], logs: Iterable[str], until: Mapping[str, Position] | None = None) -> None:
        self._order = {log_id: number for number, log_id in enumerate(dict.fromkeys(logs))}
        self._begun = {room_id: self._place(room.position) for room_id, room in begun.items()}
        self._until = None if until is None else {room_id: self._place(position) for room_id, position in until.items()}

    def _place(self, position: Position) -> tuple[int, int]:
        return self._order.get(position.log_id, -1), position.offset

    def of(self, source: Source, events: list[LoggedEvent]) -> list[LoggedEvent]:
        """Those of a source's events."""
        log = self._order.get(source.log_id, 0)
        if self._begun:
            events = [e for e in events if (log, e.offset) > self._begun.get(e.room_id, (-1, -1))]
        if self._until is not None:
            events = [e for e in events if (log, e.offset) <= self._until.get(e.room_id, (-1, -1))]
        return events


class Refold:
    """Takes events page by page. `until` names, for some rooms, the last position to fold; `since` the first stamp that counts."""

    def __init__(
        self,
        codecs: Codecs,
        rooms: Mapping[str, Room],
        logs: Iterable[str] = (),
        *,
        since: datetime | None = None,
        until: Mapping[str, Position] | None = None,
    ) -> None:
        self._decoder, self._ahead, self._since = Decoder(codecs), Ahead(rooms, logs, until), since
        self.result = Refolded({**rooms}, {}, {}, {}, [], [], 0, Spent())

    def add(self, source: Source, stored: list[StoredEvent]) -> None:
        """Fold consecutive events of one partition of one log."""
        started = time.perf_counter()
        events, unusable = self._decoder.events(source, stored)
        events = self._ahead.of(source, events)
        decoded = time.perf_counter()
        first = 0 if self._since is None else next((i for i, e in enumerate(events) if e.logged_at >= self._since), len(events))
        if first:
            self._fold(source, events[:first], counting=False)
        self._fold(source, events[first:], counting=True)
        self.result.rejects += [(source, reject) for reject, at in unusable if self._since is None or at >= self._since]
        self.result.events += len(stored) if self._since is None else sum(e.logged_at >= self._since for e in stored)
        self.result.spent.decoding_s += decoded - started
        self.result.spent.folding_s += time.perf_counter() - decoded

    def _fold(self, source: Source, events: list[LoggedEvent], *, counting: bool) -> None:
        total = self.result
        outcome, _ = fold_all(total.rooms, total.averages, source, events)
        total.rooms.update(outcome.rooms)
        total.occupancy.update(outcome.occupancy)
        total.averages.update(outcome.averages)
        total.actuation.update(outcome.actuation)
        if counting:
            total.commands += [each for each in outcome.commands if each.bus in COMMANDS]
            total.rejects += [(source, reject) for reject in (*outcome.rejects, *undeliverable(outcome))]
