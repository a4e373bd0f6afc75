"""What a role says to the registry about a schema of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from streams.registry import COMPATIBILITY, SchemaRefused, _id_of

SUBJECT = "atrium.Tick"


class Registry:
    """One subject: the schema's id and its compatibility, None where it has none."""

    def __init__(self, known: int | None, compatibility: str | None, refuses: bool = False) -> None:
        self.known, self.compatibility, self.refuses, self.sets = known, compatibility, refuses, 0

    def lookup_schema(self, _subject: str, _schema: object) -> SimpleNamespace:
        if self.known is None:
            raise SchemaRegistryError(404, 40403, "Schema not found")
        return SimpleNamespace(schema_id=self.known)

    def register_schema(self, _subject: str, _schema: object) -> int:
        if self.refuses:
            raise SchemaRegistryError(409, 409, "Schema being registered is incompatible\nwith an earlier schema")
        self.known = 7
        return 7

    def get_compatibility(self, _subject: str) -> str:
        if self.compatibility is None:
            raise SchemaRegistryError(404, 40408, "Subject has no subject-level compatibility")
        return self.compatibility

    def set_compatibility(self, _subject: str, level: str) -> None:
        self.sets += 1
        self.compatibility = level


def ask(registry: Registry) -> int:
    return _id_of(cast(SchemaRegistryClient, cast(Any, registry)), SUBJECT)


@pytest.mark.parametrize(
    ("known", "compatibility", "sets"), [(None, None, 1), (5, None, 1), (5, "BACKWARD", 1), (5, COMPATIBILITY, 0)]
)
def test_a_schema_has_its_compatibility_even_if_whoever_registered_it_was_killed(
    known: int | None, compatibility: str | None, sets: int
) -> None:
    registry = Registry(known, compatibility)
    assert ask(registry) == (known or 7)
    assert (registry.compatibility, registry.sets) == (COMPATIBILITY, sets)


def test_a_refused_schema_is_told_in_one_line() -> None:
    with pytest.raises(
        SchemaRefused, match=r"^the schema registry does not take atrium.Tick: .*incompatible with an earlier schema$"
    ):
        ask(Registry(None, None, refuses=True))
