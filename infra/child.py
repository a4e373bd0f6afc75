"""One part's life under the supervisor: start, readiness, restart with growing pauses, end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.part import Part, in_child, open_log
from infra.status import PartStatus, State
from schemas.errors import BuildingError
from streams.notify import METRICS

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_MOST_DOUBLINGS = 10
"""Beyond them the longest pause holds; a part may fail for days, and a float ends at 2 ** 1023."""
_STABLE_AFTER_S = 60.0
"""A part that ran this long and then ended starts again with the shortest pause."""
_FAILED_STARTS = 5
"""An essential part that never once got ready is given up after so many tries: that is a wrong setting, not an accident."""
_PROBE_EVERY_S = 0.05
_ERROR = re.compile(r"^(Error: |[\w.]*(Error|Exception|Unavailable|Failed)\b)|\[(ERROR|CRITICAL)\]|\b(ERROR|FATAL)\b")


def pause_s(failures: int) -> float:
    """How long to wait before the next start after so many failures in a row: doubled each time, up to half a minute."""
    return float(min(_FIRST_PAUSE_S * 2 ** min(failures - 1, _MOST_DOUBLINGS), _LONGEST_PAUSE_S))


class PartFailed(BuildingError):
    """A part cannot be started at all; the message ends with its log's last lines."""

    reason = "part_failed"


