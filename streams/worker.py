"""The roles: one process each. The modules are imported only when a role runs, so that naming them costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from msgspec import Struct

from schemas.errors import BuildingError
from streams.settings import Settings


class UnknownRole(BuildingError):
    """No role has this name; the message lists those there are."""

    reason = "unknown_role"

    def __init__(self, name: str) -> None:
        super().__init__(f"no role is called {name!r}: there are {', '.join(ROLES)}")
        self.name = name


class Role(Struct, frozen=True, kw_only=True):
    """One role: where its `main(settings)` is, and what it is for."""

    name: str
    module: str
    purpose: str
    wanted: Callable[[Settings], bool] = lambda _: True
    """Whether there is something for it to do under these settings."""


ROLES = {
    role.name: role
    for role in (
        Role(name="rooms", module="agents.rooms", purpose="folds the rooms' log into tables and commands"),
        Role(name="api", module="api.server", purpose="serves the tables over HTTP, takes intents"),
        Role(
            name="knx",
            module="agents.gateways.knx",
            purpose="joins the KNX lines to the log",
            wanted=lambda settings: settings.has_knx,
        ),
        Role(
            name="zwave",
            module="agents.gateways.zwave",
            purpose="joins the Z-Wave networks to the log",
            wanted=lambda settings: settings.has_zwave,
        ),
        Role(name="history", module="agents.history", purpose="keeps every event and command in PostgreSQL"),
        Role(name="directory", module="agents.directory", purpose="carries the building from PostgreSQL into Kafka"),
        Role(
            name="simulator",
            module="infra.simulator.server",
            purpose="plays the building behind the gateways",
            wanted=lambda settings: settings.simulator_enabled,
        ),
    )
}


def role_named(name: str) -> Role:
    """The role of this name. Raises `UnknownRole`."""
    try:
        return ROLES[name]
    except KeyError:
        raise UnknownRole(name) from None


def run_role(name: str, settings: Settings) -> None:
    """Run a role in this process until it is told to stop. Raises `UnknownRole`."""
    main = cast("Callable[[Settings], None]", import_module(role_named(name).module).main)
    main(settings)
