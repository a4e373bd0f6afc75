"""Policy documents in PostgreSQL: of the building, a floor (`floor/4`) or a room (`room/2`), read and replaced by revision."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import asyncpg
from msgspec import Struct

from schemas.errors import BuildingError
from schemas.policy import BUILDING, BadPolicy, Document, Fault, document_faults, effective, scopes_of
from streams.database import DatabaseUnavailable, connection

_SCOPE = re.compile(r"building|floor/-?[0-9]{1,6}|room/.+")
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class NoScope(BuildingError):
    """Nothing of the building is called so."""

    reason = "no_scope"


class Superseded(BuildingError):
    """The document is no longer the one that was to be replaced."""

    reason = "superseded"


class Stored(Struct, frozen=True):
    """A document and its revision; 0: there is none yet."""

    scope: str
    revision: int
    document: dict[str, Any]


class PolicyDocuments:
    """The documents of one database."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def read(self, scope: str) -> Stored:
        """The document of a scope. Raises `NoScope`, `DatabaseUnavailable`."""
        async with connection(self._dsn) as db:
            try:
                return await _read(db, scope)
            except _LOST as error:
                raise DatabaseUnavailable(self._dsn, error) from error

    async def replace(self, scope: str, document: Document, expected: int | None) -> Stored:
        """Put a document in the place of revision `expected` (None: of any); all of it or nothing.

        Raises `BadPolicy`, also for what contradicts the documents of a room it concerns; `Superseded`, `NoScope`,
        `DatabaseUnavailable`.
        """
        async with connection(self._dsn) as db:
            try:
                async with db.transaction():
                    await db.execute(
                        "LOCK TABLE building.rooms, building.shared_policies, building.policies IN SHARE ROW EXCLUSIVE MODE"
                    )
                    stored = await _read(db, scope)
                    if expected is not None and stored.revision != expected:
                        raise Superseded(f"policy of {scope} is at revision {stored.revision}, not {expected}: read it again")
                    await _check(db, scope, document)
                    if document != stored.document or not stored.revision:
                        await _write(db, scope, document)
                    return await _read(db, scope)
            except _LOST as error:
                raise DatabaseUnavailable(self._dsn, error) from error


async def _read(db: asyncpg.Connection, scope: str) -> Stored:
    kind, _, name = scope.partition("/")
    if not _SCOPE.fullmatch(scope) or (scope != BUILDING and not await _concerned(db, scope)):
        known = await db.fetch("SELECT room_id, floor FROM building.rooms ORDER BY floor, number")
        floors = ", ".join(dict.fromkeys(f"floor/{row['floor']}" for row in known))
        rooms = ", ".join(f"room/{row['room_id']}" for row in known[:20])
        raise NoScope(f"nothing is called {scope!r}: there are {BUILDING}, {floors}, {rooms}")
    if kind == "room":
        row = await db.fetchrow("SELECT revision, document FROM building.policies WHERE room_id = $1", name)
    else:
        row = await db.fetchrow("SELECT revision, document FROM building.shared_policies WHERE scope = $1", scope)
    return Stored(scope, row["revision"], json.loads(row["document"])) if row else Stored(scope, 0, {})


async def _concerned(db: asyncpg.Connection, scope: str) -> list[asyncpg.Record]:
    """The rooms a document concerns."""
    kind, _, name = scope.partition("/")
    if kind == BUILDING:
        return list(await db.fetch("SELECT room_id, floor FROM building.rooms"))
    if kind == "floor":
        return list(await db.fetch("SELECT room_id, floor FROM building.rooms WHERE floor = $1", int(name)))
    return list(await db.fetch("SELECT room_id, floor FROM building.rooms WHERE room_id = $1", name))


async def _check(db: asyncpg.Connection, scope: str, document: Document) -> None:
    what = f"policy of {scope}"
    if alone := document_faults(document, scope):
        raise BadPolicy(what, alone)
    effective(what, 1, [document] if scope == BUILDING else [])
    shared = {row["scope"]: json.loads(row["document"]) for row in await db.fetch("SELECT * FROM building.shared_policies")}
    own = {f"room/{row['room_id']}": json.loads(row["document"]) for row in await db.fetch("SELECT * FROM building.policies")}
    documents: Mapping[str, Document] = {**shared, **own, scope: document}
    wrong: dict[Fault, None] = {}
    for room in await _concerned(db, scope):
        scopes = scopes_of(room["room_id"], room["floor"])
        try:
            effective(what, 1, [documents.get(each, {}) for each in scopes])
        except BadPolicy as error:
            where = "" if scope == scopes[-1] else f" (in room {room['room_id']})"
            wrong.update(dict.fromkeys(Fault(fault.path, fault.says + where) for fault in error.faults))
    if wrong:
        raise BadPolicy(what, wrong)


async def _write(db: asyncpg.Connection, scope: str, document: Document) -> None:
    kind, _, name = scope.partition("/")
    table, key, value = ("policies", "room_id", name) if kind == "room" else ("shared_policies", "scope", scope)
    await db.execute(
        f"INSERT INTO building.{table} ({key}, document) VALUES ($1, $2)"
        f" ON CONFLICT ({key}) DO UPDATE SET document = EXCLUDED.document",
        value, json.dumps(document),
    )  # fmt: skip