class Child:
    """The supervisor's hold on one part. `changed` is called whenever its status is another."""

    def __init__(self, part: Part, logs: Path, changed: Callable[[], None]) -> None:
        self.part = part
        self.log = logs / f"{part.name}.log"
        self.ready = asyncio.Event()
        self.stopping = False
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._told: socket.socket | None = None
        self._gate: int | None = None
        self._state = State.waiting
        self._told_ready = asyncio.Event()
        self._text = ""
        self._metrics: dict[str, float] = {}
        self._restarts = 0
        self._started_at = 0.0
        self._ever_ready = False

    @property
    def status(self) -> PartStatus:
        """What it is doing now."""
        running = self._process is not None and self._process.returncode is None
        return PartStatus(
            name=self.part.name, state=self._state, pid=self._process.pid if running and self._process else None,
            port=self.part.port, since=self._started_at, restarts=self._restarts, text=self._text, log=str(self.log),
            metrics=self._metrics,
        )  # fmt: skip

    async def keep(self, needs: Mapping[str, Child]) -> None:
        """Run it until it is told to stop. Raises `PartFailed` when it is essential and never gets ready."""
        failures = 0
        while not self.stopping:
            began = time.monotonic()
            problem = await self._run_once([needs[name].ready for name in self.part.needs if name in needs])
            if self.stopping or (self.part.once and problem is None):
                break
            failures = 1 if time.monotonic() - began > _STABLE_AFTER_S else failures + 1
            if self.part.essential and not self._ever_ready and failures >= _FAILED_STARTS:
                self._say(State.failed, problem or "")
                raise PartFailed(f"{self.part.name} does not start: {problem}\n{self.last_lines()}")
            self._restarts += 1
            self._say(State.restarting, f"{problem}: {cause}" if (cause := self._cause()) else problem or "")
            await asyncio.sleep(pause_s(failures))
        self._say(State.done if self.part.once and self.ready.is_set() else State.stopped, "")

    async def _run_once(self, needs: list[asyncio.Event]) -> str | None:
        """Start it, wait for its end; why it ended, None for a step that did its work."""
        self._told_ready.clear()
        if not self.part.gated:
            await asyncio.gather(*(need.wait() for need in needs))
        try:
            if self.part.prepare is not None:
                await asyncio.to_thread(self.part.prepare)
            if self.stopping:
                return None
            process = await self._spawn()
        except (OSError, BuildingError) as error:
            return str(error)
        if self.stopping:
            self.kill()
        self._say(State.starting, "")
        becoming_ready = asyncio.create_task(self._become_ready(process, needs))
        code = await process.wait()
        becoming_ready.cancel()
        self._close()
        if self.part.once and code == 0:
            self._set_ready()
            return None
        late = f" (not ready within {self.part.ready_within_s:.0f} s)" if becoming_ready.done() and not self.ready.is_set() else ""
        if not self.part.once:
            self.ready.clear()
        return f"ended with {_name_of(code)}{late}"

    async def _spawn(self) -> asyncio.subprocess.Process:
        env = dict(self.part.env)
        passed: tuple[int, ...] = ()
        if self.part.ready is None and not self.part.once:
            env["NOTIFY_SOCKET"] = self._listen()
        if self.part.gated:
            gate, self._gate = os.pipe()
            env["ATRIUM_GATE"] = str(gate)
            passed = (gate,)
        log = open_log(self.log.parent, self.part.name)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.part.argv, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=passed,
                start_new_session=True,  # a terminal's Ctrl-C is for the supervisor, which ends its parts in order
                cwd="/" if self.part.become else None, preexec_fn=in_child(self.part, os.getpid()),
            )  # fmt: skip
        finally:
            for descriptor in (log, *passed):
                os.close(descriptor)
        self._started_at = time.time()
        return self._process

    async def _become_ready(self, process: asyncio.subprocess.Process, needs: list[asyncio.Event]) -> None:
        await asyncio.gather(*(need.wait() for need in needs))
        self._open_gate()
        try:
            async with asyncio.timeout(self.part.ready_within_s):
                if self.part.once:
                    await process.wait()
                    return
                if self.part.ready is None:
                    await self._told_ready.wait()
                else:
                    while not await asyncio.to_thread(self.part.ready, process.pid):  # noqa: ASYNC110  # outside, no event of ours
                        await asyncio.sleep(_PROBE_EVERY_S)
        except TimeoutError:
            process.kill()
            return
        self._set_ready()

    def _set_ready(self) -> None:
        self._ever_ready = True
        self.ready.set()
        self._say(State.ready, self._text)

    async def stop(self) -> None:
        """End it: its own signal first, a kill when it takes too long."""
        self.stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._say(State.stopping, "")
        self._signal(self.part.stop_signal if self._gate is None else signal.SIGKILL)
        try:
            async with asyncio.timeout(self.part.stop_within_s):
                await process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await process.wait()

    def kill(self) -> None:
        """End it at once."""
        self.stopping = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def _open_gate(self) -> None:
        if self._gate is not None:
            os.close(self._gate)
            self._gate = None

    def _listen(self) -> str:
        """An sd_notify socket of this child's own; the abstract name leaves no file and is not to be guessed."""
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        name = f"atrium-{self.part.name}-{secrets.token_hex(8)}"
        self._told.bind(f"\0{name}")
        asyncio.get_running_loop().add_reader(self._told, self._hear, self._told)
        return f"@{name}"

    def _hear(self, told: socket.socket) -> None:
        for line in told.recv(65536).decode(errors="replace").splitlines():
            if line == "READY=1":
                self._told_ready.set()
            elif line.startswith("STATUS="):
                self._say(self._state, line.removeprefix("STATUS="))
            elif line.startswith(METRICS):
                self._metrics = json.loads(line.removeprefix(METRICS))
                self._changed()

    def _close(self) -> None:
        self._open_gate()
        if self._told is not None:
            asyncio.get_running_loop().remove_reader(self._told)
            self._told.close()
            self._told = None

    def _say(self, state: State, text: str) -> None:
        if (state, text) != (self._state, self._text) or state is State.starting:
            self._state, self._text = state, text
            self._changed()

    def _cause(self) -> str:
        """The line of its log that most likely says why it ended."""
        lines = self.last_lines(60).splitlines()
        return next((line for line in reversed(lines) if _ERROR.search(line)), lines[-1] if lines else "")[:300]

    def last_lines(self, count: int = 8) -> str:
        """The end of its log, for a message about its failure."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(line for line in lines[-count:] if line.strip())


def _name_of(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
