"""Policy documents: what a building, a floor or a room does otherwise than the default, checked field by field; nearest wins."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from enum import Enum
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct

from schemas.codecs import DEFAULT_POLICY, schema_text
from schemas.errors import BuildingError
from schemas.records import Kind, Policy, SchedulePeriod, Weekday

Document = Mapping[str, Any]
FIELDS = tuple(name for name in Policy.__struct_fields__ if name != "revision")
BUILDING = "building"
_ONLY_OF_ROOMS = frozenset({"clock"})
_LONGEST_S = 2**31 - 1
"""Avro's int."""
_MOST_PERIODS, _MOST_DAYS = 100, 400
"""So that a room's row stays far below 64 kB."""
_RANGES: dict[str, tuple[float, float, str]] = {
    "_pct": (0, 100, "a percentage"), "_s": (0, _LONGEST_S, "a span in seconds"), "_lx": (0, 200_000, "an illuminance in lx"),
    "_c": (-60, 85, "a temperature in °C"), "_k": (0, 50, "a difference in K"), "_ppm": (0, 100_000, "a concentration in ppm"),
    "_attempts": (0, 20, "a number of repetitions"),
}  # fmt: skip


class Fault(Struct, frozen=True):
    """What is wrong with a document: where, and what would be right."""

    path: str
    says: str

    def __str__(self) -> str:
        return f"{self.path}: {self.says}"


