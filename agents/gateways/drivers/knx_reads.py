"""Reading a KNX line's status objects: all after each connection, then in turn, so that what was lost is filled in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from agents.gateways.drivers.knx_line import Line, Urgency
from streams.knx_lines import KnxLine
from streams.waiting import happens

MOST_SHARE = 0.3
"""Of a line's rate that periodic reads may take: the rest is for commands and what people do."""
_TELEGRAMS_A_READ = 2
_PROBE_S, _PROBES = 2.0, 3
_AT_A_TIME = 8
"""Questions under way at the start: a silent device must not hold up the others."""


def refusal(name: str, line: KnxLine, objects: int) -> str | None:
    """Why so many objects cannot be read as often as the line's settings ask, if they cannot."""
    rate, most = objects * _TELEGRAMS_A_READ / line.read_every_s, line.rate_limit * MOST_SHARE
    if rate <= most:
        return None
    return (
        f"KNX line {name}: no periodic reads: {objects} objects every {line.read_every_s:g} s are {rate:.3g} telegrams/s, and"
        f" {MOST_SHARE:.0%} of the line's {line.rate_limit:g} are {most:.3g}: set read-every-s to"
        f" {objects * _TELEGRAMS_A_READ / most:.0f} or more"
    )


class Reads:
    """The reads of one line. `silent` is set while nobody answers on it; `age_s` tells how long an address has said nothing."""

    def __init__(self, line: Line, age_s: Callable[[str], float], watch: Callable[[asyncio.Task[None]], None]) -> None:
        self.silent = False
        self.refused: str | None = None
        self._line, self._age_s, self._watch = line, age_s, watch
        self._addresses: list[str] = []
        self._all, self._news = True, asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def serve(self, addresses: Sequence[str]) -> None:
        """Read these from now on, all of them soon."""
        self._addresses = list(dict.fromkeys(addresses))
        self.refused = refusal(self._line.name, self._line.config, len(self._addresses))
        self.anew()
        if self._task is None:
            self._task = asyncio.create_task(self._run())
            self._watch(self._task)

    def anew(self) -> None:
        """Read everything once more: there is a new connection, or somebody is heard again."""
        self._all = True
        self._news.set()

    def heard(self) -> None:
        """Somebody on the line said something."""
        if self.silent:
            self.silent = False
            self.anew()

    async def stop(self) -> None:
        """Read nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def anybody(self, but: str) -> bool:
        """Whether somebody answers on the line: one silent device is its own fault, all of them are the line's."""
        others = sorted((address for address in self._addresses if address != but), key=self._age_s)
        if not others or self._age_s(others[0]) < _PROBE_S:
            return True
        if any(await asyncio.gather(*(self._answers(address) for address in others[:_PROBES]))):
            return True
        self.silent = True
        self._news.set()
        return False

    async def _answers(self, address: str) -> bool:
        try:
            await self._line.read(address)
        except DeviceSilent:
            return False
        return True

    async def _run(self) -> None:
        while True:
            self._all = False
            at_a_time = asyncio.Semaphore(_AT_A_TIME)
            await asyncio.gather(*(self._read(address, at_a_time) for address in self._addresses))
            await self._in_turn()

    async def _in_turn(self) -> None:
        """One object after the other, spread over the interval, until all shall be read anew."""
        turn = 0
        while not self._all:
            every_s = self._line.config.read_every_s
            pause_s = _PROBE_S if self.silent else every_s / max(1, len(self._addresses))
            if await happens(self._news, pause_s):
                self._news.clear()
                continue
            if not self._addresses or (self.refused and not self.silent):
                continue
            turn = (turn + 1) % len(self._addresses)
            if self.silent or self._age_s(self._addresses[turn]) >= every_s / 2:
                await self._read(self._addresses[turn], asyncio.Semaphore())

    async def _read(self, address: str, at_a_time: asyncio.Semaphore) -> None:
        """Ask; what is answered is heard like everything else."""
        async with at_a_time:
            with contextlib.suppress(DeviceSilent, BusUnavailable):
                await self._line.read(address, Urgency.fill)
