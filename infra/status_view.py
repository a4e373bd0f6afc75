"""`atrium status` for people and for programs."""

from __future__ import annotations

import io

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from infra.status import PartStatus, Status, uptime_s


def to_json(status: Status) -> str:
    """The status as JSON; the database's password stays out of it."""
    parts = [
        {"well": part.well, "uptime_s": None if (up := uptime_s(part)) is None else round(up, 1), **msgspec.to_builtins(part)}
        for part in status.parts
    ]
    whole = {
        "well": status.well, "home": status.home, "supervisor": status.supervisor, "url": status.url,
        "memory_mb": status.memory_mb, "parts": parts,
    }  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode()


def as_table(status: Status) -> str:
    """The status as a table, coloured on a terminal."""
    if status.supervisor is None:
        return f"Nothing runs in {status.home}. Start it with `atrium up` (or `make run`).\n"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, justify in (("part", "left"), ("state", "left"), ("pid", "right"), ("port", "right"), ("up", "right"),
                             ("restarts", "right"), ("memory", "right"), ("health", "left")):  # fmt: skip
        table.add_column(heading, justify="right" if justify == "right" else "left")
    for part in status.parts:
        table.add_row(*_cells(part), style="" if part.well else "yellow")
    screen = Console(file=(text := io.StringIO()), width=110, force_terminal=False)
    screen.print(table)
    word = "all well" if status.well else "NOT all well"
    text.write(f"{word} · {status.url} · supervisor pid {status.supervisor} · {status.memory_mb} MB in all\n")
    text.write(f"logs in {status.home}/logs\n")
    return text.getvalue()


def _cells(part: PartStatus) -> tuple[str, ...]:
    up = uptime_s(part)
    return (
        part.name, part.state, str(part.pid or ""), str(part.port or ""), "" if up is None else _span(up), str(part.restarts or ""),
        f"{part.memory_mb} MB" if part.memory_mb else "", _short(part.text) or ("well" if part.well else ""),
    )  # fmt: skip


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
