"""The schema registry (Confluent's API): what we write is registered once, what we read is looked up once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas.codecs import PUBLIC, Codecs, schema_text, subject_of
from schemas.errors import BuildingError, RegistryUnavailable, UnknownSchema
from streams.notify import notify

COMPATIBILITY = "FULL_TRANSITIVE"
"""Of every public subject: any reader, old or new, reads any record, old or new."""

_TIMEOUT_S = 5.0
_PAUSE_S = 1.0
_ATTEMPTS = 3
_NOT_FOUND = 404
_CONFLICT = 409
_BUSY = 429
_logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class SchemaRefused(BuildingError):
    """The registry does not take a schema, as one that is incompatible with those before it."""

    reason = "schema_refused"


async def register_all(url: str) -> Codecs:
    """Codecs for every record of `PUBLIC`, each registered under its subject; a schema already there is only looked up.

    Raises `RegistryUnavailable` when the registry is away, `SchemaRefused` when it does not take a schema.
    """
    return Codecs(await asyncio.to_thread(_register, url))


async def register_until_done(url: str) -> Codecs:
    """As `register_all`, but wait for a registry that is away and say so in the role's status: for a role's start."""
    while True:
        try:
            codecs = await register_all(url)
        except RegistryUnavailable as error:
            notify(status=f"waiting for the schema registry: {error}")
            await asyncio.sleep(_PAUSE_S)
        else:
            notify(status="")
            return codecs


async def look_up(url: str, codecs: Codecs, schema_id: int) -> None:
    """Teach `codecs` the writer's schema of an id.

    Raises `UnknownSchema` when the registry does not have it, `RegistryUnavailable` when it is away, `Undecodable` when
    it is not one of our records.
    """
    codecs.learn(schema_id, await asyncio.to_thread(_fetch, url, schema_id))


def _register(url: str) -> dict[type[msgspec.Struct], int]:
    with _client(url) as client:
        return {cls: _id_of(client, subject_of(cls)) for cls in PUBLIC}


def _id_of(client: SchemaRegistryClient, subject: str) -> int:
    schema = Schema(schema_text(subject), "AVRO")
    try:
        found = _or_none(lambda: client.lookup_schema(subject, schema).schema_id)
        if found is None:
            found = _ask(lambda: client.register_schema(subject, schema))
            _logger.info("registered %s as schema %s", subject, found)
        # Whoever registered it may have been killed before it could set this.
        if _or_none(lambda: client.get_compatibility(subject)) != COMPATIBILITY:
            _ask(lambda: client.set_compatibility(subject, COMPATIBILITY), again_on=_CONFLICT)  # another role is setting it too
    except SchemaRegistryError as error:
        raise SchemaRefused(f"the schema registry does not take {subject}: {' '.join(str(error.error_message).split())}") from error
    return int(found)


def _or_none(call: Callable[[], _T]) -> _T | None:
    """The registry's answer, None for what it does not have."""
    try:
        return _ask(call)
    except SchemaRegistryError as error:
        if error.http_status_code != _NOT_FOUND:
            raise
        return None


def _fetch(url: str, schema_id: int) -> str:
    with _client(url) as client:
        try:
            text = _ask(lambda: client.get_schema(schema_id).schema_str)
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                raise UnknownSchema(schema_id) from error
            raise
    return str(text)


def _client(url: str) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": url, "timeout": _TIMEOUT_S, "max.retries": 0})


def _ask(call: Callable[[], _T], *, again_on: int = _BUSY) -> _T:
    """Ask, and ask again if the registry stumbles: roles that start together register the same schema at the same time."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return call()
        except SchemaRegistryError as error:
            if error.http_status_code < 500 and error.http_status_code not in (_BUSY, again_on):
                raise
            cause: Exception = error
        except Exception as error:  # the HTTP library under the client is its own affair: whatever it raises means "not reached"
            cause = error
        if attempt < _ATTEMPTS:
            time.sleep(0.2 * attempt)
    raise RegistryUnavailable(f"schema registry does not answer: {cause}") from cause
