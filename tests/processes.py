"""Processes for tests: the real services and roles, started, killed, frozen and restarted by the test itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.part import Part, in_child, open_log
from infra.ports import is_free
from infra.services import environment
from streams.notify import METRICS
from streams.settings import Settings

ROOT = Path(__file__).parent.parent


@contextmanager
def home_of_its_own(name: str) -> Iterator[Path]:
    """An empty folder for a building, removed afterwards.

    Not in pytest's own folder, which another session that starts meanwhile shuts to all but its user: PostgreSQL drops root and
    must pass through.
    """
    with tempfile.TemporaryDirectory(prefix=f"atrium-{name}-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)
        yield home


class NotReady(AssertionError):
    """A process ended or did not get ready in time; shows the end of its log."""


def wait_until(condition: Callable[[], object], what: str, within_s: float = 30.0, pause_s: float = 0.05) -> None:
    """Poll until the condition holds; fail naming `what` when it does not within the time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within_s:.0f} s still not: {what}")
        time.sleep(pause_s)


class Running:
    """One started part: `process`, `log`, and what a test does to it."""

    def __init__(self, part: Part, logs: Path) -> None:
        self.part = part
        self.log = logs / f"{part.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.statuses: list[str] = []
        self.metrics: dict[str, float] = {}
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> Running:
        """Start it and wait until it is ready (also again, after a kill)."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start it without waiting."""
        part = self.part
        if part.prepare is not None:
            part.prepare()
        env = dict(part.env)
        if part.ready is None:
            env["NOTIFY_SOCKET"] = self._listen()
        log = open_log(self.log.parent, part.name)
        self.process = subprocess.Popen(
            part.argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            preexec_fn=in_child(part, os.getpid()), cwd=ROOT if part.become is None else "/",
        )  # fmt: skip
        os.close(log)

    def wait_ready(self, within_s: float | None = None) -> None:
        """Wait for readiness. Raises `NotReady` with the end of the log."""
        deadline = time.monotonic() + (within_s or self.part.ready_within_s)
        while not self._is_ready():
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                raise NotReady(f"{self.part.name} is not ready; its log ends:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, length: int = 3000) -> str:
        return self.log.read_text(errors="replace")[-length:]

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def stop(self, within_s: float | None = None) -> int:
        """End it as the supervisor would; a kill when it does not end in time. Returns its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(self.part.stop_signal)
            try:
                self.process.wait(within_s or self.part.stop_within_s)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        return self.process.returncode

    def read_statuses(self) -> list[str]:
        """Every STATUS the process has told so far."""
        self._is_told_ready()
        return self.statuses

    def read_metrics(self) -> dict[str, float]:
        """What the process last told of its counts."""
        self._is_told_ready()
        return self.metrics

    def _is_ready(self) -> bool:
        if self.part.ready is None:
            return self._is_told_ready()
        return self.part.ready(self.pid)

    def _listen(self) -> str:
        if self._socket is not None:
            self._socket.close()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        address = tempfile.mktemp(prefix="atrium-notify-")
        self._socket.bind("\0" + address)
        return "@" + address

    def _is_told_ready(self) -> bool:
        ready = False
        while self._socket is not None:
            try:
                lines = self._socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                break
            ready = ready or "READY=1" in lines
            for told in (line.removeprefix(METRICS) for line in lines if line.startswith(METRICS)):
                self.metrics = json.loads(told)
            self.statuses += [line.removeprefix("STATUS=") for line in lines if line.startswith("STATUS=")]
        return ready


def role_part(name: str, settings: Settings, env: Mapping[str, str] | None = None, label: str | None = None) -> Part:
    """A role as a part, run by this Python from this checkout."""
    return Part(
        name=label or name,
        argv=(sys.executable, "-m", "streams.cli", "role", name),
        env={**os.environ, **environment(settings), **(env or {})},
        ready_within_s=60,
    )


def start_role(
    name: str, settings: Settings, *, env: Mapping[str, str] | None = None, logs: Path | None = None, label: str | None = None
) -> Running:
    """Start a role's process and wait until it says READY=1. `label` names a second worker's log. End it with `.stop()`."""
    return Running(role_part(name, settings, env, label), logs or settings.home / "logs").start()


@contextmanager
def role(name: str, settings: Settings, *, env: Mapping[str, str] | None = None, label: str | None = None) -> Iterator[Running]:
    """`start_role` for a with statement: stopped at its end, come what may."""
    running = Running(role_part(name, settings, env, label), settings.home / "logs")
    try:
        yield running.start()
    finally:
        running.stop()


def interrupt(process: subprocess.Popen[Any], within_s: float = 60) -> None:
    """Ctrl-C, and wait for its end; one that does not end in time is killed, and `subprocess.TimeoutExpired` says so."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


_given: set[int] = set()


def free_port() -> int:
    """A port given once; each process that shares the tests has its own range.

    The ranges are below Linux's ephemeral ports and below those that the product picks its own from (`infra.ports`).
    """
    import random

    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    begins = 10000 + 2500 * (number % 4)
    port = next(port for port in random.sample(range(begins, begins + 2500), 2500) if port not in _given and is_free(port))
    _given.add(port)
    return port
