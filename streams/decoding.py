"""Bytes to records for a consumer: asks the registry for schemas it meets for the first time, and waits while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from schemas.codecs import Codecs
from schemas.errors import RegistryUnavailable, SchemaNotCached, Undecodable
from streams.notify import notify
from streams.registry import look_up

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0


def no_longer() -> bool:
    """Never give up."""
    return False


async def learn(url: str, codecs: Codecs, schema_id: int, given_up: Callable[[], bool] = no_longer) -> None:
    """Look a schema id up; while the registry is away wait, say so in the role's status, and try again.

    Raises `UnknownSchema` or `Undecodable` as `look_up` does, `RegistryUnavailable` once `given_up` is true.
    """
    pause_s, waited = FIRST_PAUSE_S, False
    try:
        while True:
            try:
                await look_up(url, codecs, schema_id)
                return
            except RegistryUnavailable as error:
                notify(status=f"waiting for the schema registry: {error}")
                waited = True
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                if given_up():
                    raise
    finally:
        if waited:  # answered, whatever the answer, or somebody else's affair by now
            notify(status="")


async def decode(url: str, codecs: Codecs, data: bytes | None, given_up: Callable[[], bool] = no_longer) -> Any:
    """Decode one record, learning its schema if need be. Raises `Undecodable`, `UnknownSchema`, and as `learn` does."""
    try:
        return codecs.decode(data)
    except SchemaNotCached as error:
        if codecs.knows(error.schema_id):
            raise Undecodable(f"schema id {error.schema_id}: broken body") from error
        await learn(url, codecs, error.schema_id, given_up)
        return codecs.decode(data)
