"""Fixtures shared by all tests. `stack` is the real thing: Kafka, PostgreSQL and the schema registry on free ports."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from infra.services import resolve
from streams.settings import Settings, read_settings
from tests.processes import Running, free_port, home_of_its_own

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background: what a test starts would not hear its Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis_settings.register_profile("atrium", hypothesis_settings(), deadline=None)  # a stall of the machine is no failure
hypothesis_settings.load_profile("atrium")


class Services:
    """The running services by name (`kafka`, `postgres`, `registry`) and the settings that reach them."""

    def __init__(self, settings: Settings, running: dict[str, Running]) -> None:
        self.settings = settings
        self.running = running

    @property
    def broker(self) -> Running:
        """Kafka: `.kill()`, `.start()`, `.freeze()`, `.thaw()`; put it back before the test ends."""
        return self.running["kafka"]

    @property
    def postgres(self) -> Running:
        return self.running["postgres"]

    @property
    def registry(self) -> Running:
        return self.running["registry"]


def test_settings(home: Path) -> Settings:
    """Settings of a home of its own, on ports of its own, sharing the machine's fetched packages."""
    return Settings(
        home=home, packages=read_settings(os.environ).packages, api_port=free_port(), kafka_port=free_port(),
        postgres_port=free_port(), registry_port=free_port(), simulator_port=free_port(), rooms_web_port=free_port(),
    )  # fmt: skip


test_settings.__test__ = False  # type: ignore[attr-defined]


def start_services(settings: Settings) -> Services:
    """Start every embedded service side by side and wait for all."""
    parts, resolved = resolve(settings)
    running = {part.name: Running(part, settings.home / "logs") for part in parts}
    try:
        for each in running.values():
            each.launch()
        for each in running.values():
            each.wait_ready()
    except BaseException:
        stop_services(running)
        raise
    return Services(resolved, running)


def stop_services(running: dict[str, Running]) -> None:
    for each in running.values():
        each.stop()


class ByBuilding(LoadScopeScheduling):  # type: ignore[misc]
    """Tests that share a building go to one process: the files of a package with a conftest of its own, else each file."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        return str(file.parent if len(file.parts) > 3 and (self.config.rootpath / file.parent / "conftest.py").exists() else file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """How the tests are shared out when there are several processes."""
    return ByBuilding(config, log)


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """The services alone, nothing in them: for tests that break them or want an empty Kafka."""
    with home_of_its_own("test") as home:
        started = start_services(test_settings(home))
        try:
            yield started
        finally:
            stop_services(started.running)


@pytest.fixture(scope="session")
def stack(services: Services) -> Settings:
    """Settings of services that are provisioned: topics, schemas, migrations, the seeded building, the stream filled."""
    import asyncio

    from infra.provision import provision

    asyncio.run(provision(services.settings))
    return msgspec.structs.replace(services.settings)
