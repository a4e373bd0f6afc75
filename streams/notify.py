"""Readiness and health of a process, told to whoever started it by systemd's sd_notify protocol.

The supervisor of `atrium up` listens on `$NOTIFY_SOCKET`, and so does systemd for a `Type=notify` unit: one way for both.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping

METRICS = "X_ATRIUM_METRICS="
"""A field of our own, as sd_notify(3) leaves room for them."""
_ADDRESS = os.environ.get("NOTIFY_SOCKET", "")


def notify(*, ready: bool = False, status: str | None = None, metrics: Mapping[str, float] | None = None) -> None:
    """Say that this process serves (`ready`), what is wrong with it (`status`, "" once it is well again), what it counts.

    Does nothing where nobody listens: a health report must never stop the work it reports on.
    """
    lines = (["READY=1"] if ready else []) + ([] if status is None else [f"STATUS={' '.join(status.split())}"])
    lines += [] if metrics is None else [f"{METRICS}{json.dumps(metrics)}"]
    if not _ADDRESS or not lines:
        return
    address = "\0" + _ADDRESS[1:] if _ADDRESS.startswith("@") else _ADDRESS
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        try:
            sender.sendto("\n".join(lines).encode(), address)
        except OSError:  # the listener is gone or its queue is full: see the docstring
            return
