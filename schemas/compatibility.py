"""Whether today's public schemas can live beside every released one: FULL_TRANSITIVE, checked against `schemas/releases/`.

`python -m schemas.compatibility` checks; with `--release VERSION` it also writes the release's files, which never change again.
The verdict is the `avro` package's, in both directions; what it leaves open (where, and logical types) is found here.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import avro.schema
import click
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType, lookup_writer_field
from avro.schema import EnumSchema, Field, NamedSchema, RecordSchema, Schema

from schemas.codecs import PUBLIC, SCHEMA_FOLDER, schema_text, subject_of

RELEASES_FOLDER = SCHEMA_FOLDER.parent / "releases"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def todays() -> dict[str, str]:
    """The self-contained schemas of all public records, as they are registered, by subject."""
    return {subject_of(cls): schema_text(subject_of(cls)) for cls in PUBLIC}


def releases(folder: Path = RELEASES_FOLDER) -> dict[str, dict[str, str]]:
    """Version to subject to schema of every release in the folder."""
    return {
        version.name: {file.stem: file.read_text(encoding="utf-8") for file in sorted(version.glob("*.avsc"))}
        for version in sorted(folder.glob("*"))
        if version.is_dir()
    }


def problems(today: Mapping[str, str], released: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Everything that breaks FULL_TRANSITIVE, one line each: what, against which release, what to do."""
    found: dict[str, None] = {}  # a type inlined in several records is told once
    for version, schemas in released.items():
        for subject, old in schemas.items():
            if subject not in today:
                found[f"{subject}: released in {version} and gone today: its records are still read; bring it back"] = None
                continue
            for problem in _between(avro.schema.parse(today[subject]), avro.schema.parse(old), version):
                found[problem] = None
    return list(found)


def _between(new: Schema, old: Schema, version: str) -> Iterator[str]:
    told = False
    broken: set[str] = set()
    new_types, old_types = _named(new), _named(old)
    for name in new_types:  # inner types first, so that a record does not repeat what is wrong inside it
        if name in old_types:
            for problem in _type_problems(new_types[name], old_types[name], version, broken):
                told = True
                broken.add(name)
                yield problem
    if not told and not (_reads(new, old) and _reads(old, new)):
        yield f"{_name(new)}: not compatible with {version}: compare schemas/releases/{version}/{_name(new)}.avsc"


def _type_problems(new: NamedSchema, old: NamedSchema, version: str, broken: set[str]) -> Iterator[str]:
    name = _name(new)
    if isinstance(new, EnumSchema) and isinstance(old, EnumSchema):
        gone, added = sorted(set(old.symbols) - set(new.symbols)), sorted(set(new.symbols) - set(old.symbols))
        if not _reads(new, old):
            yield f"{name}: {', '.join(gone)} of {version} cannot be read today: bring back the symbol, or give the enum a default"
        if not _reads(old, new):
            yield f"{name}: {', '.join(added)} is new, and the enum had no default in {version}: use a new enum with a default"
    elif isinstance(new, RecordSchema) and isinstance(old, RecordSchema):
        for field in new.fields:
            before = lookup_writer_field(old, field)
            if before is None and not field.has_default:
                yield f"{name}.{field.name}: new since {version} without a default: give it one in schemas/avro/{name}.avsc"
            elif before is not None and not _same(field, before) and not (_parts(field.type) | _parts(before.type)) & broken:
                yield (
                    f"{name}.{field.name}: was {_text(before.type)} in {version}, is {_text(field.type)}: "
                    "keep the old type, and put the new one into a new field with a default"
                )
        for field in old.fields:
            if lookup_writer_field(new, field) is None and not field.has_default:
                yield f"{name}.{field.name}: gone, and readers of {version} need it, having no default for it: bring it back"


def _same(new: Field, old: Field) -> bool:
    return _reads(new.type, old.type) and _reads(old.type, new.type) and _logical(new.type) == _logical(old.type)


def _reads(reader: Schema, writer: Schema) -> bool:
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)  # type: ignore[no-untyped-call]
    return result.compatibility is SchemaCompatibilityType.compatible


def _named(schema: Schema) -> dict[str, NamedSchema]:
    """Every named type inside and the schema itself, inner ones first."""
    types: dict[str, NamedSchema] = {}
    for part in _inside(schema):
        types |= _named(part)
    if isinstance(schema, NamedSchema):
        types[_name(schema)] = schema
    return types


def _inside(schema: Schema) -> list[Schema]:
    if isinstance(schema, RecordSchema):
        return [field.type for field in schema.fields]
    return [*getattr(schema, "schemas", ()), *(getattr(schema, side) for side in ("items", "values") if hasattr(schema, side))]


def _parts(schema: Schema) -> set[str]:
    return set(_named(schema))


def _logical(schema: Schema) -> list[object]:
    """Logical types in order, stopping at named types: they change what a number means, which Avro's own rules do not see."""
    inside = [] if isinstance(schema, NamedSchema) else [kind for part in _inside(schema) for kind in _logical(part)]
    return [schema.props.get("logicalType"), *inside]


def _text(schema: Schema) -> str:
    if isinstance(schema, NamedSchema):
        return _name(schema)
    if parts := _inside(schema):
        return f"{schema.type}({', '.join(map(_text, parts))})"
    return str(schema.props.get("logicalType") or schema.type)


def _name(schema: Schema) -> str:
    return str(getattr(schema, "fullname", schema.type))


def write_release(version: str, folder: Path = RELEASES_FOLDER) -> Path:
    """Write today's schemas as a release. Raises `click.ClickException` for a bad version or one already released otherwise."""
    if not _VERSION.fullmatch(version):
        raise click.ClickException(f"{version!r} is not a version: give one like 0.2.0")
    target = folder / version
    files = {name: json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" for name, text in todays().items()}
    if target.exists() and releases(folder)[version] != files:
        raise click.ClickException(f"{target} is there and different: a release never changes; choose the next version")
    target.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (target / f"{name}.avsc").write_text(text, encoding="utf-8")
    return target


@click.command()
@click.option("--release", metavar="VERSION", help="Write today's schemas to schemas/releases/VERSION, if they are compatible.")
def main(release: str | None) -> None:
    """Check that every reader, old or new, reads every public record, old or new."""
    known = releases()
    found = problems(todays(), known)
    for problem in found:
        click.echo(problem, err=True)
    if found:
        sys.exit(1)
    if release is not None:
        click.echo(f"written: {write_release(release)}")
        return
    click.echo(f"{len(PUBLIC)} public records compatible with {', '.join(known) or 'nothing: no release yet'}")


if __name__ == "__main__":
    main()
