"""Loopback ports: the asked one, else the one of the last run, else the usual one, else any that is free."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

from schemas.errors import BuildingError

LOOPBACK = "127.0.0.1"
USUAL = {
    "kafka": 9092,
    "kafka-controller": 9093,
    "postgres": 5432,
    "registry": 8081,
    "api": 8080,
    "simulator": 8090,
    "simulator-knx": 3673,  # UDP; not KNXnet/IP's own 3671: a real installation's telegrams must never meet the simulated ones
    "simulator-zwave": 8091,
    "simulator-zwave-stick": 8092,
    "zwave": 8093,  # not a Z-Wave JS server's own 3000, where programs look for a real network
    "rooms-web": 6066,
}
# Below Linux's ephemeral range (32768-60999): a client that keeps trying a dead server's port could else be given that very port
# as its own and connect to itself.
_FREE_RANGE = range(20000, 32000)


class PortTaken(BuildingError):
    """A port that was asked for by name is in use."""

    reason = "port_taken"

    def __init__(self, name: str, port: int) -> None:
        super().__init__(f"port {port} for {name} is in use on {LOOPBACK}: free it, or set ATRIUM_{variable(name)}_PORT to another")
        self.port = port


def variable(name: str) -> str:
    """`kafka-controller` as it is written in a variable's name."""
    return name.replace("-", "_").upper()


_claimed: dict[int, socket.socket] = {}


def claim(port: int) -> bool:
    """Hold a free port for this process, so that another supervisor starting at the same time picks another one.

    The claim is an abstract unix socket's name: seen by the whole machine, leaving no file, gone with the process.
    """
    if not is_free(port):
        return False
    if port not in _claimed:
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            name.bind(f"\0atrium-port-{port}")
        except OSError:
            name.close()
            return False
        _claimed[port] = name
    return True


def is_free(port: int) -> bool:
    """Whether a server could bind this port now; connections lingering from an earlier server do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def serves(port: int) -> bool:
    """Whether somebody takes connections on this port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def choose_ports(memory: Path, asked: dict[str, int | None]) -> dict[str, int]:
    """One free port for each name in `asked`, kept in the file `memory` for the next run. Raises `PortTaken`.

    Called twice for one home, it keeps off the ports of the first call.
    """
    known: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
    chosen: dict[str, int] = {}
    earlier = {port for name, port in known.items() if name not in asked and port in _claimed}
    spoken_for = {port for name, port in known.items() if name not in asked} | {port for port in asked.values() if port}
    for name, port in asked.items():
        if port is not None and (port in chosen.values() or port in earlier or not claim(port)):
            raise PortTaken(name, port)
        chosen[name] = port or _pick(name, known, set(chosen.values()) | spoken_for)
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(json.dumps(known | chosen, indent=1))
    return chosen


def _pick(name: str, known: dict[str, int], used: set[int]) -> int:
    wished = [port for port in (known.get(name), USUAL[name]) if port]
    others = random.sample(_FREE_RANGE, 200)
    return next(port for port in (*wished, *others) if port not in used and claim(port))
