"""A part of the running whole: how its process is started, known to be ready, and ended."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class Part(Struct, frozen=True, kw_only=True):
    """One child process: a service, a role, or (`once`) a step that must end well before what needs it starts."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = {}
    """The process's whole environment."""
    port: int | None = None
    needs: tuple[str, ...] = ()
    """Parts that must be ready before this one starts."""
    prepare: Callable[[], None] | None = None
    """Done before every start (configuration, data folder); may block."""
    ready: Callable[[int], bool] | None = None
    """Whether the process with this pid serves; None: the process says `READY=1` itself. May block for a second."""
    ready_within_s: float = 60.0
    stop_signal: int = signal.SIGTERM
    stop_within_s: float = 10.0
    orphan_signal: int = signal.SIGKILL
    """What the kernel sends it when its supervisor dies. Kafka, the registry and the roles are made to survive a kill."""
    become: Callable[[], None] | None = None
    """Done in the child between fork and exec: take another user."""
    essential: bool = False
    """When it never gets ready the whole gives up; any other part is tried again for ever while the rest runs."""
    once: bool = False
    gated: bool = False
    """Started at once, to do its imports while others start; it waits on the descriptor `$ATRIUM_GATE` for what it needs."""


def in_child(part: Part, parent: int) -> Callable[[], None]:
    """What the child does before exec: another user if wished, and an end with its parent, which has the pid `parent`."""

    def prepare() -> None:
        if part.become is not None:
            part.become()
        # Last, since a change of user clears it; and the parent may have died before it was set.
        _LIBC.prctl(_PR_SET_PDEATHSIG, part.orphan_signal, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def open_log(folder: Path, name: str, rotate_at: int = 5_000_000) -> int:
    """A file descriptor that appends to the part's log; a long log is put aside first, one old one is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size > rotate_at:
        path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
