"""The table: one row a drill, for the terminal and for docs/reliability.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.faults.drills.perform import Row

DOCUMENT = Path(__file__).parents[3] / "docs" / "reliability.md"
BEGIN, END = "<!-- drills: begin (made by `make drill`, do not edit) -->", "<!-- drills: end -->"
HEADINGS = (
    "drill", "sent", "counted", "set aside", "lost", "doubled", "history lacks", "commands fold / topic (+ again)", "done",
    "state changes expected / counted", "extra telegrams", "recovery", "note",
)  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """One row's cells."""
    a = row.account
    measured = row.drill.recovery[0]
    notes = [*(note for note in row.notes if note), *(f"FAULT: {fault}" for fault in row.faults)]
    if a.letters:
        notes.append("dead letters: " + ", ".join(f"{count} {reason}" for reason, count in sorted(a.letters.items())))
    if a.repeated:
        notes.append(f"{a.repeated} readings came again; they changed no command")
    return (
        row.drill.title, f"{a.sent:,}", f"{a.counted:,}", f"{a.set_aside:,}", f"{a.lost}", f"{a.doubled}", f"{a.history_missing}",
        f"{a.commands_fold} / {a.commands_topic}" + (f" (+{a.commands_repeated})" if a.commands_repeated else ""),
        f"{a.carried_out}", f"{a.changes_expected} / {a.changes_counted}", f"{a.extra_telegrams}",
        f"{row.recovery_s:.1f} s {measured}", "; ".join(notes),
    )  # fmt: skip


def as_markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines)


def write(rows: Sequence[Row], told: str) -> None:
    """Put the table between the document's markers, under what was run where and when."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{told}\n\n{as_markdown(rows)}\n{END}{after}", encoding="utf-8")