class BadPolicy(BuildingError):
    """A document that cannot be used; `faults` are all that is wrong with it."""

    reason = "bad_policy"

    def __init__(self, what: str, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{what}: " + "; ".join(map(str, self.faults)))


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The zone of this IANA name. Raises `ZoneInfoNotFoundError`."""
    return ZoneInfo(name)


def scopes_of(room_id: object, floor: object) -> tuple[str, str, str]:
    """Whose documents concern a room, by its cells in any table: the building's, its floor's, its own, the nearest last."""
    return BUILDING, f"floor/{floor}", f"room/{room_id}"


def effective(what: str, revision: int, documents: Iterable[Document]) -> Policy:
    """The policy that documents make of the default, later ones nearer to the room. Raises `BadPolicy`."""
    values: dict[str, Any] = {}
    wrong: list[Fault] = []
    for document in documents:
        read, faults_of_it = _read(document)
        values |= read
        wrong += faults_of_it
    policy = msgspec.structs.replace(DEFAULT_POLICY, **values, revision=revision)
    wrong += [Fault(path, says) for path, says in faults(policy)] if not wrong else []
    if wrong:
        raise BadPolicy(what, wrong)
    return policy


def document_faults(document: Document, scope: str) -> list[Fault]:
    """Everything wrong with a document taken alone; what contradicts other documents shows in `effective`."""
    found = _read(document)[1]
    if not scope.startswith("room"):
        found += [Fault(name, "belongs into a room's policy only") for name in document if name in _ONLY_OF_ROOMS]
    return found


def fault(policy: Policy) -> str | None:
    """Why a policy cannot be used, naming the field and what would do; None when it can."""
    return next((f"{path}: {says}" for path, says in faults(policy)), None)


def faults(policy: Policy) -> Iterator[tuple[str, str]]:
    """Every reason why a policy cannot be used: path of the field, and what would do."""
    try:
        zone_of(policy.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield "time_zone", f"{policy.time_zone!r} is not an IANA time zone such as Europe/Zurich"
    for name in ("day_starts", "day_ends"):
        yield from _clock_faults(name, getattr(policy, name))
    for name, (low, high, what) in _ranged().items():
        value = getattr(policy, name)
        if not low <= value <= high:
            yield name, f"{value} is not {what} from {low} to {high}"
    yield from _contradictions(policy)
    if len(policy.schedule) > _MOST_PERIODS:
        yield "schedule", f"{len(policy.schedule)} periods: give {_MOST_PERIODS} at most"
    for number, period in enumerate(policy.schedule):
        yield from _period_faults(f"schedule[{number}]", period)
    for number, exception in enumerate(policy.schedule_exceptions):
        path = f"schedule_exceptions[{number}]"
        yield from _day_faults(f"{path}.first", exception.first)
        yield from _day_faults(f"{path}.last", exception.last)
        if exception.last < exception.first:
            yield f"{path}.last", f"{exception.last} must not be before first ({exception.first})"
        if exception.follow is Weekday.unknown:
            yield f"{path}.follow", f"give one of {_words(Weekday)}"
    if len(policy.schedule_exceptions) + len(policy.holidays) > _MOST_DAYS:
        yield "holidays", f"{len(policy.schedule_exceptions) + len(policy.holidays)} days: give {_MOST_DAYS} at most"
    for number, day in enumerate(policy.holidays):
        yield from _day_faults(f"holidays[{number}]", day)


def _contradictions(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.humid_clear_below_pct > policy.humid_above_pct:
        yield (
            "humid_clear_below_pct",
            f"{policy.humid_clear_below_pct} must not be above humid_above_pct ({policy.humid_above_pct})",
        )
    if policy.dark_at_most_lx > policy.bright_above_lx:
        yield "dark_at_most_lx", f"{policy.dark_at_most_lx} must not be above bright_above_lx ({policy.bright_above_lx})"
    frost, heat = policy.frost_below_c + policy.frost_hysteresis_k, policy.overheat_above_c - policy.overheat_hysteresis_k
    if frost >= heat:
        yield "frost_below_c", f"{policy.frost_below_c} with its hysteresis must stay below overheat_above_c with its ({heat:g})"
    if policy.retry_first_s > policy.retry_longest_s:
        yield "retry_first_s", f"{policy.retry_first_s} must not be above retry_longest_s ({policy.retry_longest_s})"
    if policy.day_starts == policy.day_ends:
        yield "day_ends", f"{policy.day_ends} must differ from day_starts"
    for name in ("valve_unasked", "blind_unasked", "light_unasked"):
        if getattr(policy, name).value == "unknown":
            yield name, "give nothing, hand or drift"


def _period_faults(path: str, period: SchedulePeriod) -> Iterator[tuple[str, str]]:
    if period.kind not in (Kind.closed_pct, Kind.valve_pct, Kind.level_pct):
        yield f"{path}.kind", f"{period.kind.value} is not closed_pct, valve_pct or level_pct"
    if not period.days:
        yield f"{path}.days", "give at least one day, such as monday"
    for number, day in enumerate(period.days):
        if day in (Weekday.unknown, Weekday.none):
            yield f"{path}.days[{number}]", "give one of monday to sunday, or holiday"
    for name in ("starts", "ends"):
        yield from _clock_faults(f"{path}.{name}", getattr(period, name))
    if period.value_pct is not None and not 0 <= period.value_pct <= 100:
        yield f"{path}.value_pct", f"{period.value_pct} is not a percentage from 0 to 100; leave it out for the setback"
    if not 0 < len(period.name) <= 60:
        yield f"{path}.name", "give a name of at most 60 characters"


def _clock_faults(path: str, wall: Any) -> Iterator[tuple[str, str]]:
    if wall.tzinfo is not None or wall.microsecond % 1000:
        yield path, f"{wall} is not a local time without a zone, to the millisecond, such as 07:00:00"


def _day_faults(path: str, day: str) -> Iterator[tuple[str, str]]:
    try:
        well = date.fromisoformat(day).isoformat() == day
    except ValueError:
        well = False
    if not well:
        yield path, f"{day!r} is not a day such as 2026-12-25"


@cache
def _ranged() -> dict[str, tuple[float, float, str]]:
    return {name: bounds for name in FIELDS for ending, bounds in _RANGES.items() if name.endswith(ending)}


@cache
def _hints() -> dict[str, Any]:
    return typing.get_type_hints(Policy)


@cache
def _docs() -> dict[str, str]:
    return {field["name"]: field["doc"] for field in json.loads(schema_text("atrium.Policy"))["fields"]}


def _read(document: Document) -> tuple[dict[str, Any], list[Fault]]:
    """The typed fields of a document, and what cannot be read."""
    values: dict[str, Any] = {}
    wrong: list[Fault] = []
    for name, given in document.items():
        if name not in FIELDS:
            near = get_close_matches(str(name), FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else "schemas/avro/atrium.Policy.avsc has them all"
            wrong.append(Fault(str(name), f"no field is called {name}: {hint}"))
            continue
        try:
            values[name] = msgspec.convert(given, _hints()[name])
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$")
            wrong.append(Fault(name + where.rstrip("`"), f"{what}: give {_right(name)}"))
    return values, wrong


def _right(name: str) -> str:
    """What a field takes, and what it means."""
    hint, default = _hints()[name], getattr(DEFAULT_POLICY, name)
    if isinstance(default, bool):
        kind = "true or false"
    elif isinstance(default, Enum):
        kind = f"one of {_words(hint)}"
    elif isinstance(default, int):
        kind = "a whole number"
    elif isinstance(default, float):
        kind = "a number"
    elif isinstance(default, tuple):
        kind = "a list"
    else:
        kind = "a text" if isinstance(default, str) else "a local time such as 07:00:00"
    return f"{kind} ({_docs()[name].rstrip('.')})"


def _words(kind: type[Enum]) -> str:
    return ", ".join(each.value for each in kind if each.value != "unknown")
