"""PURE: targets over time, before and after, as lines of a terminal and as an SVG drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape

from agents.replay.compared import Compared
from schemas.commands import Command

_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDTH, _LANE, _LEFT, _TOP = 1000, 90, 190, 40
_BEFORE, _AFTER, _INK, _GRID = "#8a8f98", "#c2410c", "#1f2328", "#d8dee4"


def bars(values: Iterable[float | None], low: float, high: float) -> str:
    """A block for each value between `low` and `high`; a dot where there is none."""
    span = (high - low) or 1.0
    return "".join("·" if v is None else _BLOCKS[1 + round(min(max((v - low) / span, 0.0), 1.0) * 7)] for v in values)


def strip(commands: Sequence[Command], since: datetime, until: datetime, width: int) -> str:
    """An actuator's target over time, 0 to 100 %, the last one of each column; a dot before the first command."""
    step = (until - since) / width
    values: list[float | None] = []
    target, waiting = None, list(reversed(commands))
    for column in range(width):
        end = since + step * (column + 1)
        while waiting and waiting[-1].issued_at <= end:
            target = waiting.pop().target_pct
        values.append(target)
    return bars(values, 0, 100)


def svg(title: str, compared: Sequence[Compared], since: datetime, until: datetime) -> str:
    """A drawing: a lane for each actuator, its target before (grey) and after (orange)."""
    height = _TOP + _LANE * len(compared) + 30
    span = max((until - since).total_seconds(), 1.0)

    def x(at: datetime) -> float:
        return _LEFT + (_WIDTH - _LEFT - 20) * (at - since).total_seconds() / span

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15" fill="{_INK}">{escape(title)}</text>',
        f'<text x="{_WIDTH - 20}" y="22" text-anchor="end"><tspan fill="{_BEFORE}">before</tspan>'
        f' <tspan fill="{_AFTER}">after</tspan></text>',
    ]
    for at in _days(since, until):
        parts.append(f'<path d="M{x(at):.1f} {_TOP}V{height - 25}" stroke="{_GRID}"/>')
        parts.append(f'<text x="{x(at):.1f}" y="{height - 10}" fill="{_INK}" text-anchor="middle">{at:%m-%d}</text>')
    for number, each in enumerate(compared):
        top = _TOP + _LANE * number
        bottom = top + _LANE - 20
        parts.append(f'<path d="M{_LEFT} {bottom}H{_WIDTH - 20}" stroke="{_GRID}"/>')
        parts.append(f'<text x="12" y="{top + 35}" fill="{_INK}">{escape(f"{each.room_id}: {each.kind} {each.device_id}")}</text>')
        parts.append(f'<text x="12" y="{top + 52}" fill="{_INK}">+{each.added} -{each.gone} moved {each.moved}</text>')
        for commands, colour, wide in ((each.before, _BEFORE, 3.0), (each.after, _AFTER, 1.2)):
            if commands:
                line = _steps([(x(c.issued_at), bottom - (_LANE - 30) * c.target_pct / 100) for c in commands], x(until))
                parts.append(f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="{wide}"/>')
    return "\n".join([*parts, "</svg>\n"])


def _steps(points: Sequence[tuple[float, float]], end: float) -> str:
    first, *rest = points
    return f"M{first[0]:.1f} {first[1]:.1f}" + "".join(f"H{px:.1f}V{py:.1f}" for px, py in rest) + f"H{end:.1f}"


def _days(since: datetime, until: datetime) -> list[datetime]:
    """Midnights (UTC) inside, at most about 20 of them."""
    every = max(1, (until - since).days // 20)
    first = since.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return [first + timedelta(days=number * every) for number in range(((until - first).days // every + 1) if until > first else 0)]
