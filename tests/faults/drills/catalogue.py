"""The drills, as data: a name, what it says, what it does to the stand, and how its recovery is measured."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from msgspec import Struct

from infra.provision import create_topics
from schemas.codecs import schema_text, subject_of
from schemas.records import Reading
from streams.topics import ROOM_EVENTS
from tests.faults.drills.recovery import Recovery, by_api, by_directory, by_gateway, by_history, by_tables
from tests.faults.drills.stand import ROLE_NAMES, Stand
from tests.processes import free_port

Disturb = Callable[[Stand, "Spans"], Awaitable[None]]


class Spans(Struct, frozen=True):
    """How long things last, seconds."""

    calm: float = 6.0
    disturbed: float = 15.0
    frozen: float = 60.0
    broker_away: float = 30.0
    database_away: float = 60.0
    registry_away: float = 30.0
    kills: int = 3


FULL = Spans()
SHORT = Spans(calm=1.5, disturbed=4.0, frozen=14.0, broker_away=8.0, database_away=8.0, registry_away=6.0, kills=1)


class Drill(Struct, frozen=True, kw_only=True):
    """One drill. `letters`: the reasons for which its dead letters are meant; `kills` says how many the gateway suffers."""

    name: str
    title: str
    disturb: Disturb
    recovery: Recovery = by_tables
    letters: frozenset[str] = frozenset()
    gateway_kills: bool = False
    ends: frozenset[str] = frozenset()
    """Roles meant to end and begin anew by themselves."""


def kills(role: str) -> Disturb:
    """kill -9 at random moments, each restarted at once."""

    async def disturb(stand: Stand, spans: Spans) -> None:
        for number in range(spans.kills):
            await asyncio.sleep(stand.chance.uniform(0.3, 2 * spans.disturbed / spans.kills - 0.3))
            await stand.kill(role)
            if number + 1 < spans.kills:
                await stand.ready()
        stand.notes.append(f"{spans.kills} × kill -9")

    return disturb


async def directory_killed(stand: Stand, spans: Spans) -> None:
    """As the others, while devices are renamed in the database all the time: every name must arrive, the last one last."""
    renamed = 0

    async def rename() -> None:
        nonlocal renamed
        while True:
            await stand.rename(renamed % stand.plan.rooms, f"sensor {renamed}")
            renamed += 1
            await asyncio.sleep(0.1)

    renaming = asyncio.create_task(rename())
    try:
        await kills("directory")(stand, spans)
    finally:
        renaming.cancel()
        await asyncio.wait({renaming})
    if renaming.done() and not renaming.cancelled():
        renaming.result()
    stand.notes.append(f"{renamed} devices renamed meanwhile, every name arrived")


async def freeze(stand: Stand, spans: Spans) -> None:
    """A second rooms worker; the first is stopped for longer than its session, then wakes."""
    second = msgspec.structs.replace(stand.settings, rooms_web_port=free_port())
    stand.launch("rooms", "rooms-2", second)
    await stand.ready()
    await asyncio.sleep(spans.calm)
    stand.roles["rooms"].freeze()
    stand.moments["the other took all over"] = time.time()
    try:
        await asyncio.sleep(spans.frozen)
    finally:
        stand.roles["rooms"].thaw()
    stand.notes.append(f"one of two workers stopped for {spans.frozen:.0f} s")


async def broker_killed(stand: Stand, spans: Spans) -> None:
    """kill -9 of Kafka and its restart."""
    await asyncio.sleep(stand.chance.uniform(0, spans.calm))
    await asyncio.to_thread(stand.services.broker.kill)
    await asyncio.to_thread(stand.services.broker.start)


async def broker_away(stand: Stand, spans: Spans) -> None:
    """Kafka stopped, and started later."""
    await asyncio.to_thread(stand.services.broker.stop)
    try:
        await asyncio.sleep(spans.broker_away)
    finally:
        await asyncio.to_thread(stand.services.broker.start)
    stand.notes.append(f"away {spans.broker_away:.0f} s")


async def database_away(stand: Stand, spans: Spans) -> None:
    """PostgreSQL stopped, and started later: rooms are controlled meanwhile, and health says why it is not well."""
    await asyncio.to_thread(stand.services.postgres.stop)
    told, before = "", stand.field.telegrams
    try:
        ends = time.monotonic() + spans.database_away
        while time.monotonic() < ends:
            await asyncio.sleep(0.5)
            _, said = await stand.health()
            told = next((reason for reason in said.get("reasons", []) if "PostgreSQL" in reason), told)
        while_away = stand.field.telegrams - before
    finally:
        await asyncio.to_thread(stand.services.postgres.start)
    stand.notes.append(f"away {spans.database_away:.0f} s; {while_away} telegrams reached actuators meanwhile")
    stand.notes.append(f"/health/ready: “{told.split(':')[0]}”")
    if not while_away:
        stand.faults.append("rooms were not controlled while PostgreSQL was away")
    if not told:
        stand.faults.append("health did not name PostgreSQL")


async def registry_away(stand: Stand, spans: Spans) -> None:
    """A schema nobody has read yet arrives while the registry is away."""
    await asyncio.to_thread(stand.services.registry.kill)
    before = stand.field.telegrams
    try:
        await asyncio.sleep(spans.registry_away / 2)
        known = stand.field.telegrams - before
        stand.tell_load("registry_away")
        await asyncio.sleep(spans.registry_away / 2)
        unknown = stand.field.telegrams - before - known
    finally:
        await asyncio.to_thread(stand.services.registry.start)
    stand.notes.append(
        f"away {spans.registry_away:.0f} s; telegrams meanwhile: {known} before the unknown schema came, {unknown} while it waited"
    )


def manner(name: str, note: str) -> Disturb:
    """Another manner of sending for a while."""

    async def disturb(stand: Stand, spans: Spans) -> None:
        stand.tell_load(name)
        await asyncio.sleep(spans.disturbed)
        stand.tell_load("plain")
        stand.notes.append(note)

    return disturb


async def recreated(stand: Stand, spans: Spans) -> None:
    """The rooms' log deleted and made anew while every role runs; what was in it had been folded."""
    stand.tell_load("pause")
    await asyncio.sleep(0.5)
    await stand.turn_page()
    admin = AdminClient(dict(stand.settings.librdkafka))
    for done in admin.delete_topics([ROOM_EVENTS.name], operation_timeout=30).values():
        await asyncio.to_thread(done.result, 30)
    deadline = time.monotonic() + 30
    while ROOM_EVENTS.name not in await asyncio.to_thread(_make_anew, stand):
        assert time.monotonic() < deadline, "the topic was not made anew"
        await asyncio.sleep(0.2)
    stand.books.begin_anew()
    stand.notes.append("its log id is another, its offsets begin at 0")
    stand.tell_load("plain")


