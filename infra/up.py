"""`atrium up`: the supervisor and what it says in the terminal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from rich.console import Console
from rich.status import Status as Spinner

from infra import status
from infra.parts import all_parts
from infra.status import PartStatus, State
from infra.supervisor import Supervisor
from infra.zwave import parts as zwave_parts
from streams.settings import Settings

_NO_KNX = "no KNX line is named (ATRIUM_KNX_LINES): no KNX gateway runs"
_NO_ZWAVE = "no Z-Wave stick or server is named (ZWAVE_SERIAL_PORT, ZWAVE_SERVER_URL): no Z-Wave gateway runs"
_ROOM_10 = "uuid=b9407f30-f5f8-466e-aff9-25556b57fe6d&major=30874&minor=43216"
"""The beacon of the seeded building's room 10."""


class Terminal:
    """Compact progress: a line for each part when it is ready, a line for each restart, the rest in the logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._known: dict[str, tuple[State, int]] = {}
        self._spinner = Spinner("starting", console=console)
        if console.is_terminal:
            self._spinner.start()

    def observe(self, parts: list[PartStatus]) -> None:
        """Say what is new."""
        for part in parts:
            known = self._known.get(part.name, (State.waiting, 0))
            now = (part.state, part.restarts)
            if known != now:
                self._known[part.name] = now
                self._tell(part, known[0])
        self._spinner.update(
            "waiting for " + ", ".join(part.name for part in parts if part.state in (State.waiting, State.starting))
        )

    def _tell(self, part: PartStatus, before: State) -> None:
        elapsed = f"{time.monotonic() - self._began:5.1f} s"
        if part.state is State.ready or (part.state is State.done and before is not State.ready):
            port = f" on port {part.port}" if part.port else ""
            self._console.print(f"[green]{elapsed}  {part.name} is ready{port}[/]", highlight=False)
        elif part.state is State.restarting:
            self._console.print(
                f"[yellow]{elapsed}  {part.name} {part.text}; starting it again[/]", highlight=False, soft_wrap=True
            )

    def close(self) -> None:
        """Take the spinner away."""
        self._spinner.stop()


def run_up(settings: Settings, env: Mapping[str, str]) -> None:
    """Run everything until a signal. Raises `AlreadyRunning`, `NotSetUp`, `PortTaken`, `PartFailed`."""
    settings.home.mkdir(parents=True, exist_ok=True)
    status.lock(settings.home)  # given back by the end of the process, however it ends
    parts, resolved = all_parts(settings, env)
    console = Console()
    terminal = Terminal(console)
    url = f"http://127.0.0.1:{resolved.api_port}"
    addresses = {"kafka": resolved.kafka, "database": resolved.database, "registry": resolved.registry}
    if resolved.simulator_knx_port is not None:
        addresses["simulator-knx"] = str(resolved.simulator_knx_port)
    supervisor = Supervisor(parts, resolved.home, url=url, addresses=addresses, observe=terminal.observe)

    def on_ready() -> None:
        terminal.close()
        if late := [part.name for part in status.read(resolved.home).parts if not part.well]:
            console.print(f"[yellow]not well yet: {', '.join(late)}; see atrium status[/]", highlight=False)
        if resolved.simulator_enabled and resolved.simulator_knx_port is None:
            console.print(
                "[yellow]multicast on loopback is not to be had: the simulated KNX devices are reached in process, not by"
                " KNXnet/IP Routing[/]", highlight=False, soft_wrap=True,
            )  # fmt: skip
        if zwave_parts.wanted(settings) and resolved.zwave_url is None:
            console.print(
                f"[yellow]{zwave_parts.why_not(settings)}; the simulated Z-Wave nodes are reached in process until then[/]",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
        for has, why in ((resolved.has_knx, _NO_KNX), (resolved.has_zwave, _NO_ZWAVE)):
            if not has:
                console.print(why, highlight=False, soft_wrap=True)
        console.print(_welcome(resolved, url), highlight=False, soft_wrap=True)

    try:
        asyncio.run(supervisor.run(on_ready))
    finally:
        terminal.close()
    console.print("stopped", highlight=False)


def _welcome(settings: Settings, url: str) -> str:
    lines = [
        "",
        f"[bold]The building runs: {url}/[/]",
        f"  Kafka {settings.kafka} · PostgreSQL port {settings.postgres_port or '(yours)'} · schema registry {settings.registry}",
        f"  logs in {settings.home / 'logs'} · how it is: atrium status · Ctrl-C stops it",
        "",
        f"  curl {url}/v1/rooms",
        f"  curl -N {url}/v1/events",
    ]
    if settings.simulator_enabled:
        lines += [f"  curl '{url}/open_blinds?{_ROOM_10}'     # opens room 10's blind by hand, for two hours"]
    return "\n".join([*lines, ""])
