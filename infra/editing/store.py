"""The building's tables in PostgreSQL: read whole, and changed in one transaction or not at all."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
from msgspec import Struct

from infra.editing.fields import Row, Value, written
from infra.editing.tables import POLICIES, ROOMS, STRUCTURED, TABLES, State, Table
from schemas.errors import BuildingError
from schemas.policy import effective, scopes_of
from streams.database import connection

T = TypeVar("T")
_LOCKS = "LOCK TABLE building.rooms, building.devices, building.beacons, building.policies IN SHARE ROW EXCLUSIVE MODE"
_ORDERS = {
    "rooms": "floor, number, room_id", "devices": "device_id", "beacons": "room_id, uuid, major, minor", "policies": "room_id",
}  # fmt: skip


class DatabaseRefuses(BuildingError):
    """PostgreSQL does not take it, or has no building yet."""

    reason = "database_refuses"


class Change(Struct, frozen=True):
    """A row that comes (no `before`), goes (no `after`) or changes."""

    table: Table
    key: str
    before: Row | None
    after: Row | None

    @property
    def told(self) -> str:
        """One line of a diff."""
        name = f"{self.table.one} {self.key}"
        if self.after is None:
            return f"- {name}"
        if self.before is None:
            said = ", ".join(f"{k} {written(v)}" for k, v in self.after.items() if k not in self.table.key and v is not None)
            return f"+ {name}: {said}"
        fields = [field.name for field in self.table.fields if self.before.get(field.name) != self.after.get(field.name)]
        said = ", ".join(f"{f} {_shown(self.before.get(f))} -> {_shown(self.after.get(f))}" for f in fields)
        return f"~ {name}: {said}"


def _shown(value: Any) -> str:
    return "(none)" if value is None else written(value)


def difference(before: State, after: State) -> list[Change]:
    """What changes, table by table."""
    return [
        Change(table, key, before[name].get(key), after[name].get(key))
        for name, table in TABLES.items()
        for key in dict.fromkeys((*before[name], *after[name]))
        if before[name].get(key) != after[name].get(key)
    ]


async def read(dsn: str) -> State:
    """The building as it is. Raises `DatabaseUnavailable`, `DatabaseRefuses`."""
    return await _within(dsn, _read)


async def edit(dsn: str, change: Callable[[State], State], *, dry_run: bool = False) -> list[Change]:
    """Make the building what `change` makes of it; what changed. Nobody else changes it in between.

    Raises what `change` raises, `DatabaseUnavailable`, `DatabaseRefuses`; then nothing has changed.
    """

    async def run(db: asyncpg.Connection) -> list[Change]:
        await db.execute(_LOCKS)
        before = await _read(db)
        after = change(before)
        changes = difference(before, after)
        await _check_layers(db, after, changes)
        if not dry_run:
            await _apply(db, changes)
        return changes

    return await _within(dsn, run)


async def _check_layers(db: asyncpg.Connection, after: State, changes: list[Change]) -> None:
    """Raise `BadPolicy` where a room's document, or the floor it comes to, contradicts the floor's or the building's."""
    touched = {str(row["room_id"]) for each in changes if each.table in (ROOMS, POLICIES) and (row := each.after) is not None}
    if not touched:
        return
    shared = {row["scope"]: json.loads(row["document"]) for row in await db.fetch("SELECT * FROM building.shared_policies")}
    for room_id in sorted(touched):
        *above, _ = scopes_of(room_id, after["rooms"][room_id]["floor"])
        own = _document(after["policies"].get(room_id, {}))
        effective(f"nothing was changed: policy of room {room_id}", 1, [*(shared.get(scope, {}) for scope in above), own])


async def _within(dsn: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    async with connection(dsn) as db:
        try:
            async with db.transaction():
                return await work(db)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
            raise DatabaseRefuses("this database holds no building yet: `atrium up` or `atrium prepare` makes it") from error
        except asyncpg.PostgresError as error:
            raise DatabaseRefuses(f"PostgreSQL refuses, nothing was changed: {error}") from error


async def _read(db: asyncpg.Connection) -> State:
    state: State = {}
    for name, table in TABLES.items():
        rows = await db.fetch(f"SELECT * FROM building.{name} ORDER BY {_ORDERS[name]}")
        found = [_policy_row(row) if table is POLICIES else _row(table, row) for row in rows]
        state[name] = {table.key_of(row): row for row in found}
    return state


def _row(table: Table, row: asyncpg.Record) -> Row:
    return {field.name: str(row[field.name]) if field.name == "uuid" else row[field.name] for field in table.fields}


def _policy_row(row: asyncpg.Record) -> Row:
    """The fields a document gives; one that cannot be read as what it should be stays the text it is, for people to see."""
    found: Row = {"room_id": row["room_id"]}
    for name, value in json.loads(row["document"]).items():
        field = POLICIES.field(name)
        text = written(value) if isinstance(value, str | int | float | bool) else json.dumps(value)
        try:
            found[name] = field.read(text) if field else text
        except ValueError:
            found[name] = text
    return found


async def _apply(db: asyncpg.Connection, changes: list[Change]) -> None:
    await db.execute("SET CONSTRAINTS ALL DEFERRED")  # two devices may exchange their addresses
    for change in reversed(changes):
        if change.after is None:
            await _execute(db, f"DELETE FROM building.{change.table.name} WHERE", change.table, change.before or {})
    for change in changes:
        if change.after is not None:
            await _put(db, change.table, change.after, new=change.before is None)


def _document(row: Row) -> dict[str, Any]:
    return {name: _plain(name, value) for name, value in row.items() if name != "room_id" and value is not None}


def _plain(name: str, value: Value) -> Any:
    if name in STRUCTURED and isinstance(value, str):
        return json.loads(value)
    return value if isinstance(value, int | float) else written(value)


async def _put(db: asyncpg.Connection, table: Table, row: Row, *, new: bool) -> None:
    columns: dict[str, Any] = dict(row)
    if table is POLICIES:
        columns = {"room_id": row["room_id"], "document": json.dumps(_document(row))}
    names = list(columns)
    places = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    if new:
        await db.execute(f"INSERT INTO building.{table.name} ({', '.join(names)}) VALUES ({places})", *columns.values())
        return
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(names, 1) if name not in table.key)
    where = " AND ".join(f"{name} = ${names.index(name) + 1}" for name in table.key)
    await db.execute(f"UPDATE building.{table.name} SET {sets} WHERE {where}", *columns.values())


async def _execute(db: asyncpg.Connection, statement: str, table: Table, row: Row) -> None:
    where = " AND ".join(f"{name} = ${number}" for number, name in enumerate(table.key, 1))
    await db.execute(f"{statement} {where}", *(row[name] for name in table.key))
