"""What the rooms role left in Kafka or in a snapshot, to hold a replay against; and the comparing."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaException
from msgspec import Struct

from agents.replay.differing import first_difference
from agents.replay.stored import known_codecs
from schemas.codecs import HEADER, Codecs, body_of
from schemas.errors import BuildingError, SchemaNotCached, Undecodable
from schemas.records import Position
from schemas.rows import Room
from streams.compacted import read_to_end
from streams.database import connection
from streams.positions import peek_position, supersedes
from streams.settings import Settings
from streams.topics import TABLE_ROOMS


class KafkaUnreachable(BuildingError):
    """The tables could not be read."""

    reason = "kafka_unreachable"


class Kept(Struct, frozen=True):
    """A row as it lies there."""

    record: bytes
    position: Position


class Checked(Struct, frozen=True):
    """What came of it: rooms that are equal, what differs (a sentence by room), rooms whose events history does not have yet."""

    equal: int
    differing: dict[str, str]
    behind: dict[str, str]


def live_rows(settings: Settings) -> dict[str, Kept]:
    """The row of each room in its table's topic: of a key's rows the one that stands highest. Raises `KafkaUnreachable`."""
    rows: dict[str, Kept] = {}
    try:
        for message in read_to_end(settings, TABLE_ROOMS):
            room_id, record = (message.key() or b"").decode(errors="backslashreplace"), message.value()
            if record is None:
                rows.pop(room_id, None)
                continue
            try:
                kept = Kept(record, peek_position(record))
            except (IndexError, UnicodeDecodeError):
                continue  # not a row: the rooms role does not take it either
            if room_id not in rows or supersedes(kept.position, rows[room_id].position):
                rows[room_id] = kept
    except (KafkaException, TimeoutError) as error:
        raise KafkaUnreachable(f"the rooms' table cannot be read: {error}") from error
    return rows


async def snapshot_rows(dsn: str) -> tuple[str, dict[str, Kept]]:
    """The latest snapshot: its day and rows. Raises `DatabaseUnavailable`."""
    async with connection(dsn) as db:
        rows = await db.fetch(
            "SELECT day, room_id, record FROM history.room_snapshots WHERE day = (SELECT max(day) FROM history.room_snapshots)"
        )
        codecs = await known_codecs(db)
    kept = {row["room_id"]: Kept(row["record"], peek_position(row["record"])) for row in rows if _reads(codecs, row["record"])}
    return (str(rows[0]["day"]) if rows else "none"), kept


def _reads(codecs: Codecs, record: bytes) -> bool:
    try:
        return isinstance(codecs.decode(record), Room)
    except SchemaNotCached:
        return True  # a snapshot keeps its rows' schemas; should one be missing, the bytes are compared all the same
    except Undecodable:
        return False


def check(rows: Mapping[str, Kept], replayed: Mapping[str, Room]) -> Checked:
    """Compare byte for byte: the Avro bodies, of which the header before them only numbers the schema."""
    equal, differing, behind = 0, {}, {}
    for room_id, kept in sorted(rows.items()):
        room = replayed.get(room_id)
        if room is None or room.position != kept.position:
            behind[room_id] = (
                f"the table stands at {_place(kept.position)}, history at {_place(room.position) if room else 'nothing'}"
            )
        elif body_of(room) == kept.record[HEADER:]:
            equal += 1
        else:
            differing[room_id] = first_difference(_read_today(kept.record), room) or "the bytes differ, the fields do not"
    return Checked(equal, differing, behind)


def _read_today(record: bytes) -> object:
    schema_id = int.from_bytes(record[1:HEADER], "big")
    try:
        return Codecs({Room: schema_id}).decode(record)
    except Undecodable as error:
        return f"a row of another version ({error})"


def _place(position: Position) -> str:
    return f"{position.log_id}/{position.partition}/{position.offset}"
