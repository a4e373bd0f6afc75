"""`python -m tests.faults.drills [NAME...]`: perform drills at full length and print one table."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from tests.faults.drills.catalogue import DRILLS, FULL, SHORT, Spans, register_newer
from tests.faults.drills.perform import Row, perform
from tests.faults.drills.plan import Plan
from tests.faults.drills.stand import memory_and_cores, stand
from tests.faults.drills.table import HEADINGS, cells, write
from tests.processes import home_of_its_own


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--seconds", type=float, help="How long the disturbances without a length of their own last (15).")
@click.option("--rate", default=1000, show_default=True, help="Readings a second.")
@click.option("--rooms", default=200, show_default=True, help="Rooms, each with a sensor, a valve and a blind.")
@click.option("--flip", default=15.0, show_default=True, help="Seconds between changes of weather and people in a room.")
@click.option("--short", is_flag=True, help="Short outages, as the tests have them.")
@click.option("--seed", type=int, help="Of the random moments; told in the output.")
@click.option("--home", type=click.Path(path_type=Path), help="Keep the building's files here, an empty folder (default: removed).")
@click.option("--write", "to_document", is_flag=True, help="Put the table into docs/reliability.md.")
def main(
    names: tuple[str, ...],
    seconds: float | None,
    rate: int,
    rooms: int,
    flip: float,
    short: bool,
    seed: int | None,
    home: Path | None,
    to_document: bool,
) -> None:
    """Perform drills (default: every one) and print one row each. Exit code 1 when a promise was broken."""
    if unknown := [name for name in names if name not in DRILLS]:
        raise click.ClickException(f"no drill is called {', '.join(unknown)}: there are {', '.join(DRILLS)}")
    spans = SHORT if short else FULL
    spans = replace(spans, disturbed=seconds) if seconds is not None else spans
    seed = random.randrange(1_000_000) if seed is None else seed
    began = time.monotonic()
    rows = asyncio.run(run(list(names) or list(DRILLS), Plan(rooms, rate, flip), spans, seed, home))
    table = Table(*HEADINGS, title=f"{rooms} rooms, {rate} readings/s, seed {seed}")
    for row in rows:
        table.add_row(*cells(row))
    Console(width=None if sys.stdout.isatty() else 240).print(table)
    if to_document:
        command = " ".join(["python -m tests.faults.drills", *sys.argv[1:]])
        write(rows, (
            f"{datetime.now(UTC):%Y-%m-%d}, {memory_and_cores()}, {rooms} rooms, {rate} readings/s, seed {seed},"
            f" {(time.monotonic() - began) / 60:.0f} min in all: `{command}`"
        ))  # fmt: skip
    if any(row.faults for row in rows):
        sys.exit(1)


async def run(names: list[str], plan: Plan, spans: Spans, seed: int, home: Path | None) -> list[Row]:
    """One stand, one drill after the other."""
    console = Console(stderr=True)
    rows: list[Row] = []
    with home_of_its_own("drill") as own:
        async with stand(plan, home or own) as built:
            built.chance.seed(seed)
            await asyncio.to_thread(register_newer, built)
            for name in names:
                with console.status(f"{name}: {DRILLS[name].title}"):
                    row = await perform(built, DRILLS[name], spans)
                rows.append(row)
                verdict = "[green]kept[/]" if not row.faults else f"[red]{'; '.join(row.faults)}[/]"
                console.print(f"{name}: {verdict} ({row.took_s:.0f} s, recovery {row.recovery_s:.1f} s)", highlight=False)
    return rows


if __name__ == "__main__":
    main()
