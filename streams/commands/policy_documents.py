"""`atrium policies get | put SCOPE`: the documents of the building, a floor or a room, as /v1/policies has them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import click
import yaml

from schemas.errors import BuildingError
from streams.commands.common import reached, tell_errors
from streams.policy_documents import PolicyDocuments, Stored


class UnreadableDocument(BuildingError):
    """A file that holds no policy document."""

    reason = "unreadable_document"


class _Loader(yaml.SafeLoader):
    """YAML without its traps: 22:00 and 2026-12-25 stay the texts they are."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?$"), list("-+0123456789")
)


@click.command("get")
@click.argument("scope")
@tell_errors
def get(scope: str) -> None:
    """Print the policy document of SCOPE (building, floor/4, room/2) as YAML, its revision in the first line."""
    _print(asyncio.run(PolicyDocuments(reached().database).read(scope)))


@click.command("put")
@click.argument("scope")
@click.argument("file", type=click.File("rb"))
@click.option("--revision", type=int, help="Only if this is the revision it replaces, as `get` prints it.")
@tell_errors
def put(scope: str, file: Any, revision: int | None) -> None:
    """Replace the policy document of SCOPE (building, floor/4, room/2) by FILE (YAML or JSON; '-': standard input).

    All of it or nothing: a document with anything wrong leaves the old one in force.
    """
    document = read_document(Path(file.name).name, file.read())
    _print(asyncio.run(PolicyDocuments(reached().database).replace(scope, document, revision)))


def read_document(name: str, content: bytes) -> dict[str, Any]:
    """The document in a file. Raises `UnreadableDocument`."""
    try:
        document = yaml.load(content, Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnreadableDocument(f"{name}: not YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UnreadableDocument(f"{name}: give fields of a policy, such as `humid_above_pct: 55`")
    return {str(field): value for field, value in document.items()}


def _print(stored: Stored) -> None:
    click.echo(f"# policy of {stored.scope}, revision {stored.revision}")
    click.echo(yaml.safe_dump(stored.document, sort_keys=False, allow_unicode=True), nl=False)
