"""The books: what is in the log, folded without Kafka or Faust, beside what the roles made of it; advanced a drill at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from confluent_kafka import Message
from msgspec import Struct

from agents.room_events import read_events
from agents.rules.fold import FoldOutcome, LoggedEvent, fold_batch
from schemas.codecs import Codecs
from schemas.commands import Command, Effect
from schemas.records import CommandResult, DeadLetter, EffectState, Position, Reading
from schemas.rows import AveragesRow, Room
from streams.decoding import decode
from streams.positions import peek_position, supersedes
from streams.producer import log_id
from streams.settings import Settings
from streams.topics import COMMANDS_KNX, DEAD_LETTERS, EFFECTS, ROOM_EVENTS
from tests.faults.drills.topics import Tail
from tests.folding import TABLES

Place = tuple[str, int, int]
"""Log id, partition and offset in the rooms' log."""


class Shown(Struct, frozen=True):
    """A row of `rooms` appeared: until which event of its partition the table could be seen to be folded, and when (seconds)."""

    position: Position
    at: float


class Page(Struct):
    """What came since the last page."""

    log_id: str
    places: list[Place]
    """Every record of the rooms' log."""
    readings: dict[Place, tuple[str, Reading]] = {}
    results: dict[str, list[tuple[datetime, CommandResult]]] = {}
    """By command id, with the time it was logged."""
    rejects: dict[Place, str] = {}
    """What the fold sets aside."""
    letters: dict[Place, list[str]] = {}
    fold_commands: dict[str, Command] = {}
    topic_commands: dict[str, list[Command]] = {}
    """Every delivery of a command id."""
    started: list[Effect] = []
    """Commands the gateway noted before touching the bus, once each, in order."""
    shown: list[Shown] = []
    taken: dict[str, tuple[int, int]] = {}
    """By room: what the table counted before and after."""
    differing: list[str] = []
    """Table and room of each row that differs from the fold."""
    repeated: int = 0
    """Readings that came again, word for word."""
    swayed: int = 0
    """Commands that would differ had each reading come once."""


def joined(earlier: Page, later: Page) -> Page:
    """Two pages of one drill as one: before and after its log was made anew."""
    both = Page(later.log_id, earlier.places + later.places)
    for name in ("readings", "results", "rejects", "letters", "fold_commands", "topic_commands"):
        setattr(both, name, getattr(earlier, name) | getattr(later, name))
    both.started, both.shown = earlier.started + later.started, earlier.shown + later.shown
    both.taken = {room: (earlier.taken.get(room, taken)[0], taken[1]) for room, taken in later.taken.items()}
    both.differing = sorted({*earlier.differing, *later.differing})
    both.repeated, both.swayed = earlier.repeated + later.repeated, earlier.swayed + later.swayed
    return both


