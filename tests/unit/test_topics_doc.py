"""docs/topics.md is generated."""

from __future__ import annotations

from click.testing import CliRunner

from streams import topics_doc
from streams.topics import CATALOGUE


def test_the_page_is_up_to_date() -> None:
    assert topics_doc.TOPICS_FILE.read_text(encoding="utf-8") == topics_doc.topics_doc()


def test_every_topic_has_its_line() -> None:
    assert all(f"| `{topic.name}` | {topic.key} |" in topics_doc.topics_doc() for topic in CATALOGUE)


def test_the_check_fails_on_a_stale_page(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(topics_doc, "TOPICS_FILE", tmp_path / "topics.md")
    assert CliRunner().invoke(topics_doc.main, ["--check"]).exit_code == 1
    assert CliRunner().invoke(topics_doc.main, []).exit_code == 0
    assert CliRunner().invoke(topics_doc.main, ["--check"]).exit_code == 0
