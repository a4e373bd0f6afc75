"""The command `atrium`. Imports stay inside the commands: each role's start pays only for what it uses."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module

import click

from streams.commands.common import LateGroup, tell_errors
from streams.commands.common import settings as _settings
from streams.worker import ROLES, role_named, run_role

LATE = {
    "feed": "streams.commands.feed:feed",
    "knx": "streams.commands.knx:knx",
    "rooms": "streams.commands.directory:rooms",
    "devices": "streams.commands.directory:devices",
    "beacons": "streams.commands.directory:beacons",
    "policies": "streams.commands.directory:policies",
    "replay": "streams.commands.replay:replay",
    "simulate": "streams.commands.simulate:simulate",
    "stats": "streams.commands.stats:stats",
    "why": "streams.commands.why:why",
    "zwave": "streams.commands.zwave:zwave",
}
"""Commands in modules of their own: name -> "module:command"."""


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("httpx", "httpx2"):  # the registry's client says each request
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _wait_at_gate() -> None:
    """Wait until the supervisor says that everything this process needs is there; alone there is no gate."""
    gate = os.environ.pop("ATRIUM_GATE", None)
    if gate is not None:
        os.read(int(gate), 1)  # ends when the supervisor closes its end
        os.close(int(gate))


@click.group(cls=LateGroup, late=LATE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="atrium")
def main() -> None:
    """Run a building as a stream: sensors, rooms as folds over a Kafka log, actuators.

    Settings come from the environment (ATRIUM_HOME, ATRIUM_API_PORT, KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL,
    SCHEMA_REGISTRY_URL ...); what is not set is embedded and kept under ATRIUM_HOME (default: .atrium).
    """


@main.command()
@tell_errors
def setup() -> None:
    """Fetch what is embedded and prepare its quick start. Does nothing the second time."""
    from infra.setup import set_up

    set_up(_settings())


@main.command()
@tell_errors
def up() -> None:
    """Run the whole building until Ctrl-C: services, provisioning, every role."""
    from infra.up import run_up

    run_up(_settings(), os.environ)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@tell_errors
def status(as_json: bool) -> None:
    """Show what runs where and how it is. Exit code 0 only when all is well."""
    from infra import status as run_status
    from infra.status_view import as_table, to_json

    found = run_status.read(_settings().home)
    click.echo(to_json(found) if as_json else as_table(found), nl=as_json)
    sys.exit(0 if found.well else 1)


@main.command()
@tell_errors
def prepare() -> None:
    """Create topics, schemas and tables, seed the building, fill the stream from the database. Safe to repeat."""
    import asyncio

    from infra.provision import provision

    _log()
    _wait_at_gate()
    asyncio.run(provision(_settings()))


@main.command()
@click.argument("name", type=click.Choice(list(ROLES)))
@tell_errors
def role(name: str) -> None:
    """Run one role in the foreground, against the services that the settings name.

    \b
    rooms      folds the rooms' log into tables and commands
    api        serves the tables over HTTP, takes intents
    knx        joins the KNX lines to the log
    zwave      joins the Z-Wave networks to the log
    history    keeps every event and command in PostgreSQL
    directory  carries the building from PostgreSQL into Kafka
    simulator  plays the building behind the gateways
    """  # noqa: D301  # \b is click's mark for lines to be kept
    _log()
    import_module(role_named(name).module)
    _wait_at_gate()
    run_role(name, _settings())


@main.command()
def topics() -> None:
    """List the topics: key, records, retention, writer."""
    from streams.topics import CATALOGUE

    for topic in CATALOGUE:
        kept = "compacted" if topic.retention is None else f"{topic.retention.days} days"
        records = ", ".join(record.__name__ for record in topic.records)
        click.echo(
            f"{topic.name}\n    key {topic.key}, {topic.partitions} partitions, {kept}: {records}\n    written by {topic.writer}"
        )


if __name__ == "__main__":
    main()
