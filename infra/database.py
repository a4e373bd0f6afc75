"""The database's form: the numbered files of `infra/migrations`, each applied once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import asyncpg
from msgspec import Struct

from schemas.errors import BuildingError
from streams.database import exclusive

MIGRATIONS_FOLDER = Path(__file__).parent / "migrations"


class MigrationError(BuildingError):
    """A migration that cannot be applied; the message names the file and what to do."""

    reason = "migration_error"


class Migration(Struct, frozen=True):
    """One numbered file of SQL, applied once, in one transaction."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = MIGRATIONS_FOLDER) -> list[Migration]:
    """The files `0001_name.sql`, `0002_name.sql` ... in order. Raises `MigrationError` for a gap or two of one number."""
    files = [
        Migration(number=int(path.name.split("_", 1)[0]), name=path.name, sql=path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("[0-9]*_*.sql"))
    ]
    for expected, file in enumerate(files, start=1):
        if file.number != expected:
            raise MigrationError(f"{folder}: expected migration number {expected:04}, found {file.name}: number them without gaps")
    return files


async def migrate(dsn: str, folder: Path = MIGRATIONS_FOLDER) -> list[str]:
    """Bring the database to today's form; the names of the files applied now. Safe to run twice and from two processes at once.

    Raises `DatabaseUnavailable`, and `MigrationError` when an applied file has changed or is unknown here, or fails.
    """
    files = migrations(folder)
    async with exclusive(dsn) as db:
        await db.execute(
            "CREATE TABLE IF NOT EXISTS public.migrations (number integer PRIMARY KEY, name text NOT NULL,"
            " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = {row["number"]: row for row in await db.fetch("SELECT number, name, checksum FROM public.migrations")}
        for file in files:
            if file.number in applied and applied[file.number]["checksum"] != file.checksum:
                raise MigrationError(
                    f"{file.name} was changed after it was applied: restore it, and write the change as a new file"
                )
        for number in sorted(applied.keys() - {file.number for file in files}):
            raise MigrationError(
                f"the database has {applied[number]['name']}, unknown here: it belongs to a newer Atrium; run that one"
            )
        fresh = [file for file in files if file.number not in applied]
        for file in fresh:
            await _apply(db, file)
        return [file.name for file in fresh]


async def _apply(db: asyncpg.Connection, file: Migration) -> None:
    try:
        async with db.transaction():
            await db.execute(file.sql)
            await db.execute(
                "INSERT INTO public.migrations (number, name, checksum) VALUES ($1, $2, $3)", file.number, file.name, file.checksum
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{file.name} failed and left nothing behind: {error}") from error
