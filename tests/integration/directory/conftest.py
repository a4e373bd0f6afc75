"""A whole building of these tests' own: they change what it is, which no other test should feel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from agents.gateways.log import utc_now
from infra.provision import provision
from streams.settings import Settings
from tests.conftest import start_services, stop_services, test_settings
from tests.processes import Running, home_of_its_own, role_part

ROLES = ("simulator", "rooms", "knx", "zwave", "api", "directory")


class House:
    """Services, provisioned and seeded, and the roles that run on them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.roles = {name: Running(role_part(name, settings), settings.home / "logs") for name in ROLES}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.api_port}"

    def start(self) -> None:
        self.began = utc_now().isoformat()
        for running in self.roles.values():
            running.launch()
        for running in self.roles.values():
            running.wait_ready()

    def kill(self) -> None:
        """kill -9 for every role."""
        for running in self.roles.values():
            running.kill()

    def restart(self) -> None:
        """kill -9 for every role; each begins anew."""
        self.kill()
        self.start()


@pytest.fixture(scope="package")
def house() -> Iterator[House]:
    with home_of_its_own("directory") as home:
        started = start_services(test_settings(home))
        asyncio.run(provision(started.settings))
        house = House(started.settings)
        try:
            house.start()
            yield house
        finally:
            for running in house.roles.values():
                running.stop()
            stop_services(started.running)
