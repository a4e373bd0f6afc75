from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def told(tmp_path: Path, code: str) -> list[str]:
    """What a process running this code sends to its NOTIFY_SOCKET."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(address)
        program = f"from streams.notify import notify\n{code}"
        subprocess.run([sys.executable, "-c", program], env={**os.environ, "NOTIFY_SOCKET": address}, check=True)
        messages = []
        while True:
            try:
                messages.append(listener.recv(4096).decode())
            except BlockingIOError:
                return messages


def test_readiness_and_status_are_said_as_systemd_wants_them(tmp_path: Path) -> None:
    assert told(tmp_path, "notify(ready=True); notify(status='waiting:\\n  PostgreSQL'); notify(status='')") == [
        "READY=1",
        "STATUS=waiting: PostgreSQL",
        "STATUS=",
    ]


def test_a_listener_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    env = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "nobody")}
    program = "from streams.notify import notify; notify(ready=True)"
    assert subprocess.run([sys.executable, "-c", program], env=env, check=False).returncode == 0
