"""What runs where and how it is: written by the supervisor to home/run/status.json, read by `atrium status`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from infra.ports import serves
from schemas.errors import BuildingError


class AlreadyRunning(BuildingError):
    """Another supervisor runs in this home."""

    reason = "already_running"


class State(StrEnum):
    """Where a part is in its life."""

    waiting = "waiting"
    starting = "starting"
    ready = "ready"
    restarting = "restarting"
    stopping = "stopping"
    stopped = "stopped"
    done = "done"
    failed = "failed"


class PartStatus(Struct, frozen=True, kw_only=True):
    """One part. `since` is the start of its process (seconds since 1970); `text` says what is wrong, empty when well."""

    name: str
    state: State
    pid: int | None
    port: int | None
    since: float
    restarts: int
    text: str
    log: str
    memory_mb: int | None = None
    metrics: dict[str, float] = {}
    """What the part counts, by name; `atrium status --json` shows it."""

    @property
    def well(self) -> bool:
        """Ready, or a step that is done, and nothing wrong told."""
        return self.state in (State.ready, State.done) and not self.text


class Status(Struct, frozen=True, kw_only=True):
    """The whole. `url` is the API's; `supervisor` None: nothing runs in this home."""

    home: str
    supervisor: int | None
    url: str | None
    parts: list[PartStatus]
    addresses: dict[str, str] = {}
    """How to reach the services: Kafka's bootstrap servers, the database's and the registry's URL."""

    @property
    def well(self) -> bool:
        """Running, and each part well."""
        return self.supervisor is not None and bool(self.parts) and all(part.well for part in self.parts)

    @property
    def memory_mb(self) -> int:
        """Memory of all parts together."""
        return sum(part.memory_mb or 0 for part in self.parts)


def lock(home: Path) -> int:
    """Hold this home for one supervisor until the process ends; the descriptor. Raises `AlreadyRunning`."""
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(descriptor, 20).decode().strip() or "?"
        os.close(descriptor)
        raise AlreadyRunning(f"Atrium already runs in {home} (pid {pid}): see `atrium status`; `kill {pid}` stops it") from None
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def holder(home: Path) -> int | None:
    """The pid of the supervisor running in this home."""
    with contextlib.suppress(OSError):
        descriptor = os.open(home / "run" / "lock", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.read(descriptor, 20) or 0) or None
        finally:
            os.close(descriptor)
    return None


def write(status: Status) -> None:
    """Put the status where `read` finds it, whole at any moment; only the owner may read it, it holds the database's password."""
    path = Path(status.home) / "run" / "status.json"
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(status))
    partial.replace(path)


def read(home: Path) -> Status:
    """The status now, with each part's memory; without a supervisor nothing is said to run."""
    supervisor = holder(home)
    if supervisor is None:
        return Status(home=str(home), supervisor=None, url=None, parts=[])
    try:
        status = msgspec.json.decode((home / "run" / "status.json").read_bytes(), type=Status)
    except FileNotFoundError:
        return Status(home=str(home), supervisor=supervisor, url=None, parts=[])
    parts = [_looked_at(part) for part in status.parts]
    return msgspec.structs.replace(status, supervisor=supervisor, parts=parts)


def _looked_at(part: PartStatus) -> PartStatus:
    """The part with its memory, and not well where it should serve a port and does not."""
    text = part.text
    if part.state is State.ready and part.port and not serves(part.port):
        text = text or f"does not answer on port {part.port}"
    return msgspec.structs.replace(part, text=text, memory_mb=part.pid and memory_mb(part.pid))


def memory_mb(pid: int) -> int:
    """Resident memory of a process and its descendants; what descendants merely share with it is counted once."""
    return (_kb(pid, "VmRSS:") + sum(_kb(child, "RssAnon:") for child in _descendants(pid))) // 1024


def _descendants(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return children + [grandchild for child in children for grandchild in _descendants(child)]
    return []


def _kb(pid: int, field: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1])
    return 0


def uptime_s(part: PartStatus) -> float | None:
    """How long its process has run."""
    return time.time() - part.since if part.pid else None
