"""`atrium replay`: stored history, or a recording, through the fold once more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.errors import BuildingError
from streams.commands.common import reached, tell_errors
from streams.commands.instant import Instant

if TYPE_CHECKING:
    from msgspec import Struct

    from agents.replay.driven import Altered
    from agents.replay.refold import Refolded
    from agents.replay.replay import Told, TwoLives
    from agents.replay.stored import Span


class Failed(BuildingError):
    """A request that cannot be met, or a check that found a difference."""

    reason = "failed"


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mapping",
    "mapping_name",
    default="uci-occupancy",
    show_default=True,
    help="Columns of FILES: a YAML file, or a known data set.",
)
@click.option("--from", "since", type=Instant(), help="Only what was logged from here on; begins at the last snapshot before.")
@click.option("--until", type=Instant(), help="Only what was logged before.")
@click.option("--room", "room_ids", multiple=True, help="Only this room; may be repeated.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write rows and commands there, as JSON lines.")
@click.option(
    "--check", "against_what", type=click.Choice(["kafka", "snapshot"]), help="Compare with the live tables, or the last snapshot."
)
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML of policy fields: what would have differed?",
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Fields of the policy to compare with, in place of the stored one.",
)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw what differs into this SVG file.")
@tell_errors
def replay(
    files: tuple[Path, ...], mapping_name: str, since: datetime | None, until: datetime | None, room_ids: tuple[str, ...],
    output: Path | None, against_what: str | None, policy: Path | None, against: Path | None, plot: Path | None,
) -> None:  # fmt: skip
    """Fold stored history again, without Kafka, and print what it comes to; or FILES, recordings of one room.

    With --policy the rooms live the span twice and the differences are listed. Times without an offset are local.
    """
    from agents.replay.stored import Span

    if (against or plot) and policy is None:
        raise Failed("--against and --plot go with --policy")
    if plot is not None and plot.suffix != ".svg":
        raise Failed(f"{plot.name}: plots are drawn as SVG: give a name that ends in .svg")
    if files and (since or until or room_ids or against_what):
        raise Failed("FILES are folded whole: --from, --until, --room and --check are for stored history")
    if policy is not None and (against_what or output):
        raise Failed("--check and --output go with a replay as it was, --policy with one as it was not")
    span = Span(since=since, until=until, room_ids=room_ids)
    if policy is not None:
        _compare(files, mapping_name, span, policy, against, plot)
    elif files:
        _print(_of_files(files, mapping_name), output)
    else:
        _replay(span, output, against_what)


def _replay(span: Span, output: Path | None, against_what: str | None) -> None:
    from agents.replay.live import check, live_rows, snapshot_rows
    from agents.replay.replay import replay as run

    settings = reached()
    name, rows = "the live tables", None
    if against_what == "kafka":
        rows = live_rows(settings)
    elif against_what == "snapshot":
        day, rows = asyncio.run(snapshot_rows(settings.database))
        name = f"the snapshot of {day}"
    if rows is not None and span.room_ids:
        rows = {room_id: row for room_id, row in rows.items() if room_id in span.room_ids}
    ends = None if rows is None else {room_id: row.position for room_id, row in rows.items()}
    with _progress("folding") as tell:
        refolded = run(settings.database, span, until=ends, tell=tell)
    _print(refolded, output)
    if rows is None:
        return
    found = check(rows, refolded.rooms)
    for room_id, what in found.differing.items():
        click.echo(f"  room {room_id} differs: {what}")
    for room_id, what in found.behind.items():
        click.echo(f"  room {room_id} cannot be compared: {what}")
    if found.differing or found.behind or not found.equal:
        raise Failed(f"{name}: {found.equal} rooms equal, {len(found.differing)} differ, {len(found.behind)} not comparable")
    click.echo(f"check      equal to {name}, byte for byte: {found.equal} rooms")


def _of_files(files: tuple[Path, ...], mapping_name: str) -> Refolded:
    import time

    from agents.replay.driven import LOG, Lives
    from agents.replay.recorded import read_files
    from agents.replay.refold import Refolded, Spent
    from agents.room_events import Source
    from agents.rules.fold import Addressed, Reject
    from schemas.records import Bus

    started, processor = time.perf_counter(), time.process_time()
    log = read_files(files, mapping_name, datetime.now(UTC))
    loaded = time.perf_counter()
    lives = Lives({})
    lives.take(log)
    lived = lives.end()
    spent = Spent(loaded - started, 0.0, time.perf_counter() - loaded, time.process_time() - processor)
    commands = [Addressed(Bus.recorded, "recorded", command) for life in lived.values() for command in life.commands]
    rejects = [(Source(LOG, 0), Reject(-1, "refused", life.room_id)) for life in lived.values() for _ in range(life.rejected)]
    rooms = {room_id: life.room for room_id, life in lived.items() if life.room is not None}
    return Refolded(rooms, {}, {}, {}, commands, rejects, sum(life.events for life in lived.values()), spent)


def _compare(files: tuple[Path, ...], mapping_name: str, span: Span, policy: Path, against: Path | None, plot: Path | None) -> None:
    import time

    from agents.replay.policy_file import read_policy_file
    from agents.replay.tell import tell_differences

    after = read_policy_file(policy)
    before: Altered = read_policy_file(against) if against else lambda stored: stored
    started, processor = time.perf_counter(), time.process_time()
    lives = _files_twice(files, mapping_name, before, after) if files else _history_twice(span, before, after)
    took_s, busy_s = time.perf_counter() - started, time.process_time() - processor
    drawing = tell_differences(lives, policy.stem, click.get_text_stream("stdout"))
    events = sum(life.events for side in (lives.before, lives.after) for life in side.values())
    click.echo(f"{events:,} events lived in {took_s:.1f} s ({busy_s:.1f} s of processor time)")
    if plot is not None:
        plot.write_text(drawing, encoding="utf-8")
        click.echo(f"drawn into {plot}")


def _history_twice(span: Span, before: Altered, after: Altered) -> TwoLives:
    from agents.replay.replay import what_if

    with _progress("living") as tell:
        return what_if(reached().database, span, before, after, tell=tell)


def _files_twice(files: tuple[Path, ...], mapping_name: str, before: Altered, after: Altered) -> TwoLives:
    from agents.replay.driven import Lives
    from agents.replay.recorded import read_files
    from agents.replay.replay import TwoLives

    log = read_files(files, mapping_name, datetime.now(UTC))
    old, new = Lives({}, before), Lives({}, after)
    old.take(log)
    new.take(log)
    return TwoLives(old.end(), new.end())


def _print(refolded: Refolded, output: Path | None) -> None:
    from collections import Counter

    spent = refolded.spent
    reasons = Counter(reject.reason for _, reject in refolded.rejects)
    listed = f" ({', '.join(f'{reason} {count}' for reason, count in sorted(reasons.items()))})" if reasons else ""
    click.echo(f"rooms      {len(refolded.rooms):,}")
    click.echo(f"events     {refolded.events:,}")
    click.echo(f"commands   {len(refolded.commands):,}")
    click.echo(f"rejects    {len(refolded.rejects):,}{listed}")
    click.echo(f"digest     {refolded.digest()}")
    click.echo(f"loading    {spent.loading_s:.2f} s")
    click.echo(f"decoding   {spent.decoding_s:.2f} s")
    click.echo(f"folding    {spent.folding_s:.2f} s")
    by_clock, by_processor = refolded.events / spent.total_s, refolded.events / spent.processor_s
    click.echo(f"rate       {by_clock:,.0f} events/s by the clock, {by_processor:,.0f} a second of processor time")
    if output is not None:
        _write(refolded, output)


def _write(refolded: Refolded, output: Path) -> None:
    import msgspec.json

    tables: dict[str, Mapping[str, Struct]] = {
        "rooms": refolded.rooms,
        "occupancy": refolded.occupancy,
        "averages": refolded.averages,
        "actuation": refolded.actuation,
    }
    with output.open("wb") as file:
        for table, rows in tables.items():
            for room_id, row in sorted(rows.items()):
                file.write(msgspec.json.encode({"table": table, "key": room_id, "row": row}) + b"\n")
        for each in refolded.commands:
            file.write(msgspec.json.encode({"bus": each.bus, "line_id": each.line_id, "command": each.command}) + b"\n")
    click.echo(f"written to {output}")


@contextmanager
def _progress(what: str) -> Iterator[Told | None]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), TextColumn("{task.fields[events]:,} events"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0, events=0)
        seen = 0

        def tell(events: int, done: float) -> None:
            nonlocal seen
            seen += events
            bar.update(task, completed=done, events=seen)

        yield tell
