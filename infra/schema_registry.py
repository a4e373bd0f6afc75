"""The embedded schema registry: Apicurio, answering Confluent's API, on loopback, its schemas in an H2 file under home.

An H2 file keeps the ids of schemas over restarts and starts in seconds; the registry's own storage in Kafka takes 20 s.
"""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from pathlib import Path

from infra.java import Packages
from infra.part import Part
from infra.ports import LOOPBACK

NAME = "registry"
_HEAP_MB = 256


def registry_part(home: Path, packages: Packages, port: int, *, java_options: tuple[str, ...] = ()) -> tuple[Part, str]:
    """The registry as a part with its files under `home`/registry, and the URL of its Confluent API."""
    folder = home / "registry"
    url = f"http://{LOOPBACK}:{port}/apis/ccompat/v7"
    argv = (
        # The quick compiler alone: it answers a few requests a day, and its start is what costs.
        *packages.command(NAME, _HEAP_MB, "-XX:TieredStopAtLevel=1", *java_options),
        f"-Dquarkus.http.host={LOOPBACK}",
        f"-Dquarkus.http.port={port}",
        # Its second, administrative listener can't be left out at run time: kept off the network, on any free port.
        f"-Dquarkus.management.host={LOOPBACK}",
        "-Dquarkus.management.port=0",
        "-Dquarkus.log.level=WARN",
        "-Dapicurio.storage.kind=sql",
        "-Dapicurio.storage.sql.kind=h2",
        f"-Dapicurio.datasource.url=jdbc:h2:file:{folder / 'schemas'}",
        f"-Djava.io.tmpdir={folder}",
        f"-Dvertx.cacheDirBase={folder / 'vertx'}",
        "-jar", str(packages.registry_folder / "quarkus-run.jar"),
    )  # fmt: skip
    part = Part(
        name=NAME, essential=True, argv=argv, env={"LC_ALL": "C.UTF-8"}, port=port,
        prepare=lambda: folder.mkdir(parents=True, exist_ok=True),
        ready=lambda _pid: _answers(f"{url}/subjects"), stop_signal=signal.SIGTERM,
    )  # fmt: skip
    return part, url


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
