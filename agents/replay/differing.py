"""PURE: where two records differ, named so that a person finds it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


def first_difference(expected: Any, found: Any, path: str = "") -> str | None:
    """The first field in which two records differ and both its values; None when they are equal."""
    if type(expected) is type(found):
        if isinstance(expected, Struct):
            steps = [(f".{name}", getattr(expected, name), getattr(found, name)) for name in expected.__struct_fields__]
            return _first(steps, path)
        if isinstance(expected, tuple | list) and len(expected) == len(found):
            return _first([(f"[{number}]", a, b) for number, (a, b) in enumerate(zip(expected, found, strict=True))], path)
        if isinstance(expected, dict) and expected.keys() == found.keys():
            return _first([(f"[{key!r}]", expected[key], found[key]) for key in expected], path)
    if expected == found:
        return None
    return f"{path.lstrip('.')}: {_short(expected)} against {_short(found)}"


def _first(steps: list[tuple[str, Any, Any]], path: str) -> str | None:
    differences = (first_difference(a, b, path + step) for step, a, b in steps)
    return next((difference for difference in differences if difference is not None), None)


def _short(value: Any) -> str:
    if isinstance(value, tuple | list | dict):
        return f"{len(value)} entries"
    return str(value)
