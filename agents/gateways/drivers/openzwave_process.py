"""The OpenZWave child process from outside: started, asked, heard, ended. The library is GPL-3.0 and may abort; it does there."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from schemas.errors import BuildingError

SCRIPT = Path(__file__).parents[3] / "infra" / "zwave" / "openzwave_child.py"
INSTALL = "infra/zwave/install-openzwave.sh"
_STOP_S = 5.0
_ANSWER_S = 60.0
"""A child that has answered nothing for so long is broken. One request may wait longer: a dead node before it takes seconds."""
_LONGEST_LINE = 1 << 20
_logger = logging.getLogger(__name__)


class NoSuchValue(BuildingError):
    """The node has no such value."""

    reason = "no_such_value"


class OpenZwaveProcess:
    """One child. `tell` hears its events; `ended` is called once, with why, unless it was closed."""

    def __init__(self, python: Path, tell: Callable[[Mapping[str, Any]], None], ended: Callable[[str], None]) -> None:
        self._python, self._tell, self._ended = python, tell, ended
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._ids = itertools.count(1)
        self._answered_at = float("-inf")
        self._failure = ""
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def start(self, settings: Mapping[str, Any]) -> None:
        """Start it. The settings go through its stdin: no key is seen in a list of processes. Raises `BusUnavailable`."""
        if not self._python.exists():
            raise BusUnavailable(f"python-openzwave is not installed in {self._python.parents[1]}: run {INSTALL}")
        self._process = await asyncio.create_subprocess_exec(
            self._python, "-I", SCRIPT, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE, start_new_session=True,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read(self._process))
        self._send({"parent": os.getpid(), **settings})

    async def ask(self, op: str, **fields: Any) -> Mapping[str, Any]:
        """One request. Raises `DeviceSilent`, `NoSuchValue`, `BusUnavailable`."""
        if self.pid is None or self._closed:
            raise BusUnavailable("OpenZWave does not run")
        request_id = next(self._ids)
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answer
        self._send({"id": request_id, "op": op, **fields})
        asked_at = time.monotonic()
        try:
            while not answer.done():
                left_s = max(asked_at, self._answered_at) + _ANSWER_S - time.monotonic()
                if left_s <= 0:
                    self._kill()
                    raise BusUnavailable(f"OpenZWave answered nothing for {_ANSWER_S:g} s and is started anew")
                await asyncio.wait({answer}, timeout=left_s)
            told = answer.result()
        finally:
            self._answers.pop(request_id, None)
        match told.get("error"):
            case None:
                return told
            case "silent" | "gone":
                raise DeviceSilent(told["detail"])
            case "refused":
                raise NoSuchValue(told["detail"])
            case _:
                raise BusUnavailable(told["detail"])

    async def close(self) -> None:
        """End it: it is asked, then told, then killed. What waits for an answer gets `BusUnavailable`."""
        self._closed = True
        if self._process is None or self._reading is None:
            return
        if self.pid is not None:
            self._send({"id": 0, "op": "stop"})
        for insist in (self._process.terminate, self._kill):
            await asyncio.wait([self._reading], timeout=_STOP_S)
            if self._reading.done():
                break
            insist()
        await self._reading

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(message) + b"\n")

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                self._take(msgspec.json.decode(line))
        except (ValueError, KeyError) as error:  # not a message of ours: nothing after it can be trusted
            self._failure = f"OpenZWave's process said something else than a message: {error}"
            self._kill()
        code = await process.wait()
        why = self._failure or f"OpenZWave's process ended with {_name_of(code)}"
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(BusUnavailable(why))
        if not self._closed:
            self._ended(why)

    def _take(self, message: Mapping[str, Any]) -> None:
        if "event" not in message:
            self._answered_at = time.monotonic()
            answer = self._answers.get(message.get("id", 0))
            if answer is not None and not answer.done():
                answer.set_result(message)
            elif "error" in message:
                _logger.warning("OpenZWave's process declines: %s", message["detail"])
        elif message["event"] == "failed":
            self._failure = message["why"]
        else:
            self._tell(message)


def _name_of(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
