"""A building that has lived for most of a minute on services of its own, with hands and a kill -9, and now stands still."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from agents.history_rows import ROOM_EVENTS as EVENTS_TABLE
from infra.provision import provision
from schemas.records import CommandResult, Intent, IntentAction, Kind, Reading, ResultStatus
from streams.database import connection
from streams.settings import Settings
from tests.conftest import start_services, stop_services, test_settings
from tests.folding import Load, codecs_of, committed, log_ends, wait_caught_up
from tests.processes import Running, home_of_its_own, role, role_part, wait_until

LIVED_S = 40


@pytest.fixture(scope="package")
def lived() -> Iterator[Settings]:
    with home_of_its_own("replay") as home:
        started = start_services(test_settings(home))
        try:
            asyncio.run(provision(started.settings))
            live(started.settings)
            yield started.settings
        finally:
            stop_services(started.running)


def live(settings: Settings) -> None:
    """The simulated floor and 20 more rooms under load; rooms is killed on the way, history has everything at the end."""
    load = Load(settings, codecs_of(settings), rooms=20, seed=5, prefix="lived")
    load.introduce()
    dice = random.Random(3)
    rooms = Running(role_part("rooms", settings), settings.home / "logs")
    with ExitStack() as roles:
        roles.callback(rooms.stop)
        rooms.start()
        wait_caught_up(settings)  # so that the day's snapshot, taken as history starts, has rooms
        for name in ("history", "simulator", "knx", "zwave"):
            roles.enter_context(role(name, settings))
        ends_at = time.monotonic() + LIVED_S
        killed = False
        while (left := ends_at - time.monotonic()) > 0:
            load.read(100)
            hands(load, dice)
            if left < LIVED_S / 2 and not killed:
                rooms.kill()
                load.read(500)
                rooms.start()
                killed = True
            time.sleep(0.2)
        load.write(load.room_ids[0], b"\x00 no record at all")
        load.flush()
        wait_caught_up(settings)
    # The gateways are gone and the rooms too: what is in the log now is all there will be, but for a tick that rooms writes as it
    # stops.
    with role("rooms", settings), role("history", settings):
        wait_caught_up(settings)
    while committed(settings) != log_ends(settings):
        with role("rooms", settings):
            wait_caught_up(settings)
    with role("history", settings):
        wait_until(lambda: asyncio.run(stored(settings)) == sum(log_ends(settings).values()), "history has every event")


def hands(load: Load, dice: random.Random) -> None:
    """Somebody takes or leaves an actuator; a gateway that nobody asked answers."""
    room_id, kind = dice.choice(load.room_ids), dice.choice((Kind.closed_pct, Kind.valve_pct, Kind.level_pct))
    now = datetime.now(UTC)
    action = dice.choice((IntentAction.set, IntentAction.set, IntentAction.release))
    value = None if action is IntentAction.release else float(dice.randrange(0, 130, 10))
    load.write(room_id, Intent(action, kind, now, value, until_at=now + timedelta(seconds=dice.uniform(1, 20)), source="test"))
    load.write(dice.choice(("1", "2", "10", "11")), Intent(action, kind, now, value, source="test"))
    load.write(room_id, CommandResult("0" * 32, 10_001, ResultStatus.failed, now, None, "nobody asked"))
    load.write(room_id, Reading(10_000, Kind.temperature_c, 20.5, now - timedelta(seconds=dice.uniform(0, 900))))


async def stored(settings: Settings) -> int:
    async with connection(settings.database) as db:
        return int(await db.fetchval(f"SELECT count(*) FROM history.{EVENTS_TABLE.name}"))
