"""Feeds a recording into a room: from the row after the last that the room's log has, in order, at the pace asked for.

The log itself says how far a recording has come. A note in PostgreSQL only saves reading it from its beginning: the feeder
reads on from the note to the log's end and goes on after the last reading it finds there. The producer is idempotent and in
order, so whatever moment a feeder is killed at, the log holds the first so many of its readings, each once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
from confluent_kafka import KafkaException
from msgspec import Struct

from agents.recordings.follower import Follower
from agents.recordings.progress import Progress
from agents.recordings.recording import Recording, Row
from infra.feed.errors import Doubled, FeedBroken, RowsMissing, TimeRunsBack, TraceLost
from infra.feed.introduce import Wanted, introduce
from infra.feed.log import Appender, RoomLog, SendStopped
from infra.feed.notes import Note, read_notes, take_room, write_note
from schemas.codecs import Codecs
from schemas.records import Clock
from schemas.rows import Room
from streams.compacted import last_values
from streams.database import connection
from streams.decoding import decode
from streams.producer import log_id
from streams.registry import register_all
from streams.settings import Settings
from streams.topics import ROOM_EVENTS, TABLE_ROOMS

_NOTE_EVERY_S = 1.0
_BREATH_S = 0.1
_NO_SHIFT = timedelta()
_POSTGRES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


class Order(Struct, frozen=True, kw_only=True):
    """What to feed and how. `speed` counts against the recording's time, None is flat out; `to_now` is live, its times shifted."""

    room_id: str
    recording: Recording
    speed: float | None = None
    to_now: bool = False
    from_row: int = 0
    until_row: int
    actuators: bool = False
    floor: int = 0


class Fed(Struct, kw_only=True):
    """How far a feed came. `next_row`: rows before it are in the room's log, acknowledged."""

    next_row: int
    until_row: int
    first_row: int
    ticks: int = 0
    readings: int = 0
    took_s: float = 0.0
    interrupted: bool = False


Watch = Callable[[Fed], None]


async def feed(settings: Settings, order: Order, watch: Watch = lambda _: None) -> Fed:
    """Feed until the end or until cancelled, which is told in the answer. `watch` hears of rows sent.

    Raises `BuildingError`s: `WrongClock`, `RoomTaken`, `TimeRunsBack`, `TraceLost`, `Doubled`, `FeedBroken` and what the
    services raise.
    """
    codecs = await register_all(settings.registry)
    async with connection(settings.database) as db:
        with _broken("nothing was fed"):
            await take_room(db, order.room_id)
            run = _Run(settings, codecs, db, order, await log_id(settings, ROOM_EVENTS.name))
            await run.prepare()
        return await run.feed(watch)


@contextmanager
def _broken(so_far: str) -> Iterator[None]:
    """Tell what fails inside as `FeedBroken`, after a word on how far it came."""
    try:
        yield
    except (KafkaException, *_POSTGRES) as error:
        raise FeedBroken(f"{so_far}: {str(error) or type(error).__name__}") from error


