"""The supervisor with small children of its own: order, readiness, restarts, ends. No service is needed."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from infra import status
from infra.child import PartFailed
from infra.part import Part
from infra.status import PartStatus, State
from infra.supervisor import Supervisor

SERVE = "from streams.notify import notify; import time; notify(ready=True); time.sleep(600)"


def part(name: str, code: str, *needs: str, **options: object) -> Part:
    return Part(name=name, argv=(sys.executable, "-c", code), env=dict(os.environ), needs=needs, **options)  # type: ignore[arg-type]


class Run:
    def __init__(self, supervisor: Supervisor, home: Path) -> None:
        self.supervisor = supervisor
        self.home = home
        self.seen: list[list[PartStatus]] = []
        self.ready = asyncio.Event()

    def of(self, name: str) -> PartStatus:
        return next(part for part in self.seen[-1] if part.name == name)

    async def until(self, condition: Callable[[], object], what: str, within_s: float = 15) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"still not: {what}; {self.seen[-1]}"
            await asyncio.sleep(0.02)

    def order_of_first(self, state: State) -> list[str]:
        names: dict[str, None] = {}
        for parts in self.seen:
            names |= {part.name: None for part in parts if part.state is state}
        return list(names)


@asynccontextmanager
async def running(home: Path, *parts: Part, at_once: bool = False) -> AsyncIterator[Run]:
    (home / "run").mkdir(exist_ok=True)
    run: Run
    supervisor = Supervisor(list(parts), home, url="http://none", addresses={}, observe=lambda parts: run.seen.append(parts))
    run = Run(supervisor, home)
    task = asyncio.create_task(supervisor.run(run.ready.set))
    try:
        if not at_once:
            await asyncio.wait({task, (ready := asyncio.create_task(run.ready.wait()))}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
        if task.done():
            task.result()
        yield run
    finally:
        if not task.done():
            supervisor._ask_to_stop()
        await task


def is_gone(pid: int | None) -> bool:
    return pid is not None and not Path(f"/proc/{pid}").exists()


async def test_a_part_starts_when_what_it_needs_is_ready_and_stops_before_it(tmp_path: Path) -> None:
    slow = "import time; time.sleep(0.3);" + SERVE
    async with running(tmp_path, part("late", SERVE, "early"), part("early", slow)) as run:
        assert run.order_of_first(State.ready) == ["early", "late"]
        pids = {name: run.of(name).pid for name in ("early", "late")}
    assert run.order_of_first(State.stopping) == ["late", "early"]
    assert all(is_gone(pid) for pid in pids.values())


async def test_a_gated_part_does_its_imports_early_but_waits_for_what_it_needs(tmp_path: Path) -> None:
    role = f"""
import os, pathlib
pathlib.Path("{tmp_path}/imported").touch()
os.read(int(os.environ["ATRIUM_GATE"]), 1)
pathlib.Path("{tmp_path}/passed").touch()
{SERVE}"""
    step = f"""
import time, pathlib
while not pathlib.Path("{tmp_path}/imported").exists():
    time.sleep(0.01)
assert not pathlib.Path("{tmp_path}/passed").exists()"""
    async with running(tmp_path, part("step", step, once=True), part("role", role, "step", gated=True)) as run:
        assert run.of("role").state is State.ready
        assert run.of("step").restarts == 0


async def test_a_killed_part_comes_back_with_another_pid(tmp_path: Path) -> None:
    async with running(tmp_path, part("role", SERVE)) as run:
        before = run.of("role").pid
        assert before is not None
        os.kill(before, 9)
        await run.until(lambda: run.of("role").restarts == 1 and run.of("role").state is State.ready, "started again")
        assert run.of("role").pid != before
        assert any("SIGKILL" in part.text for parts in run.seen for part in parts)


async def test_pauses_between_restarts_grow(tmp_path: Path) -> None:
    stamps = tmp_path / "stamps"
    dying = f"import time; open('{stamps}', 'a').write(f'{{time.time()}}\\n'); raise ValueError('no luck')"
    stamps.touch()
    async with running(tmp_path, part("dying", dying), part("well", SERVE, essential=True), at_once=True) as run:
        await run.until(lambda: len(stamps.read_text().splitlines()) >= 4, "four starts")
        assert any("ValueError: no luck" in part.text for parts in run.seen for part in parts)
    times = [float(line) for line in stamps.read_text().splitlines()]
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[0] >= 0.5
    assert pauses[1] >= 1.0
    assert pauses[2] >= 2.0


async def test_what_a_role_says_about_itself_is_its_health(tmp_path: Path) -> None:
    says = "from streams.notify import notify; import time; notify(ready=True, status='waiting for PostgreSQL'); time.sleep(600)"
    async with running(tmp_path, part("role", says)) as run:
        await run.until(lambda: run.of("role").text == "waiting for PostgreSQL", "the told status")
        assert run.of("role").state is State.ready
        assert not run.of("role").well


async def test_an_essential_part_that_never_gets_ready_ends_the_whole_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.child._FIRST_PAUSE_S", 0.01)
    with pytest.raises(PartFailed, match="no such data folder"):
        async with running(tmp_path, part("kafka", "raise SystemExit('no such data folder')", essential=True), part("x", SERVE)):
            pass


async def test_a_part_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SERVE
    async with running(tmp_path, part("deaf", deaf, stop_within_s=0.3)) as run:
        pid = run.of("deaf").pid
    assert is_gone(pid)


async def test_a_home_is_held_by_one_supervisor(tmp_path: Path) -> None:
    held = status.lock(tmp_path)
    assert status.holder(tmp_path) == os.getpid()
    with pytest.raises(status.AlreadyRunning, match=f"pid {os.getpid()}"):
        status.lock(tmp_path)
    os.close(held)
    assert status.holder(tmp_path) is None
