"""A child is broken when it answers nothing, not when one request has to wait for others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.gateways.drivers import openzwave_process
from agents.gateways.drivers.base import BusUnavailable
from agents.gateways.drivers.openzwave_process import OpenZwaveProcess


class Played(OpenZwaveProcess):
    """A child that a test answers for."""

    def __init__(self) -> None:
        super().__init__(Path("none"), lambda _: None, lambda _: None)
        self.killed = False

    @property
    def pid(self) -> int | None:
        return 1

    def _send(self, message: object) -> None:
        pass

    def _kill(self) -> None:
        self.killed = True


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openzwave_process, "_ANSWER_S", 0.2)


async def test_a_request_behind_many_slow_ones_is_waited_for_while_they_are_answered() -> None:
    child = Played()
    asking = [asyncio.ensure_future(child.ask("ping", node=number)) for number in range(1, 6)]
    for number in range(1, 6):
        await asyncio.sleep(0.1)
        child._take({"id": number, "alive": True})
    assert [told["id"] for told in await asyncio.gather(*asking)] == [1, 2, 3, 4, 5]
    assert not child.killed


async def test_a_child_that_answers_nothing_is_killed() -> None:
    child = Played()
    with pytest.raises(BusUnavailable, match="answered nothing"):
        await child.ask("ping", node=1)
    assert child.killed
