"""What every command needs: its settings, errors as one line, and groups that import their commands late."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec

import click
from msgspec.structs import replace

from schemas.errors import BuildingError
from streams.settings import Settings, read_settings

P = ParamSpec("P")


def settings() -> Settings:
    """Settings from the environment. Raises `BadSetting`."""
    return read_settings(os.environ)


def reached() -> Settings:
    """As `settings`; services that are not set are those of the building that runs in this home. Raises `BadSetting`."""
    from infra import status

    given = settings()
    running = status.read(given.home).addresses
    return replace(
        given,
        kafka_bootstrap_servers=given.kafka_bootstrap_servers or running.get("kafka"),
        database_url=given.database_url or running.get("database"),
        schema_registry_url=given.schema_registry_url or running.get("registry"),
        simulator_knx_port=given.simulator_knx_port or (int(running["simulator-knx"]) if "simulator-knx" in running else None),
    )


def tell_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an error raised on purpose into one line and exit code 1: a stack trace is for bugs."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except BuildingError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


class LateGroup(click.Group):
    """A group that imports a command's module when it is asked for; `late`: {"feed": "streams.commands.feed:feed"}."""

    def __init__(self, *args: Any, late: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._late = late

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted({*super().list_commands(ctx), *self._late})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, its module imported now."""
        if cmd_name not in self._late:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._late[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command
