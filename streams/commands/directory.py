"""`atrium rooms | devices | beacons | policies`: what the building is, in the database. The directory carries it from there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from infra.editing import store
from infra.editing.edits import Edit, Refused
from infra.editing.fields import Field, Row, written
from infra.editing.files import FORMATS, Cell, Fault, Record
from infra.editing.files import read as read_file
from infra.editing.files import write as write_file
from infra.editing.tables import BEACONS, DEVICES, POLICIES, ROOMS, State, Table
from schemas.errors import BuildingError
from schemas.policy import effective, scopes_of
from streams.commands import policy_documents
from streams.commands.common import reached, tell_errors
from streams.commands.instant import Instant
from streams.commands.printing import print_json, print_table, tell_changes
from streams.policy_documents import PolicyDocuments, Stored

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
dry_run = click.option("--dry-run", is_flag=True, help="Print what would change, change nothing.")
kind_option = click.option("--format", "kind", type=click.Choice(FORMATS), help="Instead of what the file's name says.")


class UnreadableFile(BuildingError):
    """A file that cannot be read or written, or whose format its name does not tell."""

    reason = "unreadable_file"


class NothingRuns(BuildingError):
    """No database is named and none is embedded in this home."""

    reason = "nothing_runs"


def database() -> str:
    """URL of the building's database. Raises `NothingRuns`."""
    found = reached()
    if found.database_url is None:
        raise NothingRuns(
            f"nothing runs in {found.home}: start it with `atrium up`, or name its home (ATRIUM_HOME) or a database (DATABASE_URL)"
        )
    return found.database_url


def _state() -> State:
    return asyncio.run(store.read(database()))


def _edit(table: Table, source: str, change: Callable[[Edit], None], *, dry: bool, faults: tuple[Fault, ...] = ()) -> None:
    def changed(before: State) -> State:
        edit = Edit(before, table, source, faults)
        change(edit)
        return edit.finish()

    tell_changes(asyncio.run(store.edit(database(), changed, dry_run=dry)), dry=dry)


def _plain(row: Row) -> dict[str, Any]:
    return {name: value if isinstance(value, str | int | float | None) else written(value) for name, value in row.items()}


def _print_rows(table: Table, rows: list[Row]) -> None:
    names = [field.name for field in table.fields if any(row.get(field.name) is not None for row in rows)]
    cells = [[written(row.get(name)) for name in names] for row in rows]
    if table is POLICIES:
        names = ["room_id", "differs from the default in"]
        cells = [
            [written(row["room_id"]), ", ".join(f"{name} {written(row[name])}" for name in row if name != "room_id") or "nothing"]
            for row in rows
        ]
    print_table(names, cells, f"no {table.name}")


def _one(state: State, table: Table, key: str) -> Row:
    row = state[table.name].get(key)
    if row is None:
        raise Refused(table.name, [Fault(None, "", f"there is no {table.one} {key!r}: `atrium {table.name} list` shows them")])
    return row


def _format(file: Path | None, kind: str | None) -> str:
    found = kind or {".yaml": "yaml", ".yml": "yaml", ".csv": "csv"}.get(file.suffix.lower() if file else "", "")
    if not found:
        raise UnreadableFile(f"{file}: neither .yaml nor .csv: say --format yaml or --format csv")
    return found


def _record(table: Table, key: str, options: dict[str, str | None]) -> Record:
    cells = {name: Cell(value or None) for name, value in options.items() if value is not None}
    parts = key.rsplit("/", len(table.key) - 1) if key else []
    return Record(cells | {name: Cell(part) for name, part in zip(table.key, parts, strict=False)})


def _option(field: Field) -> click.Option:
    return click.Option([f"--{field.name.replace('_', '-')}", field.name], help=field.doc, metavar="VALUE")


def _with_fields(table: Table) -> Callable[[click.Command], click.Command]:
    def add(command: click.Command) -> click.Command:
        command.params += [_option(field) for field in table.fields if field.name not in table.key]
        return command

    return add


