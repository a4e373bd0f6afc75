"""Errors under one root; each carries the facts of its case."""

from __future__ import annotations


class BuildingError(Exception):
    """Root of every error Atrium raises on purpose. `reason` is the machine-readable word for dead letters and problems."""

    reason = "building_error"


class Undecodable(BuildingError):
    """Bytes that are not what they claim to be."""

    reason = "undecodable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class UnknownSchema(BuildingError):
    """A schema id the registry does not know (it answered 404)."""

    reason = "unknown_schema"

    def __init__(self, schema_id: int) -> None:
        super().__init__(f"schema id {schema_id} is not in the registry")
        self.schema_id = schema_id


class SchemaNotCached(BuildingError):
    """A schema id not looked up yet: ask the registry, then decode again."""

    reason = "schema_not_cached"

    def __init__(self, schema_id: int) -> None:
        super().__init__(f"schema id {schema_id} has not been looked up yet")
        self.schema_id = schema_id


class RegistryUnavailable(BuildingError):
    """The schema registry cannot be reached: a pause, never a dead letter."""

    reason = "registry_unavailable"
