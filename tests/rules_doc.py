"""docs/rules.md: `python -m tests.rules_doc` writes the tables that are made from the cases and from the recorded office."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.rule_cases import RULES, Case
from tests.stories import BLIND, LAMP, VALVE
from tests.uci import oscillation

DOCUMENT = Path(__file__).parent.parent / "docs" / "rules.md"
_ACTUATOR = {VALVE: "valve", BLIND: "blind", LAMP: "lamp"}


def written(text: str) -> str:
    """The document with its generated blocks as they should be."""
    for name, block in (("cases", _rules()), ("uci", _uci())):
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition(f"<!-- /{name} -->")
        text = f"{before}<!-- {name} -->\n{block}<!-- /{name} -->{after}"
    return text


def _rules() -> str:
    parts = []
    for rule in RULES:
        rows = "".join(f"| {' | '.join(_row(case))} |\n" for case in rule.cases)
        head = "| case | local time | policy otherwise | actuator | commanded, % |\n|---|---|---|---|---|\n"
        parts.append(f"### {rule.title}\nSlot: {rule.slot}. {rule.does}\n\n{head}{rows}\n")
    return "".join(parts)


def _row(case: Case) -> tuple[str, ...]:
    what, at, policy, _, actuator, targets = case
    commanded = ", ".join(f"{target:g}" for target in targets) or "nothing"
    return what, at, "; ".join(f"`{name}` {_value(value)}" for name, value in policy.items()), _ACTUATOR[actuator], commanded


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(getattr(each, "name", None) or getattr(each, "first", None) or str(each) for each in value)
    return str(msgspec.to_builtins(value)).lower() if isinstance(value, bool) else str(msgspec.to_builtins(value))


def _uci() -> str:
    found = oscillation()
    rows = [
        ("commands per room-day", found.naive[0] / found.days, found.ours[0] / found.days),
        ("reversals within 10 min per room-day", found.naive[1] / found.days, found.ours[1] / found.days),
    ]
    lines = "".join(f"| {what} | {naive:.2f} | {ours:.2f} |\n" for what, naive, ours in rows)
    return f"| blind | naive | ours |\n|---|---:|---:|\n{lines}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
