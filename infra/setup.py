"""`atrium setup`: everything that takes long or needs the network, done once, before the first start."""

from __future__ import annotations

import compileall
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from infra import aot, java
from infra.kafka import NAME as KAFKA
from infra.schema_registry import NAME as REGISTRY
from infra.zwave import node
from infra.zwave import parts as zwave
from streams.settings import Settings

_PACKAGES = ("agents", "api", "infra", "schemas", "streams")


def set_up(settings: Settings) -> None:
    """Fetch and train what is embedded; quick when it was done before. Raises `DownloadFailed`, and `NodeFailed` for a stick."""
    console = Console()
    for package in _PACKAGES:  # an installation that may not write byte code would else compile at every start
        compileall.compile_dir(Path(__file__).parent.parent / package, quiet=2)
    if zwave.wanted(settings):
        _install_zwave_js(settings, console)
    if settings.kafka_bootstrap_servers is not None and settings.schema_registry_url is not None:
        console.print("Kafka and the schema registry are your own: nothing more to fetch.", highlight=False)
        return
    try:
        packages = java.find(settings.packages)
    except java.NotSetUp:
        console.print("Fetching Kafka and the schema registry (about 200 MB, once per machine):", highlight=False)
        packages = _fetch(settings.packages, console)
    for name in (KAFKA, REGISTRY):
        if not packages.aot_cache(name).exists():
            with console.status(f"Training Java for a quick start of {name} (about 15 s, once)"):
                trained = aot.train(packages, name)
            outcome = "a quick start is prepared" if trained else "no quick start on this machine; it starts the slower way"
            console.print(f"{name}: {outcome}", highlight=False)
    console.print(f"Set up: everything embedded is in {settings.packages}", highlight=False)


def _install_zwave_js(settings: Settings, console: Console) -> None:
    if node.installed(settings.packages) is not None:
        return
    try:
        with console.status("Installing the Z-Wave JS server (about 100 MB, once per machine)"):
            node.install(settings.packages)
    except node.NodeFailed as error:
        if settings.zwave_serial_port is not None:
            raise
        console.print(
            f"[yellow]{error}, then run `atrium setup` again; until then the simulated Z-Wave nodes are reached in process[/]",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    else:
        console.print("Z-Wave JS: the server is installed", highlight=False)


def _fetch(folder: Path, console: Console) -> java.Packages:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:

        @contextmanager
        def one_file(name: str, size: int) -> Iterator[Callable[[int], None]]:
            task = progress.add_task(name, total=size)
            yield lambda count: progress.update(task, advance=count)
            progress.remove_task(task)
            if size > 1_000_000:
                progress.console.print(f"  {name}  {size / 1e6:.0f} MB", highlight=False)

        return java.fetch(folder, one_file)
