"""A serial port for the simulated stick: a pseudo-terminal on one side, the mock's TCP port on the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streams.settings import read_settings

PACKAGES = read_settings(os.environ).packages
needs_openzwave = pytest.mark.skipif(
    not (PACKAGES / "openzwave" / "installed").exists(),
    reason="python-openzwave is not installed: run infra/zwave/install-openzwave.sh",
)
_CHUNK = 4096


class Pty:
    """`path` is the port. It outlives whoever opens it, stays raw, and hangs up when the stick is pulled out, as USB does."""

    def __init__(self, path: Path, tcp_port: int) -> None:
        self.path, self._tcp_port = path, tcp_port
        self.overhear: Callable[[bytes], bytes] = lambda data: data
        """Hears what the host sends, and says what of it gets to the stick."""
        self._master = self._slave = -1
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def plug(self) -> None:
        """Make the port, connected to the stick."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._tcp_port)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))
        asyncio.get_running_loop().add_reader(self._master, self._from_host, self._master, self._writer)
        self._reading = asyncio.create_task(self._from_stick(reader, self._master))

    async def unplug(self) -> None:
        """Take the port away; whoever has it open reads a hang-up."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
        self._close()

    def _close(self) -> None:
        if self._writer is None:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self._writer.close()
        self._writer = None
        self.path.unlink(missing_ok=True)
        for end in (self._master, self._slave):
            os.close(end)

    def _from_host(self, master: int, writer: asyncio.StreamWriter) -> None:
        writer.write(self.overhear(os.read(master, _CHUNK)))

    async def _from_stick(self, reader: asyncio.StreamReader, master: int) -> None:
        with contextlib.suppress(ConnectionError):  # an end as good as any
            while data := await reader.read(_CHUNK):
                with contextlib.suppress(BlockingIOError):  # nobody reads the port, and its buffer is full: a line loses such bytes
                    os.write(master, data)
        self._close()


@asynccontextmanager
async def serial_port(path: Path, tcp_port: int) -> AsyncIterator[Pty]:
    """The port while a test runs."""
    pty = Pty(path, tcp_port)
    await pty.plug()
    try:
        yield pty
    finally:
        await pty.unplug()
