"""A KNX bus on loopback for tests: knxd between tunnels and a multicast group, actuators written by others, knxd's own tools.

Groups and ports are each test's own, so that nothing meets a running building or another test.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.multicast import why_no_multicast
from streams.knx_lines import Connection, KnxLine
from tests.processes import free_port, wait_until

ACTUATORS = Path(__file__).parent / "actuators"


def missing() -> str | None:
    """What a test on this bus lacks, if anything."""
    if shutil.which("knxd") is None or shutil.which("knxtool") is None:
        return "needs knxd: apt-get install knxd knxd-tools"
    if shutil.which("node") is None:
        return "needs Node.js: apt-get install nodejs"
    if not (ACTUATORS / "node_modules").is_dir():
        return "needs the actuators: npm ci --ignore-scripts in tests/integration/knx/actuators"
    if why := why_no_multicast(free_port()):
        return f"needs multicast on loopback: {why}"
    return None


needs_bus = pytest.mark.skipif(missing() is not None, reason=str(missing()))


class Bus:
    """A multicast group as the bus, and knxd as the interface to it: killing knxd leaves the devices alive, as in a house."""

    def __init__(self, folder: Path, pace: str) -> None:
        self.group = f"239.{random.randint(64, 127)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        self.port, self.tunnel_port = free_port(), free_port()
        self.socket = folder / "knxd.sock"
        self._pace, self._ini, self._log = pace, folder / "knxd.ini", folder / "knxd.log"
        self._knxd: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start knxd and wait until it serves."""
        if self._knxd is not None:
            return
        self.socket.unlink(missing_ok=True)
        self._ini.write_text(_INI.format(
            tunnel_port=self.tunnel_port, port=self.port, group=self.group, socket=self.socket,
            more=",tp1" if self._pace == "tp1" else "",
        ))  # fmt: skip
        with self._log.open("ab") as log:
            self._knxd = subprocess.Popen(["knxd", str(self._ini)], stdout=log, stderr=log)
        wait_until(lambda: self.socket.exists() or self._gone, "knxd serves", within_s=10)
        assert not self._gone, self._log.read_text()

    @property
    def _gone(self) -> bool:
        return self._knxd is None or self._knxd.poll() is not None

    def kill(self) -> None:
        """kill -9."""
        if self._knxd is not None:
            self._knxd.kill()
            self._knxd.wait()
            self._knxd = None

    def line(self, connection: Connection = Connection.tunnelling, **given: Any) -> KnxLine:
        """The settings of the line that reach this bus."""
        if connection is Connection.routing:
            where: dict[str, Any] = {"multicast_group": self.group, "port": self.port, "individual_address": "1.1.240"}
        else:
            where = {"gateway": "127.0.0.1", "port": self.tunnel_port}
        return KnxLine(connection=connection, local_ip="127.0.0.1", **where | given)

    def knxtool(self, *arguments: str) -> str:
        """knxd's own client: what it says. `groupswrite ip address value`, `groupreadresponse ip address`."""
        command, *rest = arguments
        done = subprocess.run(
            ["knxtool", command, f"local:{self.socket}", *rest], capture_output=True, text=True, timeout=15, check=True
        )
        return done.stdout


class Actuators:
    """Blinds and valves on one of the two npm stacks: what each heard, where it stands."""

    def __init__(self, stack: str, connection: dict[str, Any], specs: Iterable[dict[str, Any]]) -> None:
        order = json.dumps({"connection": {"interface": "lo", **connection}, "actuators": list(specs)})
        self._process = subprocess.Popen(
            ["node", "-r", "./loopback.cjs", f"{stack}.cjs", order], cwd=ACTUATORS,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.said: list[dict[str, Any]] = []
        self._noise: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        wait_until(lambda: any("ready" in said for said in self.said), f"{stack} is on the bus: {self._noise}", within_s=15)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self.said.append(json.loads(line) | {"at": time.monotonic()})
            except ValueError:
                self._noise.append(line)

    def heard(self, number: int) -> list[dict[str, Any]]:
        """Every telegram with a target that an actuator took."""
        return [said for said in self.said if said.get("heard") == number]

    def counts(self, number: int) -> tuple[int, int]:
        """Telegrams an actuator took, and how many of them changed its target."""
        heard = self.heard(number)
        return (heard[-1]["telegrams"], heard[-1]["changes"]) if heard else (0, 0)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def bus(pace: str = "fast") -> Iterator[Bus]:
    """A bus with knxd running; `tp1`: every telegram waits for a line of 41 telegrams/s besides, and so all do."""
    with tempfile.TemporaryDirectory(prefix="atrium-knx-") as folder:
        made = Bus(Path(folder), pace)
        made.start()
        try:
            yield made
        finally:
            made.kill()


@contextmanager
def actuators(on: Bus, specs: Iterable[dict[str, Any]], stack: str = "ultimate", address: str = "1.1.7") -> Iterator[Actuators]:
    """Actuators on a bus: `ultimate` on the bus itself, `plain` behind a tunnel of knxd (it knows no other multicast port)."""
    if stack == "plain":
        connection = {"protocol": "TunnelUDP", "host": "127.0.0.1", "port": on.tunnel_port, "address": address}
    else:
        connection = {"protocol": "Multicast", "host": on.group, "port": on.port, "address": address}
    made = Actuators(stack, connection, specs)
    try:
        yield made
    finally:
        made.stop()


_INI = """[main]
name = atrium-test
addr = 1.0.1
client-addrs = 1.0.10:60
connections = server,bus,unix{more}
cache = gc

[gc]

[server]
server = ets_router
interface = lo
port = {tunnel_port}
multicast-address = 239.63.63.63
discover = false
tunnel = tunnel

[tunnel]

[bus]
driver = ip
interface = lo
port = {port}
multicast-address = {group}

[tp1]
driver = dummy
filters = line

[line]
filter = pace
delay = 20

[unix]
server = knxd_unix
path = {socket}
systemd-ignore = false
"""