class _Run:
    """One feed at work: what it has found out, and what it is doing."""

    def __init__(self, settings: Settings, codecs: Codecs, db: asyncpg.Connection, order: Order, topic_id: str) -> None:
        self._settings, self._codecs, self._db, self._order, self._log_id = settings, codecs, db, order, topic_id
        self._log = RoomLog(settings, order.room_id)
        self._device_id = 0
        self._offset = -1
        self._unsure_from: tuple[int, int, timedelta] | None = None

    async def prepare(self) -> None:
        """Introduce the room and find out how far the recording has come."""
        order, recording = self._order, self._order.recording
        notes = await read_notes(self._db, order.room_id, self._log_id)
        mine = next((note for note in notes if note.recording == recording.digest), None)
        low, before = await asyncio.to_thread(self._log.ends)
        known = await self._db.fetchval("SELECT 1 FROM building.rooms WHERE room_id = $1", order.room_id)
        wanted = Wanted(
            room_id=order.room_id, clock=Clock.live if order.to_now else Clock.recorded, zone=recording.zone,
            name=f"Recorded {order.room_id}", floor=order.floor, actuators=order.actuators,
        )  # fmt: skip
        self._device_id = await introduce(self._settings, self._codecs, wanted)

        relevant = list({note.recording: note for note in (mine, *notes[-1:]) if note}.values())
        killed = any(note.running for note in relevant)
        end = await asyncio.to_thread(self._log.end_at_rest if killed else lambda: self._log.ends()[1])
        start = min((note.offset + 1 for note in relevant), default=low if known else before)
        if killed and start < low:
            raise TraceLost(
                f"a feed into room {order.room_id} was killed, and the log no longer has what it did last (it keeps"
                f" {ROOM_EVENTS.retention}): feed into a new room"
            )
        start = max(start, low)
        mine_from = mine.offset + 1 if mine else end if notes else start
        shift = timedelta(milliseconds=mine.shift_ms) if mine else _NO_SHIFT
        first = mine.next_row if mine else 0
        self._progress = Progress(recording, self._device_id, shift, first)
        room = await self._room(notes[-1].room if notes else await asyncio.to_thread(self._row))
        self._follower = Follower(order.room_id, self._log_id, self._log.partition, room)
        await asyncio.to_thread(self._read, start, end, mine_from)
        self._refuse_unsound(self._progress)
        self._refuse_strangers()
        self._offset = end - 1
        if killed and mine:
            self._unsure_from = (max(mine_from, low), first, shift)

    async def _room(self, data: bytes | None) -> Room | None:
        room = await decode(self._settings.registry, self._codecs, data) if data else None
        return room if isinstance(room, Room) and room.position.log_id == self._log_id else None

    def _row(self) -> bytes | None:
        """The room as the rooms role has it: the log may have lost its beginning."""
        return last_values(self._settings, TABLE_ROOMS).get(self._order.room_id.encode())

    def _read(self, start: int, end: int, mine_from: int) -> None:
        for logged in self._log.read(self._codecs, start, end):
            self._follower.read(logged)
            if logged.offset >= mine_from:
                self._progress.see(logged.event)

    def _refuse_strangers(self) -> None:
        """A recorded room's ticks need its whole past."""
        room = self._follower.room
        if not self._order.to_now and (room is None or room.policy.clock is not Clock.recorded):
            raise TraceLost(
                f"the log does not have the beginning of room {self._order.room_id} any more, and the rooms role has no row of it:"
                " feed into a new room"
            )

    async def feed(self, watch: Watch) -> Fed:
        """Send what is left."""
        order = self._order
        first = max(self._progress.next_row, order.from_row)
        fed = Fed(next_row=min(first, order.until_row), until_row=order.until_row, first_row=first)
        if first >= order.until_row:
            if self._unsure_from:
                with _broken("all was fed before, which could not be noted"):
                    await self._note(self._progress.next_row, _NO_SHIFT, running=False)
            return fed
        shift = self._shift(order.recording.rows[first])
        self._refuse_the_past(first)
        # A killed feeder's note stands before the row of which it sent a part: one from here would know nothing of that part.
        if not (self._unsure_from and self._progress.of_next):
            with _broken("nothing was fed"):
                await self._note(first, shift, running=True)
        appender = Appender(self._settings, self._log)
        began = time.monotonic()
        try:
            try:
                await self._send_rows(appender, fed, shift, watch)
            except asyncio.CancelledError:
                fed.interrupted = True
            await self._settle(appender, fed, shift, running=False)
        except (SendStopped, *_POSTGRES) as error:
            where = "" if isinstance(error, SendStopped) else "PostgreSQL, "
            raise FeedBroken(
                f"stopped near row {fed.next_row:,} of {order.until_row:,}: {where}{str(error) or type(error).__name__}."
                " The same command goes on after the last row that Kafka has"
            ) from error
        fed.took_s = time.monotonic() - began
        watch(fed)
        await self._verify()
        return fed

    async def _send_rows(self, appender: Appender, fed: Fed, shift: timedelta, watch: Watch) -> None:
        order, rows = self._order, self._order.recording.rows
        began = breathed = noted = time.monotonic()
        done = self._progress.of_next if fed.first_row == self._progress.next_row else frozenset()
        speed = 1.0 if order.to_now else order.speed
        for index in range(fed.first_row, order.until_row):
            row = rows[index]
            now = time.monotonic()
            if speed is not None:
                wait_s = began + (row.at - rows[fed.first_row].at).total_seconds() / speed - now
                if wait_s > _NOTE_EVERY_S and fed.readings:
                    await self._settle(appender, fed, shift, running=True)
                if wait_s > 0:
                    watch(fed)
                    await asyncio.sleep(wait_s)
            elif now - breathed > _BREATH_S:
                watch(fed)
                await asyncio.sleep(0)
                breathed = now
            if now - noted > _NOTE_EVERY_S:
                await self._settle(appender, fed, shift, running=True)
                noted = time.monotonic()
            self._send_row(appender, fed, row, shift, skip=done)
            done = frozenset()
            fed.next_row = index + 1

    def _send_row(self, appender: Appender, fed: Fed, row: Row, shift: timedelta, skip: frozenset[object]) -> None:
        """A row and the ticks before it. `skip`: what of it the log has already."""
        encode = self._codecs.encode
        shifted = Row(row.at + shift, row.values) if shift else row
        readings = [r for r in shifted.readings(self._order.recording.kinds, self._device_id) if r.kind not in skip]
        if not self._order.to_now:  # a live room is woken by the rooms role
            for tick in self._follower.ticks_until(row.at):
                appender.append(encode(tick))
                fed.ticks += 1
            self._follower.feed(readings, row.at)
        for reading in readings:
            appender.append(encode(reading))
        fed.readings += len(readings)
        appender.poll()

    async def _settle(self, appender: Appender, fed: Fed, shift: timedelta, *, running: bool) -> None:
        """Wait for the acknowledgements and note how far it came."""
        await asyncio.to_thread(appender.flush)
        if appender.last_offset is not None:
            self._offset = appender.last_offset
        await self._note(fed.next_row, shift, running=running)

    async def _note(self, next_row: int, shift: timedelta, *, running: bool) -> None:
        room = None if self._order.to_now else self._follower.room_at(self._offset)
        note = Note(
            recording=self._order.recording.digest, file=self._order.recording.name, log_id=self._log_id,
            partition=self._log.partition, offset=self._offset, next_row=next_row, running=running,
            shift_ms=round(shift / timedelta(milliseconds=1)), room=self._codecs.encode(room) if room else None,
        )  # fmt: skip
        await write_note(self._db, self._order.room_id, note)

    def _shift(self, row: Row) -> timedelta:
        if not self._order.to_now:
            return _NO_SHIFT
        milliseconds = round((datetime.now(UTC) - row.at) / timedelta(milliseconds=1))
        return timedelta(milliseconds=milliseconds)

    def _refuse_the_past(self, first: int) -> None:
        room, row = self._follower.room, self._order.recording.rows[first]
        if not self._order.to_now and room is not None and room.sensed and row.at < room.now_at:
            raise TimeRunsBack(
                f"room {self._order.room_id} stands at {room.now_at:%Y-%m-%d %H:%M:%SZ}, {self._order.recording.name} would go on"
                f" at {row.at:%Y-%m-%d %H:%M:%SZ}: a recorded room's time never goes back; feed in the order of time, or into"
                " another room"
            )

    async def _verify(self) -> None:
        """After a feeder was killed: read what it and this one wrote, and be sure."""
        if self._unsure_from is None:
            return
        start, first, shift = self._unsure_from
        progress = Progress(self._order.recording, self._device_id, shift, first)

        def read() -> None:
            for logged in self._log.read(self._codecs, start, self._offset + 1):
                progress.see(logged.event)

        with _broken("all that was asked is sent, but Kafka could not be read to see that it is whole"):
            await asyncio.to_thread(read)
        self._refuse_unsound(progress)

    def _refuse_unsound(self, progress: Progress) -> None:
        order = self._order
        if progress.doubled:
            raise Doubled(
                f"room {order.room_id}'s log has readings of {order.recording.name} twice (rows {_some(progress.doubled)}),"
                " by another hand than `atrium feed`: feed into a new room"
            )
        if progress.missed:
            raise RowsMissing(
                f"room {order.room_id}'s log lacks readings of {order.recording.name} (rows {_some(progress.missed)}),"
                " though later ones are there: feed into a new room"
            )


def _some(rows: list[int]) -> str:
    return ", ".join(f"{row + 1:,}" for row in rows[:5]) + (" ..." if len(rows) > 5 else "")
