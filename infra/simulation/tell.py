"""PURE: what came of a simulated winter, as a table and a drawing."""

from __future__ import annotations

from collections.abc import Iterator

from infra.simulation.winter import COMFORT_C, Outcome, Sums
from schemas.records import Kind

_NAMES = {Kind.valve_pct: "valve", Kind.closed_pct: "blind", Kind.level_pct: "lamp"}
_NAIVE, _OURS, _INK = "#8a8f98", "#c2410c", "#1f2328"
_WIDTH, _ROW, _LEFT, _TOP = 760, 34, 190, 50


def rows(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """What, naive, ours."""
    room_days = outcome.rooms * outcome.days

    def both(what: str, of: float, naive: float, ours: float, form: str = ".2f") -> tuple[str, str, str]:
        return what, format(naive / of, form), format(ours / of, form)

    naive, ours = outcome.naive, outcome.ours
    for kind, name in _NAMES.items():
        yield both(f"{name}: commands per room-day", room_days, naive.commands[kind], ours.commands[kind])
        yield both(f"{name}: reversals per room-day", room_days, naive.reversals[kind], ours.reversals[kind])
    yield both("all commands per room-day", room_days, sum(naive.commands.values()), sum(ours.commands.values()))
    yield both("hours occupied per room-day", room_days, naive.occupied_h, ours.occupied_h)
    low, high = COMFORT_C
    yield both(f"of them at {low:g} to {high:g} °C", room_days, naive.comfort_h, ours.comfort_h)
    yield both("hours lit with nobody there per room-day", room_days, naive.lit_empty_h, ours.lit_empty_h)
    yield both("heat in kWh per room-day", room_days, naive.heat_kwh, ours.heat_kwh)


def markdown(outcome: Outcome) -> str:
    """The table for docs/rules.md."""
    lines = ["| | naive | ours |", "|---|---:|---:|", *(f"| {' | '.join(row)} |" for row in rows(outcome))]
    return "\n".join(lines) + "\n"


def svg(outcome: Outcome) -> str:
    """Commands and reversals per room-day as bars, naive in grey and ours in orange."""
    room_days = outcome.rooms * outcome.days
    bars = []
    for kind, name in _NAMES.items():
        bars.append((f"{name}, commands", _rate(outcome.naive, kind, room_days), _rate(outcome.ours, kind, room_days)))
        turned = outcome.naive.reversals[kind] / room_days, outcome.ours.reversals[kind] / room_days
        bars.append((f"{name}, reversals", *turned))
    most = max(max(naive, ours) for _, naive, ours in bars) or 1.0
    height = _TOP + _ROW * len(bars) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" fill="{_INK}">Per room-day, {outcome.rooms} rooms, {outcome.days} winter days</text>',
        f'<text x="{_WIDTH - 20}" y="24" text-anchor="end"><tspan fill="{_NAIVE}">naive</tspan> '
        f'<tspan fill="{_OURS}">ours</tspan></text>',
    ]
    for number, (name, naive, ours) in enumerate(bars):
        top = _TOP + _ROW * number
        parts.append(f'<text x="12" y="{top + 16}" fill="{_INK}">{name}</text>')
        for offset, value, colour in ((0, naive, _NAIVE), (13, ours, _OURS)):
            wide = (_WIDTH - _LEFT - 80) * value / most
            parts.append(f'<rect x="{_LEFT}" y="{top + offset}" width="{wide:.1f}" height="11" fill="{colour}"/>')
            parts.append(f'<text x="{_LEFT + wide + 6:.1f}" y="{top + offset + 10}" fill="{_INK}">{value:.2f}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _rate(sums: Sums, kind: Kind, room_days: int) -> float:
    return sums.commands[kind] / room_days
