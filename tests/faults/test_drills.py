"""Every drill in a short form: nothing lost, nothing doubled, whatever goes wrong. The full form is `make drill`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from tests.faults.drills.catalogue import DRILLS, SHORT, register_newer
from tests.faults.drills.perform import perform
from tests.faults.drills.plan import Plan
from tests.faults.drills.stand import Stand, stand
from tests.faults.drills.table import as_markdown
from tests.processes import home_of_its_own

PLAN = Plan(rooms=40, rate=200, flip_s=4.0)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[asyncio.Runner, Stand]]:
    """One building for all drills, on services of its own: a drill may delete the rooms' log."""
    with home_of_its_own("drill") as home, asyncio.Runner() as runner:
        leave = contextlib.AsyncExitStack()
        try:
            built = runner.run(leave.enter_async_context(stand(PLAN, home)))
            register_newer(built)
            yield runner, built
        finally:
            runner.run(leave.aclose())


@pytest.mark.parametrize("name", DRILLS)
def test_nothing_is_lost_and_nothing_doubled(running: tuple[asyncio.Runner, Stand], name: str) -> None:
    runner, built = running
    row = runner.run(perform(built, DRILLS[name], SHORT))
    print(as_markdown([row]))
    assert not row.faults, "; ".join(row.faults)
