"""Policy fields from a YAML file: those that a what-if changes, in every room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from schemas.codecs import DEFAULT_POLICY
from schemas.errors import BuildingError
from schemas.policy import faults
from schemas.records import Policy

_FIXED = ("revision", "clock")


class BadPolicyFile(BuildingError):
    """A policy file that cannot be used; the message names file, line and field."""

    reason = "bad_policy_file"


def read_policy_file(path: Path) -> Callable[[Policy], Policy]:
    """A function that puts the file's fields into a policy. Raises `BadPolicyFile`, also where only both together are wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except OSError as error:
        raise BadPolicyFile(f"{path.name}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadPolicyFile(f"{path.name}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not document:
        raise BadPolicyFile(f"{path.name}: give fields of a policy, a line each, such as `humid_above_pct: 55`")
    fields = {str(name): value for name, value in document.items()}
    for name in fields:
        if name not in Policy.__struct_fields__ or name in _FIXED:
            possible = ", ".join(field for field in Policy.__struct_fields__ if field not in _FIXED)
            raise BadPolicyFile(f"{path.name}, line {_line(text, name)}: {name} is no field to change: there are {possible}")

    def alter(policy: Policy) -> Policy:
        return _altered(policy, fields, path.name, text)

    alter(DEFAULT_POLICY)
    return alter


def _altered(policy: Policy, fields: dict[str, Any], file: str, text: str) -> Policy:
    known = {name: getattr(policy, name) for name in Policy.__struct_fields__}
    try:
        altered = msgspec.convert({**known, **fields}, Policy)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`")
        raise BadPolicyFile(f"{file}, line {_line(text, name)}: {name}: {what}") from None
    for name, what in faults(altered):
        raise BadPolicyFile(f"{file}, line {_line(text, name)}: {name}: {what}")
    return altered


def _line(text: str, name: str) -> int:
    return next((number for number, line in enumerate(text.splitlines(), start=1) if line.lstrip().startswith(name)), 1)
