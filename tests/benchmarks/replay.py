"""Events a second through `atrium replay` on one core: `python -m tests.benchmarks.replay [--events 1000000] [--rooms 200]`.

Starts PostgreSQL for itself and puts the log of a building into history as the role `history` does: every room sends temperature,
humidity, light and motion once a minute, values drifting, people coming and going; rooms wake themselves and gateways answer.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import os
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from agents.history_rows import ROOM_EVENTS, Raw, Row, room_event_row
from agents.history_store import insert, make_day
from agents.rules.room import blank, step
from infra.database import migrate
from infra.services import environment
from schemas.codecs import PUBLIC, Codecs, schema_text, subject_of
from schemas.records import (
    Bus,
    CommandResult,
    Device,
    DeviceChanged,
    DeviceRole,
    Kind,
    Position,
    Reading,
    ResultStatus,
    RoomEvent,
    Tick,
)
from schemas.rows import Room
from streams.database import connection
from streams.keys import partition_of
from streams.settings import Settings
from streams.topics import ROOM_PARTITIONS
from tests.conftest import start_services, stop_services, test_settings
from tests.processes import home_of_its_own

_ROLES = (DeviceRole.multisensor, DeviceRole.radiator_valve, DeviceRole.blind, DeviceRole.dimmer)
_BEGIN = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
_LOG = "a-log"
_ROWS_AT_ONCE = 50_000


class _Home(Struct):
    """A room while its log is made: where it stands and what its sensor says."""

    room: Room
    values: list[float]


def main() -> None:
    """Make the log, then let the command replay it three times."""
    options = argparse.ArgumentParser(description="atrium replay, one core.")
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--rooms", type=int, default=200)
    chosen = options.parse_args()
    with home_of_its_own("bench") as home:
        given = replace(test_settings(home), kafka_bootstrap_servers="none.invalid:9", schema_registry_url="http://none.invalid")
        services = start_services(given)
        try:
            asyncio.run(_fill(services.settings, chosen.events, chosen.rooms))
            os.sched_setaffinity(0, {0})  # the command's threads and all; PostgreSQL keeps the other cores
            for _ in range(3):
                _run(services.settings)
        finally:
            stop_services(services.running)


def _run(settings: Settings) -> None:
    import subprocess

    subprocess.run([sys.executable, "-m", "streams.cli", "replay"], env={**os.environ, **environment(settings)}, check=True)


async def _fill(settings: Settings, events: int, rooms: int) -> None:
    await migrate(settings.database)
    codecs = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=1)})
    started = time.monotonic()
    async with connection(settings.database) as db:
        rows: list[Row] = []
        days: set[object] = set()
        for number, row in enumerate(_log(codecs, events, rooms), start=1):
            rows.append(row)
            if len(rows) == _ROWS_AT_ONCE or number == events:
                for day in {each[3].date() for each in rows} - days:
                    await make_day(db, ROOM_EVENTS, day)
                    days.add(day)
                async with db.transaction():
                    await insert(db, ROOM_EVENTS, rows)
                rows.clear()
        for number, cls in enumerate(PUBLIC, start=1):
            await db.execute("INSERT INTO history.schemas VALUES ($1, $2)", number, schema_text(subject_of(cls)))
    print(f"{events:,} events of {rooms} rooms in history, made in {time.monotonic() - started:.0f} s", flush=True)


def _log(codecs: Codecs, events: int, rooms: int) -> Iterator[Row]:
    """Rows of history.room_events, in the order of time."""
    rng = random.Random(1)
    homes: dict[str, _Home] = {}
    ends = [0] * ROOM_PARTITIONS
    due: list[tuple[datetime, int, str, RoomEvent | None]] = []
    for number in range(rooms):
        room_id = f"room-{number}"
        for i, role in enumerate(_ROLES):
            device = Device(4 * number + i + 1, 1, role.value, room_id, role, Bus.knx, "knx-1")
            heapq.heappush(due, (_BEGIN, len(due), room_id, DeviceChanged(device.device_id, 1, device)))
        heapq.heappush(due, (_BEGIN + timedelta(seconds=rng.uniform(1, 60)), len(due), room_id, None))
    count = len(due)
    made = 0
    while made < events:
        at, _, room_id, event = heapq.heappop(due)
        coming = [event] if event is not None else _minute(rng, homes[room_id], 4 * int(room_id[5:]) + 1, at)
        if event is None:
            count += 1
            heapq.heappush(due, (at + timedelta(minutes=1), count, room_id, None))
        for each in coming[: events - made]:
            partition = partition_of(room_id, ROOM_PARTITIONS)
            position, ends[partition] = Position(_LOG, partition, ends[partition]), ends[partition] + 1
            stamp_ms = int(at.timestamp() * 1000)
            logged_at = datetime.fromtimestamp(stamp_ms / 1000, UTC)
            yield room_event_row(Raw(_LOG, partition, position.offset, stamp_ms, room_id.encode(), codecs.encode(each)), each)
            made += 1
            home = homes.setdefault(room_id, _Home(blank(position, logged_at), [21.0, 42.0, 150.0, 0.0]))
            was = home.room.wake_at
            outcome = step(home.room, room_id, each, position, logged_at)
            home.room = outcome.room
            for command in outcome.commands:
                count += 1
                result = CommandResult(command.command_id, command.device_id, ResultStatus.done, at, command.target_pct)
                heapq.heappush(due, (at + timedelta(seconds=2), count, room_id, result))
            if home.room.wake_at is not None and home.room.wake_at != was:
                count += 1
                heapq.heappush(due, (home.room.wake_at, count, room_id, Tick(home.room.wake_at)))


def _minute(rng: random.Random, home: _Home, device_id: int, at: datetime) -> list[RoomEvent]:
    """What the sensor of a room says in a minute."""
    values = home.values
    for index, step_by, low, high in ((0, 0.1, 17.0, 25.0), (1, 0.5, 30.0, 60.0), (2, 5.0, 0.0, 400.0)):
        values[index] = round(min(max(values[index] + rng.uniform(-step_by, step_by), low), high), 1)
    if rng.random() < 1 / 60:
        values[3] = 1.0 - values[3]
    kinds = (Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.motion)
    return [Reading(device_id, kind, value, at.replace(microsecond=0)) for kind, value in zip(kinds, values, strict=True)]


if __name__ == "__main__":
    main()
