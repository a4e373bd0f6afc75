"""`atrium feed`: recorded buildings as input."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from streams.commands.common import reached, tell_errors

if TYPE_CHECKING:
    from agents.recordings.mapping import Mapping
    from agents.recordings.recording import Recording
    from infra.feed.feeder import Fed, Order

_INTERRUPTED = 130


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--room", required=True, metavar="ROOM", help="Id of the room to feed; made when there is none.")
@click.option("--mapping", metavar="MAPPING", default="uci-occupancy", show_default=True,
              help="A YAML file that says what the columns mean (docs/feeding.md), or the name of one built in.")  # fmt: skip
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="So many times the recording's own pace.")
@click.option("--flat-out", is_flag=True, help="As fast as it goes (the default).")
@click.option("--shift-to-now", is_flag=True, help="Into a live room: times moved so that the recording begins now, speed 1.")
@click.option("--from", "from_at", metavar="TIME", help="Leave out rows before this time: ISO 8601, local to the recording.")
@click.option("--until", "until_at", metavar="TIME", help="Stop before this time.")
@click.option("--actuators", is_flag=True, help="Give the room a virtual valve, blind and dimmer, to study their commands.")
@click.option("--floor", default=0, show_default=True, help="Floor of a room that is made.")
@tell_errors
def feed(
    file: Path, room: str, mapping: str, speed: float | None, flat_out: bool, shift_to_now: bool, from_at: str | None,
    until_at: str | None, actuators: bool, floor: int,
) -> None:  # fmt: skip
    """Feed a recording (CSV or Parquet) into a room's log.

    The whole file is read and judged first. What is already in the room is not fed again: run the same command to go on
    after an interruption. A recorded room lives in the time of its recording; readings keep their times.
    """
    from agents.recordings.recording import read_recording
    from infra.feed.feeder import Order

    if bool(speed) + flat_out + shift_to_now > 1:
        raise click.UsageError("--speed, --flat-out and --shift-to-now exclude each other")
    if not room:
        raise click.UsageError("--room is empty")
    recording = read_recording(file.name, file.read_bytes(), _mapping(mapping), datetime.now(UTC))
    click.echo(_summary(recording))
    order = Order(
        room_id=room, recording=recording, speed=speed, to_now=shift_to_now, actuators=actuators, floor=floor,
        from_row=recording.index_at(_instant(from_at, recording, "--from")) if from_at else 0,
        until_row=recording.index_at(_instant(until_at, recording, "--until")) if until_at else len(recording.rows),
    )  # fmt: skip
    fed = asyncio.run(_feed(order))
    click.echo(_outcome(order, fed))
    if fed.interrupted:
        sys.exit(_INTERRUPTED)


def _mapping(name: str) -> Mapping:
    from agents.recordings.mapping import BUILT_IN, read_mapping

    if name in BUILT_IN:
        return BUILT_IN[name]
    path = Path(name)
    if not path.is_file():
        raise click.UsageError(f"--mapping: there is no file {name!r}, and built in are only {', '.join(BUILT_IN)}")
    return read_mapping(path.read_text(encoding="utf-8", errors="replace"), path.name)


def _instant(text: str, recording: Recording, option: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{option}: {text!r} is not a time such as 2015-02-03T08:00") from None
    return read if read.tzinfo else read.replace(tzinfo=ZoneInfo(recording.zone or "UTC"))


async def _feed(order: Order) -> Fed:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from infra.feed import feeder

    work = asyncio.current_task()
    if work is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True), transient=True,
    )  # fmt: skip
    task = bar.add_task("introducing the room", total=order.until_row, rate="")

    def show(fed: Fed) -> None:
        speed = bar.tasks[0].speed
        bar.update(task, description="rows", completed=fed.next_row, rate=f"{speed:,.0f} rows/s" if speed else "")

    with bar:
        return await feeder.feed(reached(), order, show)


def _summary(recording: Recording) -> str:
    first, last = recording.rows[0].at, recording.rows[-1].at
    unread = f"; not read: {', '.join(recording.unread)}" if recording.unread else ""
    return (
        f"{recording.name}: {len(recording.rows):,} rows, {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC,"
        f" {', '.join(recording.kinds)}{unread}"
    )


def _outcome(order: Order, fed: Fed) -> str:
    of = f"row {order.until_row:,} of {order.recording.name}"
    if fed.first_row >= order.until_row:
        return f"room {order.room_id} has everything up to {of} already: nothing was fed"
    rows = fed.next_row - fed.first_row
    rate = f" ({rows / fed.took_s:,.0f} rows/s, {(fed.readings + fed.ticks) / fed.took_s:,.0f} events/s)" if fed.took_s else ""
    fed_so_far = (
        f"{rows:,} row{'s' if rows != 1 else ''}, {fed.readings:,} readings and {fed.ticks:,} ticks in {fed.took_s:,.1f} s{rate}"
    )
    if fed.interrupted:
        return f"interrupted after row {fed.next_row:,} of {order.until_row:,}: {fed_so_far}. The same command goes on there"
    return f"fed up to {of} into room {order.room_id}: {fed_so_far}"
