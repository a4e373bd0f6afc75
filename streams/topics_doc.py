"""Writes docs/topics.md from the catalogue (`python -m streams.topics_doc`); `--check` only says whether it is up to date."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import click

from schemas.codecs import subject_of
from streams.topics import CATALOGUE, Topic

TOPICS_FILE = Path(__file__).parent.parent / "docs" / "topics.md"
_HEAD = """\
# Topics

Generated from `streams/topics.py` by `python -m streams.topics_doc`: do not edit.

Keys are UTF-8 text placed by murmur2 (`streams/keys.py`), values are Avro in Confluent's wire format with one subject a record
(`schemas/avro/`). `atrium prepare` creates the topics, with as many replicas as there are brokers, at most 3.

| topic | key | records | writer | partitions | kept | stamp |
|---|---|---|---|---|---|---|
"""


def topics_doc() -> str:
    """The page."""
    return _HEAD + "".join(_line(topic) for topic in CATALOGUE)


def _line(topic: Topic) -> str:
    records = ", ".join(f"[{cls.__name__}](../schemas/avro/{subject_of(cls)}.avsc)" for cls in topic.records)
    cells = (f"`{topic.name}`", topic.key, records, topic.writer, str(topic.partitions), _kept(topic), topic.stamp)
    return f"| {' | '.join(cells)} |\n"


def _kept(topic: Topic) -> str:
    lag = f", not before {_span(topic.compaction_lag)}" if topic.compaction_lag else ""
    return f"last of each key (compacted{lag})" if topic.retention is None else _span(topic.retention)


def _span(span: timedelta) -> str:
    return f"{span.days} d" if span >= timedelta(days=1) else f"{span / timedelta(hours=1):g} h"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if the page is out of date.")
def main(*, check: bool) -> None:
    """Write docs/topics.md from the catalogue of topics."""
    if not check:
        TOPICS_FILE.write_text(topics_doc(), encoding="utf-8")
    elif not TOPICS_FILE.exists() or TOPICS_FILE.read_text(encoding="utf-8") != topics_doc():
        click.echo("docs/topics.md is out of date: run python -m streams.topics_doc", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
