"""`atrium stats`: a room's hours or days, out of history."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from schemas.records import Kind
from streams.commands.common import reached, tell_errors
from streams.commands.instant import Instant

if TYPE_CHECKING:
    from agents.replay.statistics_store import Line

UNITS = {"c": "°C", "pct": "%", "lx": "lx", "ppm": "ppm"}
_KINDS = [kind.value for kind in Kind if kind is not Kind.unknown]


@click.command()
@click.argument("room_id", metavar="ROOM")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Only this kind; may be repeated.")
@click.option("--by", type=click.Choice(["hour", "day"]), default="hour", show_default=True, help="Days are the building's own.")
@click.option("--from", "since", type=Instant(), help="Only from here on.")
@click.option("--until", type=Instant(), help="Only before.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@tell_errors
def stats(
    room_id: str, kinds: tuple[str, ...], by: str, since: datetime | None, until: datetime | None, as_json: bool
) -> None:  # fmt: skip
    """Lowest, mean and highest reading of each kind in ROOM by hour or day, how many, and when it was occupied.

    Counts what has come into history since the last time, then prints. What the rules refused is not counted. The occupied
    share is of the time in which it was known whether somebody is there.
    """
    import msgspec.json

    from agents.replay.statistics_store import lines, refresh

    dsn = reached().database
    refresh(dsn, room_id)
    zone, found = asyncio.run(lines(dsn, room_id, by, kinds, since, until))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    _print(found, by, zone)


def unit_of(kind: str) -> str:
    """The unit a kind names, as people write it."""
    return UNITS.get(kind.rpartition("_")[2], "")


def _print(found: list[Line], by: str, zone: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from agents.replay.plot import bars

    console = Console(highlight=False, soft_wrap=True)
    form = "%Y-%m-%d %H:%M" if by == "hour" else "%Y-%m-%d"
    for kind, each in groupby(found, key=lambda line: line.kind):
        rows = list(each)
        screen = Table(title=f"{kind}, {unit_of(kind) or '0 or 1'}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for name in (f"{by} ({zone})", "lowest", "mean", "highest", "count", "occupied"):
            screen.add_column(name, justify="left" if name.startswith(by) else "right")
        for row in rows:
            share = "-" if row.occupied_share is None else f"{row.occupied_share:.0%}"
            local = f"{row.at.astimezone(ZoneInfo(zone)):{form}}"
            screen.add_row(local, f"{row.low:.2f}", f"{row.mean:.2f}", f"{row.high:.2f}", f"{row.count:,}", share)
        console.print(screen)
        means = [row.mean for row in rows][-console.width + 10 :]
        console.print(f"mean {bars(means, min(means), max(means))} {min(means):.1f} to {max(means):.1f} {unit_of(kind)}\n")
    if not found:
        console.print("Nothing was counted in this span.")
