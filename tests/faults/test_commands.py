"""Five hundred people's wishes while rooms, gateway and Kafka are killed: each is reached once or reported, none acted on late."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from schemas.commands import Command
from schemas.records import Intent, IntentAction, Kind, ResultStatus
from schemas.rows import Actuator, CommandState
from streams.producer import Producer, SendFailed
from streams.topics import ROOM_EVENTS
from tests.faults.drills.books import Page
from tests.faults.drills.field import Point
from tests.faults.drills.plan import POLICY, Plan, room_id, sensor
from tests.faults.drills.stand import Stand, stand
from tests.processes import home_of_its_own

ROOMS = 250
PLAN = Plan(
    rooms=ROOMS, rate=0, flip_s=0.0,
    policy=POLICY | {"command_ttl_s": 4, "retry_first_s": 2, "retry_longest_s": 6, "retry_attempts": 8},
)  # fmt: skip
"""Commands that expire within the outages, and are told again soon after."""
REST_S = 10.0
"""Longer than the longest pause before a repetition, and than twice a command's life: with nothing for so long all have ended."""
WITHIN = timedelta(seconds=1)
"""From the gateway's last look at the clock to the telegram: a loaded machine takes its time."""


def test_each_of_500_commands_is_reached_once_or_reported_and_none_is_acted_on_late() -> None:
    seed = int(os.environ.get("ATRIUM_TEST_SEED") or random.randrange(1_000_000))
    print(f"the same moments again: ATRIUM_TEST_SEED={seed}")
    with home_of_its_own("commands") as home:
        asyncio.run(_lived(home, random.Random(seed)))


async def _lived(home: Path, chance: random.Random) -> None:
    async with contextlib.AsyncExitStack() as leave:
        built = await leave.enter_async_context(stand(PLAN, home))
        wishes = _wishes(chance)
        producer = Producer(built.settings)
        leave.push_async_callback(producer.close)
        killing = asyncio.create_task(_kill(built, chance))
        for number, (room, wish) in enumerate(wishes):
            await _told(producer, built, room, wish)
            if number % 5 == 4:
                await asyncio.sleep(0.2)
        await killing
        await built.ready()
        page = await built.settle(REST_S)
        rows = {a.device_id: a for room in built.books.live_rooms.values() for a in room.actuators}
        _judge(page, rows, built.field.points, {wish.device_id: wish.value_pct for _, wish in wishes})


def _wishes(chance: random.Random) -> list[tuple[str, Intent]]:
    """One for each of the 500 actuators, none of which stands there already."""
    now = datetime.fromisoformat("2026-03-02T12:00:00+00:00")  # a wish's own time decides nothing
    wishes = [
        (room_id(number), Intent(IntentAction.set, kind, now, float(chance.randint(1, 99)), sensor(number) + place, source="test"))
        for number in range(ROOMS)
        for place, kind in ((1, Kind.valve_pct), (2, Kind.closed_pct))
    ]
    chance.shuffle(wishes)
    return wishes


async def _told(producer: Producer, built: Stand, room: str, wish: Intent) -> None:
    """Ask until Kafka has it: twice the same wish is one."""
    while True:
        with contextlib.suppress(SendFailed):
            await producer.send(ROOM_EVENTS.name, room, built.codecs.encode(wish))
            return


async def _kill(built: Stand, chance: random.Random) -> None:
    """kill -9 of each of the three and of one of them again, at random moments and in random order."""
    victims = ["rooms", "knx", "kafka"]
    victims.append(chance.choice(victims))
    chance.shuffle(victims)
    for victim in victims:
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        if victim == "kafka":
            await asyncio.to_thread(built.services.broker.kill)
            await asyncio.to_thread(built.services.broker.start)
        else:
            await built.kill(victim)


def _judge(page: Page, rows: dict[int, Actuator], points: dict[int, Point], wished: dict[int, float | None]) -> None:
    assert len(wished) == len(points) == 500
    by_device: dict[int, list[Command]] = {device_id: [] for device_id in points}
    for told in page.topic_commands.values():
        by_device[told[0].device_id].append(told[0])
    ends: Counter[str] = Counter(result.status.value for told in page.results.values() for _, result in told)
    print(f"{len(page.topic_commands)} commands: {dict(ends)}")
    assert not page.fold_commands.keys() ^ page.topic_commands.keys(), "the log's commands and no others"
    assert not page.topic_commands.keys() - page.results.keys(), "each command is answered"
    wrong = [
        fault
        for device_id, target in wished.items()
        for fault in _faults(rows[device_id], points[device_id], by_device[device_id], target)
    ]
    assert not wrong, "\n".join(wrong)
    assert ends[ResultStatus.expired] > 0, "nothing had expired: nothing was proved of lateness"
    assert sum(points[device_id].value == target for device_id, target in wished.items()) > 400


def _faults(row: Actuator, point: Point, commands: list[Command], target: float | None) -> list[str]:
    """What an actuator's promises were broken by."""
    device, faults = f"device {point.device_id}", []
    moves = [value for before, value in zip([0.0, *point.heard], point.heard, strict=False) if value != before]
    reached = moves == [target] and row.reported_pct == target and not row.fault and row.recent[0].state is CommandState.done
    reported = not moves and bool(row.fault) and row.recent[0].state in (CommandState.failed, CommandState.expired)
    if not (reached or reported) or row.retry_at is not None or row.pending_command_id is not None:
        faults.append(f"{device} was to go to {target}: moved {moves}, {row}")
    for value, at in zip(point.heard, point.heard_at, strict=True):
        heard_at = datetime.fromtimestamp(at).astimezone()
        if not any(c.target_pct == value and c.issued_at <= heard_at <= c.expires_at + WITHIN for c in commands):
            faults.append(f"{device} was told {value} at {heard_at}, when no command for it was alive")
    return faults
