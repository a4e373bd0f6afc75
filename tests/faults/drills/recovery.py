"""How long until a role does again what it is for, measured from the end of the disturbance, in seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from schemas.errors import BuildingError
from schemas.records import ResultStatus
from streams.database import connection
from tests.faults.drills.books import Page
from tests.faults.drills.stand import Stand

_WITHIN_S = 120.0
Recovery = tuple[str, Callable[[Stand, float], Awaitable[float | None]], Callable[[Page, dict[int, int], float], float | None]]
"""What is measured; a probe of the running building from the disturbance's end on; and one of the page afterwards."""


async def _nothing_live(_stand: Stand, _ended_at: float) -> float | None:
    return None


def _nothing_after(_page: Page, _marks: dict[int, int], _ended_at: float) -> float | None:
    return None


def shown(page: Page, marks: dict[int, int], ended_at: float) -> float:
    """Every partition's first reading sent after the end is in the table `rooms`."""
    seen = []
    for partition, offset in marks.items():
        own = (each for each in page.shown if each.position.log_id == page.log_id and each.position.partition == partition)
        seen.append(min((each.at for each in own if each.position.offset >= offset), default=float("inf")))
    return max(seen, default=float("inf")) - ended_at


def _answered(page: Page, _marks: dict[int, int], ended_at: float) -> float | None:
    """Every command issued before the end is answered, and the first one after it is confirmed."""
    answered = {each: min(at for at, _ in told).timestamp() for each, told in page.results.items()}
    issued = {each: told[0].issued_at.timestamp() for each, told in page.topic_commands.items()}
    old = [at for each, at in answered.items() if issued.get(each, ended_at) < ended_at and at > ended_at]
    new = [
        at for each, at in answered.items()
        if issued.get(each, 0.0) >= ended_at and page.results[each][0][1].status is ResultStatus.done
    ]  # fmt: skip
    return max([*old, min(new, default=float("inf"))]) - ended_at


async def _stored(stand: Stand, ended_at: float) -> float | None:
    """PostgreSQL holds the log up to every partition's first reading sent after the end."""
    marks = await marked(stand, ended_at)
    while time.time() - ended_at < _WITHIN_S:
        try:
            async with connection(stand.settings.database) as db:
                rows = await db.fetch(
                    'SELECT partition, "offset" FROM history.room_events WHERE log_id = $1 AND (partition, "offset") IN'
                    " (SELECT * FROM unnest($2::int[], $3::bigint[]))",
                    stand.books.log_id, list(marks), list(marks.values()),
                )  # fmt: skip
        except BuildingError:
            rows = []
        if len(rows) == len(marks):
            return time.time() - ended_at
        await asyncio.sleep(0.2)
    return float("inf")


async def _well(stand: Stand, ended_at: float) -> float | None:
    """/health/ready says ready."""
    while time.time() - ended_at < _WITHIN_S:
        status, said = await stand.health()
        if status == 200 and said["status"] == "ready":
            return time.time() - ended_at
        await asyncio.sleep(0.1)
    return float("inf")


async def _carried(stand: Stand, ended_at: float) -> float | None:
    """A name given now, and every one given before, is in Kafka."""
    await stand.rename(0, f"sensor, {ended_at:.0f}")
    while time.time() - ended_at < _WITHIN_S:
        if not await stand.names_differ():
            return time.time() - ended_at
        await asyncio.sleep(0.1)
    return float("inf")


async def marked(stand: Stand, ended_at: float) -> dict[int, int]:
    """`marks_after` once each partition the load writes to has one; none at all when that takes too long."""
    while time.time() - ended_at < _WITHIN_S:
        marks = marks_after(stand, ended_at)
        if marks.keys() == {entry.partition for entry in stand.ledger()}:
            return marks
        await asyncio.sleep(0.2)
    return {}


def marks_after(stand: Stand, ended_at: float) -> dict[int, int]:
    """By partition the first offset of a reading sent after the end."""
    marks: dict[int, int] = {}
    for entry in stand.ledger():
        if entry.sent_at >= ended_at and entry.placed:
            marks[entry.partition] = min(entry.offset, marks.get(entry.partition, entry.offset))
    return marks


by_tables: Recovery = ("in the tables", _nothing_live, shown)
by_gateway: Recovery = ("confirmed", _nothing_live, _answered)
by_history: Recovery = ("in PostgreSQL", _stored, _nothing_after)
by_api: Recovery = ("API ready", _well, _nothing_after)
by_directory: Recovery = ("database and Kafka agree", _carried, _nothing_after)