class Books:
    """The incremental fold and the tables as last seen."""

    def __init__(self, settings: Settings, codecs: Codecs) -> None:
        self._settings, self._codecs = settings, codecs
        self._log = Tail(settings, ROOM_EVENTS)
        self._tails = {topic.name: Tail(settings, topic) for topic in (COMMANDS_KNX, EFFECTS, DEAD_LETTERS)}
        self._changelogs = {name: Tail(settings, topic) for name, topic in TABLES.items()}
        self._rooms: dict[str, Room] = {}
        self._averages: dict[str, AveragesRow] = {}
        self._folded: dict[str, dict[str, bytes]] = {name: {} for name in TABLES}
        self._live: dict[str, dict[str, bytes]] = {name: {} for name in TABLES}
        self._started: set[str] = set()
        self.log_id = ""

    @property
    def live_rooms(self) -> dict[str, Room]:
        """The table `rooms` as last seen."""
        return {room_id: self._codecs.decode(row) for room_id, row in self._live["rooms"].items()}

    def begin_anew(self) -> None:
        """The rooms' log was made anew: its offsets begin at 0, the rooms go on as they are."""
        self._log.begin_anew()

    async def turn(self) -> Page:
        """Read and fold everything since the last page. Call it when nothing is under way."""
        self.log_id = await log_id(self._settings, ROOM_EVENTS.name)
        ends = self._log.ends()
        page = Page(self.log_id, [])
        page.places = [(self.log_id, p, offset) for p, end in ends.items() for offset in range(self._log.places[p], end)]
        before = {room_id: _taken(room) for room_id, room in self.live_rooms.items()}
        await self._fold(page, self._log.read(ends))
        for message in self._tails[COMMANDS_KNX.name].read():
            command = self._codecs.decode(message.value())
            page.topic_commands.setdefault(command.command_id, []).append(command)
        for message in self._tails[EFFECTS.name].read():
            effect = self._codecs.decode(message.value())
            if effect.state is EffectState.started and effect.command_id not in self._started:
                self._started.add(effect.command_id)
                page.started.append(effect)
        for message in self._tails[DEAD_LETTERS.name].read():
            letter: DeadLetter = self._codecs.decode(message.value())
            if letter.topic == ROOM_EVENTS.name and letter.position.log_id == self.log_id:
                page.letters.setdefault((self.log_id, letter.position.partition, letter.position.offset), []).append(letter.reason)
        self._see_tables(page)
        page.taken = {room_id: (before.get(room_id, 0), _taken(room)) for room_id, room in self.live_rooms.items()}
        return page

    async def _fold(self, page: Page, messages: Iterable[Message]) -> None:
        by_partition: dict[int, list[Any]] = defaultdict(list)
        for message in messages:
            by_partition[message.partition() or 0].append(
                SimpleNamespace(key=message.key(), value=message.value(), offset=message.offset(), timestamp=message.timestamp()[1])
            )
        for partition, records in by_partition.items():
            events, unusable = await read_events(records, partition, self._codecs.decode, self._learn)
            self._note(page, partition, events)
            outcome = fold_batch(self._rooms, self._averages, self.log_id, partition, events)
            self._compare_without_repeats(page, partition, events, outcome)
            self._keep(page, outcome)
            page.rejects |= {(self.log_id, partition, reject.offset): reject.reason for reject in (*unusable, *outcome.rejects)}

    async def _learn(self, data: bytes | None) -> Any:
        return await decode(self._settings.registry, self._codecs, data)

    def _note(self, page: Page, partition: int, events: list[LoggedEvent]) -> None:
        for logged in events:
            if isinstance(logged.event, Reading):
                page.readings[self.log_id, partition, logged.offset] = (logged.room_id, logged.event)
            elif isinstance(logged.event, CommandResult):
                page.results.setdefault(logged.event.command_id, []).append((logged.logged_at, logged.event))

    def _compare_without_repeats(self, page: Page, partition: int, events: list[LoggedEvent], outcome: FoldOutcome) -> None:
        """Fold once more as if each reading had come once: the decisions must be the same."""
        seen: set[Reading] = set()
        once = []
        for logged in events:
            if isinstance(logged.event, Reading):
                if logged.event in seen:
                    continue
                seen.add(logged.event)
            once.append(logged)
        if repeated := len(events) - len(once):
            page.repeated += repeated
            plain = fold_batch(self._rooms, self._averages, self.log_id, partition, once)
            page.swayed += (_decisions(outcome) - _decisions(plain)).total() + (_decisions(plain) - _decisions(outcome)).total()

    def _keep(self, page: Page, outcome: FoldOutcome) -> None:
        self._rooms |= outcome.rooms
        self._averages |= outcome.averages
        for name in TABLES:
            self._folded[name] |= {room_id: self._codecs.encode(row) for room_id, row in getattr(outcome, name).items()}
        page.fold_commands |= {each.command.command_id: each.command for each in outcome.commands}

    def _see_tables(self, page: Page) -> None:
        """The tables' present rows: of each key the one of the highest position, as recovery and replica take it."""
        for name, tail in self._changelogs.items():
            live = self._live[name]
            for message in tail.read():
                room_id, row = (message.key() or b"").decode(), message.value()
                if row is None:
                    live.pop(room_id, None)
                    continue
                position = peek_position(row)
                if room_id not in live or supersedes(position, peek_position(live[room_id])):
                    live[room_id] = row
                if name == "rooms":
                    page.shown.append(Shown(position, message.timestamp()[1] / 1000))
            folded = self._folded[name]
            page.differing += [
                f"{name}/{room_id}" for room_id in sorted(live.keys() | folded.keys()) if live.get(room_id) != folded.get(room_id)
            ]


def _taken(room: Room) -> int:
    """Every reading the room has had: counted, not believed, set aside with a reason, or parked until its device is known."""
    return room.readings + room.suspect + room.rejected + len(room.parked)


def _decisions(outcome: FoldOutcome) -> Counter[tuple[int, float, str]]:
    return Counter((each.command.device_id, each.command.target_pct, each.command.winner.rule) for each in outcome.commands)