def _make_anew(stand: Stand) -> list[str]:
    return create_topics(stand.settings.librdkafka, [ROOM_EVENTS])


def register_newer(stand: Stand) -> None:
    """Two later versions of `Reading`, each with a field more, as a newer release would register them."""
    client: Any = SchemaRegistryClient({"url": stand.settings.registry})
    schema = json.loads(schema_text(subject_of(Reading)))
    for name in ("future", "registry_away"):
        schema["fields"].append({"name": f"quality_{name}", "type": "string", "default": ""})
        version = {**schema, "fields": [*schema["fields"][:4], schema["fields"][-1]]}
        stand.newer[name] = client.register_schema(subject_of(Reading), Schema(json.dumps(version), "AVRO"))


_KILLED = {
    "rooms": by_tables, "history": by_history, "knx": by_gateway, "api": by_api, "directory": by_directory,
}  # fmt: skip
DRILLS: dict[str, Drill] = {
    drill.name: drill
    for drill in (
        Drill(name="calm", title="nothing", disturb=manner("plain", "for comparison")),
        *(
            Drill(
                name=f"{'gateway' if role == 'knx' else role}-killed",
                title=f"{'gateway' if role == 'knx' else role} killed",
                disturb=directory_killed if role == "directory" else kills(role),
                recovery=_KILLED.get(role, by_tables),
                gateway_kills=role == "knx",
            )
            for role in ROLE_NAMES
        ),
        Drill(name="frozen", title="a rooms worker frozen", disturb=freeze),
        Drill(name="broker-killed", title="Kafka killed", disturb=broker_killed),
        Drill(name="broker-away", title="Kafka away", disturb=broker_away),
        Drill(name="postgres-away", title="PostgreSQL away", disturb=database_away, recovery=by_history),
        Drill(name="registry-away", title="schema registry away", disturb=registry_away),
        Drill(name="duplicates", title="each reading three times", disturb=manner("duplicates", "")),
        Drill(name="out-of-order", title="out of order", disturb=manner("out_of_order", "each held up to 3 s")),
        Drill(name="late", title="late by 1 h", disturb=manner("late", "every fourth room's")),
        Drill(
            name="fast-clock", title="a clock 10 min fast", disturb=manner("fast_clock", "one device"),
            letters=frozenset({"from_the_future"}),
        ),
        Drill(
            name="poison", title="poison bytes", disturb=manner("poison", ""),
            letters=frozenset({"undecodable", "unknown_schema"}),
        ),
        Drill(name="future-schema", title="a later schema with a new field", disturb=manner("future", "half of the rooms'")),
        Drill(name="recreated", title="topic deleted and made anew", disturb=recreated, ends=frozenset({"rooms", "history"})),
    )
}  # fmt: skip