def _group(table: Table, about: str) -> click.Group:
    """The commands every table has."""
    group = click.Group(table.name, help=about)
    key_name = "/".join(name.removesuffix("_id") for name in table.key).upper()

    @group.command("list", help=f"List the {table.name}.")
    @as_json
    @tell_errors
    def list_(as_json: bool) -> None:
        rows = list(_state()[table.name].values())
        print_json([_plain(row) for row in rows]) if as_json else _print_rows(table, rows)

    @_with_fields(table)
    @group.command("add", help=f"Add a {table.one}.")
    @click.argument("key", metavar=key_name)
    @dry_run
    @tell_errors
    def add(key: str, dry_run: bool, **options: str | None) -> None:
        _edit(table, f"{table.one} {key}", lambda edit: edit.add(_record(table, key, options)), dry=dry_run)

    @_with_fields(table)
    @group.command("change", help=f"Change fields of a {table.one}; '' empties one.")
    @click.argument("key", metavar=key_name)
    @dry_run
    @tell_errors
    def change(key: str, dry_run: bool, **options: str | None) -> None:
        _edit(table, f"{table.one} {key}", lambda edit: edit.change(key, _record(table, "", options)), dry=dry_run)

    @group.command("remove", help=f"Remove {table.name}." + (" Its beacons and its policy go along." if table is ROOMS else ""))
    @click.argument("keys", metavar=f"{key_name}...", nargs=-1, required=True)
    @dry_run
    @tell_errors
    def remove(keys: tuple[str, ...], dry_run: bool) -> None:
        _edit(table, table.name, lambda edit: edit.remove(keys), dry=dry_run)

    @group.command(
        "import", help=f"Add and change {table.name} from a YAML or CSV FILE ('-': standard input); all of it or nothing."
    )
    @click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
    @kind_option
    @click.option("--replace", is_flag=True, help=f"Remove the {table.name} the file does not name.")
    @dry_run
    @tell_errors
    def import_(file: Path, kind: str | None, replace: bool, dry_run: bool) -> None:
        format_, faults = _format(file, kind), list[Fault]()
        try:
            content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        except OSError as error:
            raise UnreadableFile(f"{file}: {error.strerror}") from error
        records = read_file(content, format_, faults)
        replace_all = replace and not faults
        _edit(table, str(file), lambda edit: edit.put(records, replace=replace_all), dry=dry_run, faults=tuple(faults))

    @group.command("export", help=f"Write the {table.name} to FILE, or to the terminal, as `import` reads them.")
    @click.argument("file", type=click.Path(path_type=Path), required=False)
    @kind_option
    @tell_errors
    def export(file: Path | None, kind: str | None) -> None:
        format_ = _format(file, kind) if file or kind else "yaml"
        content = write_file(table, _state()[table.name].values(), format_)
        if file is None:
            click.echo(content, nl=False)
            return
        try:
            file.write_text(content, encoding="utf-8")
        except OSError as error:
            raise UnreadableFile(f"{file}: {error.strerror}") from error

    return group


rooms = _group(ROOMS, "Rooms of the building.")
devices = _group(DEVICES, "Devices, and where they hang.")
beacons = _group(BEACONS, "Bluetooth beacons, and the rooms they stand for.")
policies = _group(POLICIES, "What rooms do differently from the default policy; `get` and `put` also know floors and the building.")


policies.add_command(policy_documents.get)
policies.add_command(policy_documents.put)


def _show(table: Table) -> None:
    @table_groups[table.name].command("show", help=f"Show one {table.one}.")
    @click.argument("key", metavar="/".join(name.removesuffix("_id") for name in table.key).upper())
    @as_json
    @tell_errors
    def show(key: str, as_json: bool) -> None:
        row = _one(_state(), table, key)
        if as_json:
            print_json(_plain(row))
            return
        for name, value in row.items():
            if value is not None:
                click.echo(f"{name:12} {written(value)}")


table_groups = {"devices": devices, "beacons": beacons}
_show(DEVICES)
_show(BEACONS)


@policies.command("show")
@click.argument("room")
@as_json
@tell_errors
def show_policy(room: str, as_json: bool) -> None:
    """Show every number a ROOM lives by; * marks what its own document says, and of what is its floor's or the building's."""
    row = _one(_state(), ROOMS, room)
    layers = asyncio.run(_layers(row))
    whole = msgspec.to_builtins(effective(f"policy of room {room}", 0, [each.document for each in layers]))
    del whole["revision"]
    if as_json:
        print_json({"room_id": room, **whole})
        return
    for name, value in whole.items():
        says = next((each.scope for each in reversed(layers) if name in each.document), "")
        whose = f"  ({says})" if says and says != layers[-1].scope else ""
        text = written(value) if isinstance(value, str | int | float) else msgspec.json.encode(value).decode()
        click.echo(f"{'*' if says and not whose else ' '} {name:28} {text}{whose}")


async def _layers(room: Row) -> list[Stored]:
    """The documents that concern a room, its own last."""
    documents = PolicyDocuments(database())
    return [await documents.read(scope) for scope in scopes_of(room["room_id"], room["floor"])]


@rooms.command("show")
@click.argument("room")
@click.option("--at", type=Instant(), help="What the room knew then, out of history: ISO 8601, local without an offset.")
@as_json
@tell_errors
def show_room(room: str, at: datetime | None, as_json: bool) -> None:
    """Show what the directory knows of a ROOM: itself, its devices, its beacons, its own policy."""
    if at is not None:
        from streams.commands.room_as_of import show_room_as_of

        show_room_as_of(room, at, as_json=as_json)
        return
    state = _state()
    row = _one(state, ROOMS, room)
    of_room = {
        name: [each for each in state[name].values() if each["room_id"] == room] for name in ("devices", "beacons", "policies")
    }
    if as_json:
        print_json({**_plain(row), **{name: [_plain(each) for each in rows] for name, rows in of_room.items()}})
        return
    click.echo(f"room {room}: {row['name']}, floor {row['floor']}, number {row['number']}")
    for table in (DEVICES, BEACONS, POLICIES):
        _print_rows(table, of_room[table.name])
