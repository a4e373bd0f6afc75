"""What another policy would have changed, told: tables, strips of blocks, a drawing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TextIO

from rich.console import Console
from rich.table import Table

from agents.replay.compared import Change, Compared, compare, reversals
from agents.replay.driven import Life
from agents.replay.plot import strip, svg
from agents.replay.replay import TwoLives
from schemas.rows import OccupancyState

_MOST_CHANGES = 20
_STRIP = 72


def tell_differences(lives: TwoLives, policy: str, out: TextIO) -> str:
    """Print the comparison; the drawing as SVG."""
    console = Console(file=out, highlight=False, width=None if out.isatty() else 160)
    compared = compare(lives.before, lives.after)
    since, until = _frame(lives)
    console.print(_actuators(compared))
    console.print(_people(lives))
    changes = sorted(((change, each) for each in compared for change in each.changes), key=lambda pair: pair[0].at)
    if changes:
        console.print(_changes(changes))
    differing = [each for each in compared if each.changes]
    for each in differing:
        console.print(f"room {each.room_id}, {each.kind} {each.device_id}, {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC")
        console.print(f"  before {strip(each.before, since, until, _STRIP)}")
        console.print(f"  after  {strip(each.after, since, until, _STRIP)}")
    if not changes:
        console.print("No command differs.")
    return svg(f"{policy}: targets in % before and after", differing or compared, since, until)


def _frame(lives: TwoLives) -> tuple[datetime, datetime]:
    """From the first reading to the last event of all rooms."""
    all_lives = [*lives.before.values(), *lives.after.values()]
    until = max((life.room.now_at for life in all_lives if life.room is not None), default=datetime.now(UTC))
    return min((life.began_at for life in all_lives if life.began_at is not None), default=until), until


def _actuators(compared: list[Compared]) -> Table:
    table = Table(title="Commands before and after", title_justify="left")
    for name in ("room", "device", "kind", "before", "after", "added", "gone", "moved", "reversals before", "after"):
        table.add_column(name, justify="left" if name in ("room", "kind") else "right")
    for each in compared:
        numbers = (
            len(each.before),
            len(each.after),
            each.added,
            each.gone,
            each.moved,
            reversals(each.before),
            reversals(each.after),
        )
        table.add_row(each.room_id, str(each.device_id), each.kind.value, *map(str, numbers))
    return table


def _people(lives: TwoLives) -> Table:
    table = Table(title="Hours occupied", title_justify="left")
    for name in ("room", "before", "after", "recorded truth"):
        table.add_column(name, justify="left" if name == "room" else "right")
    for room_id, before in lives.before.items():
        after = lives.after.get(room_id, before)
        truth = _hours(before, reference=True) if before.reference.last_at is not None else "-"
        table.add_row(room_id, _hours(before), _hours(after), truth)
    return table


def _hours(life: Life, *, reference: bool = False) -> str:
    presence = life.reference if reference else life.occupied
    if not reference and not presence.spans and life.room is not None and life.room.occupancy.light is OccupancyState.unknown:
        return "unknown"
    return f"{presence.total.total_seconds() / 3600:.1f}"


def _changes(changes: list[tuple[Change, Compared]]) -> Table:
    table = Table(
        title=f"First {_MOST_CHANGES} of {len(changes)} changes" if len(changes) > _MOST_CHANGES else "Changes",
        title_justify="left",
    )
    for name in ("at (UTC)", "room", "device", "change", "before", "after"):
        table.add_column(name)
    for change, each in changes[:_MOST_CHANGES]:
        what = "added" if change.before is None else "gone" if change.after is None else "moved"
        sides = [
            "-" if command is None else f"{command.issued_at:%H:%M:%S} {command.target_pct:g} % ({command.winner.rule})"
            for command in (change.before, change.after)
        ]
        table.add_row(f"{change.at:%Y-%m-%d %H:%M}", each.room_id, f"{each.kind} {each.device_id}", what, *sides)
    return table
