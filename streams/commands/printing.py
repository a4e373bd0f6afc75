"""What commands print alike: JSON, tables, changes of the building."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as Screen
from rich.text import Text

from infra.editing.store import Change

_WIDEST = 1000
"""A table is as wide as its cells, whatever the terminal: a folded address is none."""


def print_json(value: Any) -> None:
    """A value as JSON, for programs."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]], none: str) -> None:
    """Rows under their names, or `none` where there are none."""
    screen = Screen(*names, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        screen.add_row(*map(Text, row))
    console = Console()
    console.width = max(console.width, Measurement.get(console, console.options.update_width(_WIDEST), screen).maximum)
    console.print(screen if screen.row_count else none, highlight=False)


def tell_changes(changes: Sequence[Change], *, dry: bool) -> None:
    """A line for each, and how many."""
    for each in changes:
        click.echo(each.told)
    click.echo(f"{len(changes)} {'would change: dry run, nothing was' if dry else 'changed'}" if changes else "Nothing to change.")
