"""PURE: one drill's account: the ledger, a page of the books, the bus and the history, compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set

from msgspec import Struct

from schemas.records import Kind, Reading, ResultStatus
from tests.faults.drills.books import Page, Place
from tests.faults.drills.ledger import Entry
from tests.faults.drills.plan import KINDS, is_sensor, sensor


class Account(Struct, frozen=True, kw_only=True):
    """One row of the table. Every number is counted, none is assumed."""

    sent: int
    """Readings Kafka acknowledged to the load."""
    counted: int
    """Readings in the rooms' rows (late ones too), the gateway's own taken off."""
    set_aside: int
    """Readings refused with a reason, each in the dead letters."""
    lost: int
    doubled: int
    history_missing: int
    """Events and commands of the log without their row in PostgreSQL."""
    differing: int
    """Rows of the four tables that differ from the offline fold of the log."""
    commands_fold: int
    commands_topic: int
    commands_missing: int
    commands_foreign: int
    """Ids in the topic that the fold does not know, or with a second content."""
    commands_repeated: int
    """Deliveries of an id beyond the first, word for word."""
    unanswered: int
    """Commands without a result in their room's log."""
    carried_out: int
    changes_expected: int
    changes_counted: int
    changes_lost: int
    changes_doubled: int
    extra_telegrams: int
    """Telegrams that repeat the one before: nothing moves."""
    letters_missing: int
    letters: Mapping[str, int]
    """Dead letters by reason."""
    strays: int
    """Dead letters about records that the fold takes."""
    repeated: int
    swayed: int


def settle(
    page: Page, ledger: Sequence[Entry], heard: Mapping[int, Sequence[float]], stood: Mapping[int, float], missing: int
) -> Account:
    """Strike the balance. `heard`: telegrams by actuator during the drill; `stood`: where each stood before it."""
    readings = [entry for entry in ledger if not entry.poison]
    lost, doubled = _log_against_ledger(page, readings)
    rooms_lost, rooms_doubled = _tables_against_log(page)
    bus = sum(1 for _, reading in page.readings.values() if not is_sensor(reading.device_id))
    refused = sum(1 for place in page.rejects if place in page.readings)
    effects = [_effects(page, device_id, told, stood[device_id]) for device_id, told in heard.items()]
    topic = page.topic_commands
    return Account(
        sent=sum(entry.placed for entry in readings),
        counted=sum(after - before for before, after in page.taken.values()) - bus - _refused_rows(page),
        set_aside=refused,
        lost=lost + rooms_lost,
        doubled=doubled + rooms_doubled,
        history_missing=missing,
        differing=len(page.differing),
        commands_fold=len(page.fold_commands),
        commands_topic=len(topic),
        commands_missing=len(page.fold_commands.keys() - topic.keys()),
        commands_foreign=sum(1 for each, told in topic.items() if any(one != page.fold_commands.get(each) for one in told)),
        commands_repeated=sum(len(told) - 1 for told in topic.values()),
        unanswered=len(topic.keys() - page.results.keys()),
        carried_out=sum(any(r.status is ResultStatus.done for _, r in told) for told in page.results.values()),
        changes_expected=sum(each.expected for each in effects),
        changes_counted=sum(each.counted for each in effects),
        changes_lost=sum(each.lost for each in effects),
        changes_doubled=sum(each.doubled for each in effects),
        extra_telegrams=sum(each.extra for each in effects),
        letters_missing=len(page.rejects.keys() - page.letters.keys()),
        letters=Counter(page.rejects.values()),
        strays=len(page.letters.keys() - page.rejects.keys()),
        repeated=page.repeated,
        swayed=page.swayed,
    )


def _refused_rows(page: Page) -> int:
    """What the rooms' rows count as refused: every event the fold itself set aside."""
    return sum(1 for place in page.rejects if place in page.readings)


def _log_against_ledger(page: Page, readings: Iterable[Entry]) -> tuple[int, int]:
    """Acknowledged readings that the log does not hold, and the load's readings it holds more often than they were acknowledged.

    Those acknowledged without their place may be in the log or not (`streams.producer.NO_PLACE`).
    """
    sent, unsure = Counter[tuple[int, Kind, int]](), Counter[tuple[int, Kind, int]]()
    for entry in readings:
        (sent if entry.placed else unsure)[sensor(entry.room), KINDS[entry.kind], entry.at_ms] += 1
    logged = Counter(_identity(reading) for _, reading in page.readings.values() if is_sensor(reading.device_id))
    return (sent - logged).total(), (logged - sent - unsure).total()


def _identity(reading: Reading) -> tuple[int, Kind, int]:
    return reading.device_id, reading.kind, round(reading.at.timestamp() * 1000)


def _tables_against_log(page: Page) -> tuple[int, int]:
    """Room by room: readings in the log that the table does not count, and those it counts more than once."""
    logged = Counter(room_id for room_id, _ in page.readings.values())
    lost = doubled = 0
    for room_id, (before, after) in page.taken.items():
        more = after - before - logged[room_id]
        lost, doubled = lost + max(0, -more), doubled + max(0, more)
    return lost + sum(count for room_id, count in logged.items() if room_id not in page.taken), doubled


class _Effects(Struct, frozen=True):
    expected: int
    counted: int
    lost: int
    doubled: int
    extra: int


def _effects(page: Page, device_id: int, told: Sequence[float], stood: float) -> _Effects:
    """One actuator: its telegrams against what the gateway noted before (`started`) and answered after (`done`)."""
    done = {each for each, told_of in page.results.items() if any(r.status is ResultStatus.done for _, r in told_of)}
    begun = [effect for effect in page.started if effect.device_id == device_id]
    may = [effect.target_pct for effect in begun]
    must = [effect.target_pct for effect in begun if effect.command_id in done]
    changes = _moves(told, stood)
    return _Effects(
        expected=len(_moves(must, stood)),
        counted=len(changes),
        lost=len(_moves(must, stood)) - _common(_moves(must, stood), changes),
        doubled=len(changes) - _common(changes, _moves(may, stood)),
        extra=len(told) - _common(told, may),
    )


def _moves(targets: Sequence[float], stood: float) -> list[float]:
    """The targets that moved an actuator."""
    moves = []
    for target in targets:
        if target != stood:
            moves.append(target)
            stood = target
    return moves


def _common(one: Sequence[float], other: Sequence[float]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for value in one:
        before = row
        row = [0]
        for index, theirs in enumerate(other):
            row.append(before[index] + 1 if value == theirs else max(before[index + 1], row[-1]))
    return row[-1]


def missing_places(page: Page, kept: Set[Place]) -> int:
    """Records of the log that `kept` lacks."""
    return sum(1 for place in page.places if place not in kept)
