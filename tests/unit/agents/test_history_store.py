"""What the store does when PostgreSQL fails it; the real thing is in tests/integration/storage."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import pytest

from agents import history_store
from agents.history_rows import ROOM_EVENTS, Raw, room_event_row
from agents.history_store import Allowance, Store
from streams.database import DatabaseUnavailable

ROWS = [room_event_row(Raw("log", 0, 0, int(datetime(2026, 1, 15, tzinfo=UTC).timestamp() * 1000), b"1", b"x"), None)]
PASSING = [
    DatabaseUnavailable("postgresql://u:p@db:5432/atrium", OSError("refused")),
    ConnectionResetError("reset"),
    TimeoutError(),
    asyncpg.AdminShutdownError("terminating connection"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
    asyncpg.CheckViolationError("no partition of relation found"),
    asyncpg.UndefinedTableError("not migrated"),
]


class Failing(Store):
    """A store whose first attempts fail with what it is given."""

    def __init__(self, failures: Iterator[Exception]) -> None:
        self.statuses: list[str] = []
        super().__init__("postgresql://", self.statuses.append)
        self._failures = failures

    async def _write(self, group) -> None:
        for failure in self._failures:
            raise failure


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_LINGER_S", "_FIRST_PAUSE_S", "_LONGEST_PAUSE_S"):
        monkeypatch.setattr(history_store, name, 0.001)


async def test_whatever_may_pass_is_waited_out_and_told() -> None:
    store = Failing(iter(PASSING))
    writer = asyncio.create_task(store.run())
    await asyncio.wait_for(store.save(ROOM_EVENTS, ROWS, {}), 10)
    writer.cancel()
    assert len(store.statuses) == len(PASSING) + 1
    assert all(status.startswith("waiting for PostgreSQL: ") for status in store.statuses[:-1])
    assert store.statuses[-1] == ""


async def test_a_value_postgresql_cannot_take_stops_the_role() -> None:
    store = Failing(iter([asyncpg.DataError("value out of range")]))
    writer = asyncio.create_task(store.run())
    with pytest.raises(asyncpg.DataError):
        await asyncio.wait_for(store.save(ROOM_EVENTS, ROWS, {}), 10)
    with pytest.raises(asyncpg.DataError):
        await writer


async def test_a_batch_given_up_is_not_waited_for() -> None:
    store = Failing(iter([ConnectionResetError()] * 10**6))
    writer = asyncio.create_task(store.run())
    given_up = asyncio.create_task(store.save(ROOM_EVENTS, ROWS, {}))
    while not store.statuses:  # noqa: ASYNC110 - the store offers no event for it
        await asyncio.sleep(0.001)
    given_up.cancel()
    store._failures = iter(())
    await asyncio.wait_for(store.save(ROOM_EVENTS, ROWS, {}), 10)
    writer.cancel()


async def test_rows_in_hand_are_bounded_and_a_large_batch_goes_alone() -> None:
    allowance, order = Allowance(10), []

    async def hold(name: str, rows: int, done: asyncio.Event) -> None:
        async with allowance.take(rows):
            order.append(name)
            await done.wait()

    events = [asyncio.Event() for _ in range(3)]
    tasks = [asyncio.create_task(hold(*each)) for each in zip("abc", (6, 6, 99), events, strict=True)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["a"]
    for number, event in enumerate(events):
        while len(order) <= number:  # noqa: ASYNC110 - one turn of the loop is all it takes
            await asyncio.sleep(0)
        assert len(order) == number + 1
        event.set()
    await asyncio.gather(*tasks)
