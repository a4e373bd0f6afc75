"""A span of history through the fold, flat out, in one thread: for what it came to, or for what another policy would have done."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from msgspec import Struct

from agents.replay.driven import Altered, Life, Lives
from agents.replay.refold import Ahead, Decoder, Refold, Refolded
from agents.replay.stored import NoHistory, Opening, Page, Span, find_opening, read
from agents.room_events import Source
from schemas.records import Position

Told = Callable[[int, float], None]
"""Hears of events read, and of how much of all is done (0 to 1)."""


class TwoLives(Struct, frozen=True):
    """The same span under two policies."""

    before: dict[str, Life]
    after: dict[str, Life]


def replay(dsn: str, span: Span, *, until: Mapping[str, Position] | None = None, tell: Told | None = None) -> Refolded:
    """Fold a span again; `until` names the last position to fold of each room. Raises `NoHistory`, `DatabaseUnavailable`."""
    started, processor = time.perf_counter(), time.process_time()
    opening = asyncio.run(find_opening(dsn, span))
    refold = Refold(opening.codecs, opening.rooms, [run.log_id for run in opening.runs], since=span.since, until=until)
    spent = refold.result.spent
    spent.loading_s = time.perf_counter() - started
    with _without_garbage():
        for page, waited_s in _timed(_pages(dsn, span, opening, tell)):
            spent.loading_s += waited_s
            refold.add(Source(page.run.log_id, page.run.partition), page.events)
    spent.processor_s = time.process_time() - processor
    return refold.result


def what_if(dsn: str, span: Span, before: Altered, after: Altered, *, tell: Told | None = None) -> TwoLives:
    """Live a span twice, once under each policy. Raises `NoHistory`, `DatabaseUnavailable`."""
    opening = asyncio.run(find_opening(dsn, span))
    decoder, ahead = Decoder(opening.codecs), Ahead(opening.rooms, [run.log_id for run in opening.runs])
    old, new = Lives(opening.rooms, before), Lives(opening.rooms, after)
    with _without_garbage():
        for page in _pages(dsn, span, opening, tell):
            source = Source(page.run.log_id, page.run.partition)
            events = ahead.of(source, decoder.events(source, page.events)[0])
            old.take(events)
            new.take(events)
    lives = TwoLives(old.end(), new.end())
    if span.since is not None:
        for life in (*lives.before.values(), *lives.after.values()):
            life.forget_before(span.since)
    return lives


def _pages(dsn: str, span: Span, opening: Opening, tell: Told | None) -> Iterator[Page]:
    if not opening.runs:
        raise NoHistory(f"history holds no events of {', '.join(span.room_ids) or 'any room'} in this span")
    numbers = {(run.log_id, run.partition): number for number, run in enumerate(opening.runs)}
    for page in read(dsn, span, opening.runs):
        yield page
        if tell is not None:
            tell(len(page.events), (numbers[page.run.log_id, page.run.partition] + 1) / len(numbers))


def _timed(pages: Iterator[Page]) -> Iterator[tuple[Page, float]]:
    while True:
        started = time.perf_counter()
        page = next(pages, None)
        if page is None:
            return
        yield page, time.perf_counter() - started


@contextmanager
def _without_garbage() -> Iterator[None]:
    """No cyclic garbage collection: records hold no cycles, and looking for them costs a quarter of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
