"""`atrium knx`: a person on a KNX line, and an ETS project as a proposal for the building."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.errors import BuildingError
from streams.commands.common import reached, tell_errors
from streams.knx_lines import KnxLine
from streams.settings import Settings

if TYPE_CHECKING:
    from agents.gateways.knx_console import Known

line_option = click.option(
    "--line", "line_id", metavar="LINE", help="The line, as in ATRIUM_KNX_LINES; not needed where there is one."
)
dpt_option = click.option(
    "--dpt", "number", metavar="DPT", help="Datapoint type, such as 5.001; not needed for a device's address."
)


class NoSuchLine(BuildingError):
    """No line is named, or none of this name."""

    reason = "no_such_line"


class DptUnknown(BuildingError):
    """Nothing says which datapoint type an address has."""

    reason = "dpt_unknown"


@click.group()
def knx() -> None:
    """Work on a KNX line: watch it, read and write group addresses, import an ETS project."""


@knx.command()
@line_option
@tell_errors
def monitor(line_id: str | None) -> None:
    """Print every telegram on a line, decoded by the devices' datapoint types, until Ctrl-C."""
    from agents.gateways import knx_console

    settings = reached()
    name, line = _line(settings, line_id)
    known = _known(settings, name)
    try:
        asyncio.run(
            knx_console.monitor(
                name, line, settings.knx_keyring_password,
                lambda heard: click.echo(knx_console.told(heard, known)), lambda said: click.echo(said, err=True),
            )
        )  # fmt: skip
    except KeyboardInterrupt:
        click.echo("", err=True)


@knx.command()
@click.argument("address")
@line_option
@dpt_option
@tell_errors
def read(address: str, line_id: str | None, number: str | None) -> None:
    """Read the value at a group ADDRESS, such as 4/4/10."""
    from agents.gateways import knx_console

    settings = reached()
    name, line = _line(settings, line_id)
    address, number = _typed(settings, name, address, number)
    click.echo(asyncio.run(knx_console.read_value(name, line, settings.knx_keyring_password, address, number)))


@knx.command(context_settings={"ignore_unknown_options": True})
@click.argument("address")
@click.argument("value", type=float)
@line_option
@dpt_option
@tell_errors
def write(address: str, value: float, line_id: str | None, number: str | None) -> None:
    """Write a VALUE, in its type's unit, to a group ADDRESS: for commissioning. The rules do not hear of it."""
    from agents.gateways import knx_console

    settings = reached()
    name, line = _line(settings, line_id)
    address, number = _typed(settings, name, address, number)
    said = asyncio.run(knx_console.write_value(name, line, settings.knx_keyring_password, address, number, value))
    click.echo(f"wrote {said} to {address}")


@knx.command("import")
@click.argument("project", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--password", help="The project's password; ATRIUM_KNX_PROJECT_PASSWORD keeps it out of the shell's history.",
              envvar="ATRIUM_KNX_PROJECT_PASSWORD")  # fmt: skip
@click.option("--line", "line_id", default="knx-1", show_default=True, metavar="LINE", help="Line the devices hang on.")
@click.option("--floor", default=0, show_default=True, help="Floor of rooms whose place in the project tells none.")
@click.option("--apply", is_flag=True, help="Write it; else it is only shown.")
@tell_errors
def import_(project: Path, password: str | None, line_id: str, floor: int, apply: bool) -> None:
    """Propose the rooms, devices and group addresses of an ETS PROJECT (.knxproj) as a difference to the building."""
    from infra.editing import store
    from infra.knx_import.project import read_project
    from infra.knx_import.proposal import propose
    from streams.commands.directory import database

    proposal = propose(read_project(project, password), line_id, floor)
    changes = asyncio.run(store.edit(database(), proposal.onto(str(project)), dry_run=not apply))
    for each in changes:
        click.echo(each.told)
    for said in proposal.left_out:
        click.echo(f"? {said}")
    if changes:
        click.echo(f"{len(changes)} changed" if apply else f"{len(changes)} would change: --apply writes them")
    else:
        click.echo("Nothing to change.")


def _line(settings: Settings, line_id: str | None) -> tuple[str, KnxLine]:
    lines = settings.all_knx_lines
    if not lines:
        raise NoSuchLine("no KNX line is known: name a file of lines in ATRIUM_KNX_LINES (docs/knx.md), or start `atrium up`")
    if line_id is None and len(lines) == 1:
        return next(iter(lines.items()))
    if line_id not in lines:
        raise NoSuchLine(f"{'say --line' if line_id is None else f'there is no line {line_id!r}'}: there are {', '.join(lines)}")
    return line_id, lines[line_id]


def _known(settings: Settings, name: str) -> Known:
    """The devices' addresses, where a database can be asked; commissioning goes on without."""
    from agents.gateways.knx_console import known_addresses
    from infra.editing import store
    from infra.editing.tables import knx_devices
    from streams.database import DatabaseUnavailable

    if settings.database_url is None:
        return {}
    try:
        state = asyncio.run(store.read(settings.database_url))
    except (DatabaseUnavailable, store.DatabaseRefuses) as error:
        click.echo(f"addresses are not named: {error}", err=True)
        return {}
    return known_addresses(knx_devices(state).values(), name)


def _typed(settings: Settings, name: str, address: str, number: str | None) -> tuple[str, str]:
    from agents.gateways.knx_functions import check_address

    address = check_address(address)
    if number is None:
        found = _known(settings, name).get(address)
        if found is None:
            raise DptUnknown(f"no device of line {name} has {address}: say its datapoint type, such as --dpt 5.001")
        number = found[0]
    return address, number
