"""Commands wait for their device, in order; devices do not wait for each other."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from agents.gateways.queues import Job, Queues
from tests.unit.gateways.test_decide import COMMAND


def job(command_id: str, device_id: int = 5) -> Job:
    return Job(replace(COMMAND, command_id=command_id, device_id=device_id), "knx-4", lambda: None)


class Desk:
    """Works on what it is given until `done` is set; notes what happened."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.done = asyncio.Event()
        self.newer: asyncio.Event | None = None
        self.bugs: list[BaseException] = []
        self.queues = Queues(self.work, self.bugs.append)

    async def work(self, job: Job, newer: asyncio.Event) -> None:
        self.log.append(f"begin {job.command.command_id}")
        self.newer = newer
        await self.done.wait()
        self.log.append(f"end {job.command.command_id}")


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_one_device_one_at_a_time_in_order() -> None:
    desk = Desk()
    for command_id in ("a", "b", "c"):
        desk.queues.put(job(command_id))
    await turns()
    assert desk.log == ["begin a"]
    desk.done.set()
    await turns()
    assert desk.log == ["begin a", "end a", "begin b", "end b", "begin c", "end c"]
    desk.queues.put(job("d"))
    await turns()
    assert desk.log[-1] == "end d"


async def test_devices_work_side_by_side() -> None:
    desk = Desk()
    desk.queues.put(job("a", 5))
    desk.queues.put(job("b", 6))
    await turns()
    assert desk.log == ["begin a", "begin b"]
    await desk.queues.drop()


@pytest.mark.parametrize(("behind", "newer"), [([], False), (["a"], False), (["b"], True), (["a", "b"], True)])
async def test_newer_is_set_by_another_command_not_by_a_repeated_delivery(behind: list[str], *, newer: bool) -> None:
    desk = Desk()
    desk.queues.put(job("a"))
    await turns()
    for command_id in behind:
        desk.queues.put(job(command_id))
    assert desk.newer is not None
    assert desk.newer.is_set() is newer
    await desk.queues.drop()


async def test_dropping_stops_work_where_it_stands_and_forgets_what_waits() -> None:
    desk = Desk()
    desk.queues.put(job("a"))
    desk.queues.put(job("b"))
    await turns()
    await desk.queues.drop()
    desk.done.set()
    await turns()
    assert desk.log == ["begin a"]
    desk.queues.put(job("a"))
    await turns()
    assert desk.log == ["begin a", "begin a", "end a"]
    assert not desk.bugs


async def test_a_bug_is_told_not_swallowed() -> None:
    desk = Desk()

    async def broken(_job: Job, _newer: asyncio.Event) -> None:
        raise RuntimeError("a bug")

    queues = Queues(broken, desk.bugs.append)
    queues.put(job("a"))
    await turns()
    assert [str(bug) for bug in desk.bugs] == ["a bug"]
