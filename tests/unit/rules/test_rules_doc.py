"""docs/rules.md says what the tests say."""

from __future__ import annotations

from tests.rule_cases import RULES
from tests.rules_doc import DOCUMENT, written


def test_the_document_is_written_from_the_cases() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text, "run `python -m tests.rules_doc`"


def test_every_rule_has_its_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for rule in RULES:
        section = text.partition(f"### {rule.title}\n")[2].partition("\n### ")[0]
        rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| case")]
        assert len([row for row in rows if row.count("|") == 6]) == len(rule.cases)
