"""What becomes of a controller command: when it fails, when somebody goes over it, when the OpenZWave child ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agents.gateways.drivers import zwave_calling_off
from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from agents.gateways.drivers.openzwave import OpenZwaveNetwork
from agents.gateways.zwave_mapping import Node, Status

pytestmark = pytest.mark.timeout(20)


class Child:
    """`OpenZwaveProcess` that takes every request once `turn` is there."""

    def __init__(self) -> None:
        self.pid: int | None = 1
        self.turn = asyncio.Event()
        self.turn.set()
        self.asked: list[str] = []

    async def ask(self, op: str, **fields: Any) -> Mapping[str, Any]:
        if self.pid is None:
            raise BusUnavailable("OpenZWave does not run")
        if op != "cancel":
            await self.turn.wait()
        self.asked.append(op)
        return {}


class Running(OpenZwaveNetwork):
    """A network of nodes 2 and 3 whose child a test plays."""

    def __init__(self) -> None:
        super().__init__("/dev/null", packages=Path(), state=Path())
        self.child = Child()
        self._child = self.child  # type: ignore[assignment]
        self._ready = asyncio.get_running_loop().create_future()
        self._ready.set_result(None)
        self._nodes = {each: Node(each, Status.alive, ready=True, listening=True) for each in (2, 3)}

    def says(self, state: str) -> None:
        """The child tells a controller command's state."""
        self._take({"event": "controller", "state": state, "error": "None"})

    def aborts(self) -> None:
        """The child ends by itself."""
        self.child.pid = None
        self._ended("OpenZWave's process ended with signal 6")

    def starts_anew(self) -> None:
        """The child is started again, and has told no node yet."""
        self._ready, self._nodes = asyncio.get_running_loop().create_future(), {}


async def heard(words: AsyncIterator[str], said: list[str]) -> None:
    async for each in words:
        said.append(each)


@pytest.mark.parametrize("what", ["exclude", "heal"])
async def test_a_child_that_ends_over_a_command_is_no_end_of_it(what: str) -> None:
    network, said = Running(), list[str]()
    working = asyncio.ensure_future(heard(network.exclude() if what == "exclude" else network.heal(None), said))
    await asyncio.sleep(0.001)
    network.says("Waiting")
    network.aborts()
    with pytest.raises(BusUnavailable, match="ended with signal 6"):
        await working
    assert [each.rpartition(": ")[2] for each in said] == ["press the button on the device now"]


def works(network: Running, what: str, said: list[str] | None = None) -> asyncio.Task[None]:
    work = {"include": network.include(pin=None, secure=False), "exclude": network.exclude(), "heal": network.heal(3)}[what]
    return asyncio.ensure_future(heard(work, [] if said is None else said))


@pytest.mark.parametrize("what", ["include", "exclude", "heal"])
async def test_who_goes_before_it_has_begun_ends_it_when_it_does(what: str) -> None:
    network = Running()
    network.child.turn.clear()
    working = works(network, what)
    await asyncio.sleep(0.001)
    working.cancel()
    await asyncio.sleep(0.001)
    assert network.child.asked == []
    network.child.turn.set()
    await asyncio.sleep(0.001)
    assert network.child.asked == [what, "cancel"]
    network.says("Cancel")
    await asyncio.wait([working])
    assert working.cancelled()


@pytest.mark.parametrize("what", ["include", "exclude", "heal"])
async def test_who_goes_does_not_wait_for_ever_and_it_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(zwave_calling_off, "STOP_S", 0.005)
    network = Running()
    network.child.turn.clear()
    working = works(network, what)
    await asyncio.sleep(0.001)
    working.cancel()
    with pytest.raises(BusUnavailable, match="was told to stop"):
        await asyncio.wait_for(working, 1)
    network.child.turn.set()
    await asyncio.sleep(0.001)
    assert network.child.asked == [what, "cancel"]


@pytest.mark.parametrize(("state", "says"), [("Failed", "failed"), ("NodeFailed", "does not answer"), ("Cancel", "in time")])
@pytest.mark.parametrize("what", ["include", "exclude", "heal"])
async def test_what_fails_ends_as_an_error(what: str, state: str, says: str) -> None:
    network, said = Running(), list[str]()
    working = works(network, what, said)
    await asyncio.sleep(0.001)
    network.says("Waiting")
    network.says(state)
    with pytest.raises(DeviceSilent, match=says):
        await working
    assert network.child.asked == [what], "it has ended by itself"


async def test_the_routes_of_the_others_are_found_though_one_fails() -> None:
    network, said = Running(), list[str]()
    working = asyncio.ensure_future(heard(network.heal(None), said))
    for state in ("Failed", "Completed"):
        await asyncio.sleep(0.001)
        network.says(state)
    with pytest.raises(DeviceSilent, match=r"^node 2: its routes could not be rebuilt: failed$"):
        await working
    assert said == ["node 2: its routes could not be rebuilt: failed", "node 3: done"]


async def test_the_routes_of_all_are_rebuilt_without_those_that_sleep() -> None:
    network, said = Running(), list[str]()
    network._nodes[2] = Node(2, Status.asleep, ready=True, listening=False)
    working = asyncio.ensure_future(heard(network.heal(None), said))
    await asyncio.sleep(0.001)
    network.says("Completed")
    await working
    assert said == ["node 2: skipped", "node 3: done"]
    assert network.child.asked == ["heal"]


async def test_a_child_that_is_started_anew_has_lost_no_nodes() -> None:
    network, said = Running(), list[str]()
    working = asyncio.ensure_future(heard(network.exclude(), said))
    await asyncio.sleep(0.001)
    network.says("Completed")
    await asyncio.sleep(0.001)
    network.starts_anew()
    network._news.set()
    with pytest.raises(BusUnavailable, match="does not run"):
        await working
    assert said == ["done"]
