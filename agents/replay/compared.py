"""PURE: two lives of the same rooms side by side: what another policy would have changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from msgspec import Struct

from agents.replay.driven import Life
from schemas.commands import Command
from schemas.records import Kind

MOVED_WITHIN = timedelta(minutes=30)
"""Two commands to one actuator so near each other are one that moved; further apart one is gone and another added."""
REVERSAL_WITHIN = timedelta(minutes=10)
"""A target that turns back so soon after the last change is a reversal."""


class Change(Struct, frozen=True):
    """One command that differs; `before` None: added, `after` None: gone, both: moved."""

    before: Command | None
    after: Command | None

    @property
    def at(self) -> datetime:
        """When, by the earlier of the two."""
        return min(each.issued_at for each in (self.before, self.after) if each is not None)


class Compared(Struct, frozen=True):
    """One actuator before and after."""

    room_id: str
    device_id: int
    kind: Kind
    before: list[Command]
    after: list[Command]
    changes: list[Change]

    @property
    def added(self) -> int:
        """Commands that only the other policy sends."""
        return sum(change.before is None for change in self.changes)

    @property
    def gone(self) -> int:
        """Commands that the other policy does not send."""
        return sum(change.after is None for change in self.changes)

    @property
    def moved(self) -> int:
        """Commands at another time or to another value."""
        return len(self.changes) - self.added - self.gone


def compare(before: Mapping[str, Life], after: Mapping[str, Life]) -> list[Compared]:
    """Every actuator that any of the two commanded, by room and device."""
    old, new = _by_actuator(before), _by_actuator(after)
    return [
        Compared(key[0], key[1], (old[key] or new[key])[0].kind, old[key], new[key], changes_between(old[key], new[key]))
        for key in sorted({*old, *new})
    ]


def _by_actuator(lives: Mapping[str, Life]) -> dict[tuple[str, int], list[Command]]:
    commands: dict[tuple[str, int], list[Command]] = defaultdict(list)
    for life in lives.values():
        for command in life.commands:
            commands[command.room_id, command.device_id].append(command)
    return commands


def changes_between(before: Iterable[Command], after: Iterable[Command]) -> list[Change]:
    """Commands of one actuator, in time's order, that do not stand equally on both sides, paired with the nearest of the other."""
    old, new = list(before), list(after)
    same = {(c.issued_at, c.target_pct) for c in old} & {(c.issued_at, c.target_pct) for c in new}
    old = [c for c in old if (c.issued_at, c.target_pct) not in same]
    new = [c for c in new if (c.issued_at, c.target_pct) not in same]
    changes: list[Change] = []
    while old and new:
        apart = new[0].issued_at - old[0].issued_at
        if abs(apart) <= MOVED_WITHIN:
            changes.append(Change(old.pop(0), new.pop(0)))
        elif apart > timedelta():
            changes.append(Change(old.pop(0), None))
        else:
            changes.append(Change(None, new.pop(0)))
    return [*changes, *(Change(c, None) for c in old), *(Change(None, c) for c in new)]


def reversals(commands: Iterable[Command]) -> int:
    """How often an actuator's target turned back within 10 min of its last change."""
    return reversals_in([(command.issued_at, command.target_pct) for command in commands])


def reversals_in(targets: Iterable[tuple[datetime, float]]) -> int:
    """The same of an actuator's targets and when each was set, in time's order."""
    moves = [(at, after - before) for (_, before), (at, after) in pairwise(targets) if before != after]
    return sum(first[1] * then[1] < 0 and then[0] - first[0] <= REVERSAL_WITHIN for first, then in pairwise(moves))
