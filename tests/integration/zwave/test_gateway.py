"""The gateway role on a real Kafka and a Z-Wave JS server: whatever dies, nothing is lost and no level changes twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from statistics import median

import psutil
import pytest

from agents.gateways.log import utc_now
from schemas.commands import Command
from schemas.records import Bus, Kind, Reading, ResultStatus
from streams.settings import Settings
from tests.integration.gateway_bench import Bench, bench, wait
from tests.integration.zwave.mock import Building, dimmer, kept_building, multisensor, needs_zwave_js
from tests.integration.zwave.pty import Pty, needs_openzwave, serial_port
from tests.processes import home_of_its_own

pytestmark = needs_zwave_js
SUPERVISED, UNSUPERVISED, SLEEPER, HEALTHY = 3, 4, 8, 9
NODES = [
    *(multisensor(node_id, manufacturerId=0xFFFF) for node_id in (2, 5, 6, 7)),
    dimmer(SUPERVISED, supervision=True), dimmer(UNSUPERVISED), dimmer(SLEEPER, sleeping=True), dimmer(HEALTHY, supervision=True),
]  # fmt: skip
DEVICE = {SUPERVISED: (10, "1"), UNSUPERVISED: (11, "2"), SLEEPER: (15, "10"), HEALTHY: (16, "11")}
"""Device and room of each dimmer, as the building is seeded."""


@pytest.fixture(scope="module")
def kept() -> Iterator[Building]:
    """One building for all."""
    with kept_building(NODES) as built:
        yield built


@asynccontextmanager
async def gateway(stack: Settings, kept: Building, *roles: str) -> AsyncIterator[Bench]:
    """A bench whose gateway is connected to the Z-Wave JS server; the sleeper has been awake once, so that it is known."""
    await kept.mock.open()
    try:
        if kept.server.process is None or kept.server.process.poll() is not None:
            await kept.start(kept.server)
        await kept.known()
        await kept.mock.wake(SLEEPER)
        async with bench(stack, *(roles or ("zwave",)), zwave_server_url=kept.url) as b:
            await well(b)
            yield b
    finally:
        await mend(kept)
        await kept.mock.close()


async def mend(kept: Building) -> None:
    """Undo what a test did to stick and nodes, and may not have got to undo itself: the next one has the same building."""
    await kept.mock.plug()
    for node_id in DEVICE:
        await kept.mock.dead(node_id, on=False)
        await kept.mock.slow(node_id, 0)


def command(b: Bench, node_id: int, level_pct: float, ttl_s: float = 120) -> Command:
    device_id, room_id = DEVICE[node_id]
    return b.command(device_id, Kind.level_pct, level_pct, room_id, expires_at=utc_now() + timedelta(seconds=ttl_s))


async def send(b: Bench, node_id: int, level_pct: float, ttl_s: float = 120) -> Command:
    return await b.send(command(b, node_id, level_pct, ttl_s), Bus.zwave)


async def told(b: Bench, words: str) -> None:
    """Health says it."""
    await wait(lambda: any(words in said for said in b.running["zwave"].read_statuses()), f"health tells: {words}")


async def well(b: Bench) -> None:
    await wait(lambda: b.running["zwave"].read_statuses()[-1:] in ([], [""]), "health is well", 60)


async def heard(kept: Building, levels: set[tuple[int, int]]) -> None:
    """Each of these dimmers has taken its level."""
    async with asyncio.timeout(20):
        while not levels <= {(e.get("node"), e.get("level")) for e in kept.mock.events}:  # noqa: ASYNC110  # told by another process
            await asyncio.sleep(0.005)


async def done(b: Bench, sent: Command, within_s: float = 60) -> None:
    result = await b.result(sent, within_s)
    assert (result.status, result.reported_pct) == (ResultStatus.done, sent.target_pct), result


def levels(b: Bench, node_id: int) -> list[float]:
    return [r.value for _, r in b.events.look() if isinstance(r, Reading) and r.device_id == DEVICE[node_id][0]]


async def read_awake(b: Bench, kept: Building) -> None:
    """Wake the sleeper until it was asked."""
    await wake_until(kept, lambda: levels(b, SLEEPER))


async def done_awake(b: Bench, kept: Building, sent: Command) -> None:
    """Wake the sleeper until it has carried this out."""
    await wake_until(kept, lambda: b.results(sent))
    await done(b, sent)


async def wake_until(kept: Building, condition: Callable[[], object]) -> None:
    """Wake the sleeper again and again: zwave-js lets a woken node that it has nothing for sleep again after 250 ms."""
    async with asyncio.timeout(60):
        while not condition():
            await kept.mock.wake(SLEEPER)
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while not condition():  # noqa: ASYNC110
                        await asyncio.sleep(0.05)


async def latencies_ms(b: Bench, count: int, first: int) -> list[float]:
    """From sending a command of the healthy dimmer to its result, one after the other."""
    taken = []
    loop = asyncio.get_running_loop()
    for number in range(count):
        began = loop.time()
        sent = await send(b, HEALTHY, first + number)
        while not await asyncio.to_thread(b.results, sent):
            assert loop.time() < began + 30
        taken.append((loop.time() - began) * 1000)
        assert b.results(sent)[0][1].status is ResultStatus.done
    return taken


def is_delayed(taken: list[float], before: list[float]) -> bool:
    """Whether another node's trouble held commands up: by a second and more, what the stick takes to give a node up.

    Less than half of that may be the machine, busier than it was `before`.
    """
    return median(taken) >= max(2 * median(before) + 50, 500)


def say(which: str, before: list[float], dying: list[float], dead: list[float]) -> None:
    spans = ", ".join(
        f"{when} {median(taken):.0f} ({max(taken):.0f})" for when, taken in (("before", before), ("dying", dying), ("dead", dead))
    )
    print(f"\n{which}: healthy node's commands beside another, median (longest) ms: {spans}")


async def test_a_server_killed_in_mid_command_loses_nothing_and_changes_no_level_twice(stack: Settings, kept: Building) -> None:
    async with gateway(stack, kept) as b:
        before = {node_id: await kept.mock.counts(node_id) for node_id in (SUPERVISED, UNSUPERVISED, HEALTHY)}
        sent = [await send(b, SUPERVISED, 61), await send(b, UNSUPERVISED, 71)]
        await heard(kept, {(SUPERVISED, 61), (UNSUPERVISED, 71)})
        kept.server.kill()
        waiting = await send(b, HEALTHY, 81)
        await told(b, "Z-Wave JS server")
        assert not b.results(waiting)
        await kept.start(kept.server)
        for each in (*sent, waiting):
            await done(b, each)
        for node_id, was in before.items():
            now = await kept.mock.counts(node_id)
            assert now["changes"] == was["changes"] + 1
            assert now["frames"] - was["frames"] in (1, 2), "at most one identical Set more"
        await well(b)


async def test_a_gateway_killed_in_mid_command_changes_no_level_twice(stack: Settings, kept: Building) -> None:
    async with gateway(stack, kept) as b:
        before = {node_id: await kept.mock.counts(node_id) for node_id in (SUPERVISED, UNSUPERVISED)}
        sent = [await send(b, SUPERVISED, 33), await send(b, UNSUPERVISED, 43)]
        await heard(kept, {(SUPERVISED, 33), (UNSUPERVISED, 43)})
        b.running["zwave"].kill()
        b.start("zwave")
        for each in sent:
            await done(b, each)
        for node_id, was in before.items():
            now = await kept.mock.counts(node_id)
            assert (now["changes"], now["frames"]) == (was["changes"] + 1, was["frames"] + 1), "it looked first"


async def test_a_stick_pulled_in_mid_command_and_back_loses_nothing(stack: Settings, kept: Building) -> None:
    async with gateway(stack, kept) as b:
        before = await kept.mock.counts(UNSUPERVISED)
        sent = await send(b, UNSUPERVISED, 27)
        await heard(kept, {(UNSUPERVISED, 27)})
        await kept.mock.unplug()
        waiting, doomed = await send(b, SUPERVISED, 72), await send(b, HEALTHY, 73, ttl_s=3)
        await told(b, "Z-Wave JS server")
        assert (await b.result(doomed)).status in (ResultStatus.expired, ResultStatus.unverified)
        await kept.mock.plug()
        await kept.start(kept.server)  # as its supervisor does when it has ended
        await done(b, sent)
        await done(b, waiting)
        after = await kept.mock.counts(UNSUPERVISED)
        assert after["changes"] == before["changes"] + 1
        assert (await kept.mock.counts(HEALTHY))["level"] != 73, "what had expired was not carried out"
        await well(b)


async def test_a_node_that_dies_in_mid_command_fails_it_leaves_the_others_alone_and_is_told_when_it_is_back(
    stack: Settings, kept: Building
) -> None:
    async with gateway(stack, kept) as b:
        await done(b, await send(b, SUPERVISED, 5))
        changes = (await kept.mock.counts(SUPERVISED))["changes"]
        before = await latencies_ms(b, 20, first=10)
        await kept.mock.dies_after_set(SUPERVISED)
        sent = await send(b, SUPERVISED, 44)
        during = await latencies_ms(b, 40, first=40)
        result = await b.result(sent)
        assert result.status is ResultStatus.failed
        assert f"node {SUPERVISED}" in result.reason
        await told(b, f"node {SUPERVISED}")
        refused = await send(b, SUPERVISED, 45)
        assert "does not answer" in (await b.result(refused, 5)).reason, "at once: it is left alone"
        left_alone = await latencies_ms(b, 20, first=10)
        say("Z-Wave JS", before, during, left_alone)
        assert not is_delayed(during, before)
        assert not is_delayed(left_alone, before)
        await kept.mock.dead(SUPERVISED, on=False)
        await well(b)
        await wait(lambda: levels(b, SUPERVISED)[-1:] == [44], "its level is read once it is back")
        again = await send(b, SUPERVISED, 44)
        await done(b, again)
        assert (await kept.mock.counts(SUPERVISED))["changes"] == changes + 1


async def test_a_slow_node_is_waited_for_and_delays_no_other(stack: Settings, kept: Building) -> None:
    async with gateway(stack, kept) as b:
        before = await latencies_ms(b, 20, first=10)
        await kept.mock.slow(UNSUPERVISED, 3000)
        sent = await send(b, UNSUPERVISED, 52)
        during = await latencies_ms(b, 40, first=40)
        await done(b, sent)
        await kept.mock.slow(UNSUPERVISED, 0)
        print(f"healthy node, median ms: before {median(before):.0f}, beside a slow one {median(during):.0f}, {max(during):.0f}")
        assert not is_delayed(during, before)


async def test_a_sleeping_dimmer_is_told_the_latest_when_it_wakes_up(stack: Settings, kept: Building) -> None:
    async with gateway(stack, kept) as b:
        await read_awake(b, kept)
        async with asyncio.timeout(30):
            while (await kept.mock.counts(SLEEPER))["awake"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        before = await kept.mock.counts(SLEEPER)
        old, new = await send(b, SLEEPER, 80), await send(b, SLEEPER, 20)
        assert (await b.result(old)).status is ResultStatus.superseded
        await done(b, await send(b, HEALTHY, 1), within_s=10)
        assert not b.results(new)
        await done_awake(b, kept, new)
        after = await kept.mock.counts(SLEEPER)
        assert (after["frames"], after["level"]) == (before["frames"] + 1, 20)


async def test_a_set_that_a_dimmer_slept_through_is_not_carried_out_when_it_wakes_up(stack: Settings, kept: Building) -> None:
    async with gateway(stack, kept) as b:
        await read_awake(b, kept)
        await kept.mock.dead(SLEEPER)  # it has fallen asleep again without a word
        before = await kept.mock.counts(SLEEPER)
        old = await send(b, SLEEPER, 77, ttl_s=3)
        assert (await b.result(old)).status in (ResultStatus.unverified, ResultStatus.expired)  # as it was thought awake or not
        await kept.mock.dead(SLEEPER, on=False)
        new = await send(b, SLEEPER, 20)
        await done(b, await send(b, HEALTHY, 2))  # the gateway has got both
        await done_awake(b, kept, new)
        after = await kept.mock.counts(SLEEPER)
        assert after["level"] == 20
        assert after["changes"] - before["changes"] <= 1, f"nobody wants the old level any more: {before}, {after}"


@asynccontextmanager
async def openzwave_gateway(stack: Settings, kept: Building) -> AsyncIterator[tuple[Bench, Pty]]:
    """A bench whose gateway holds the stick itself, through python-openzwave."""
    kept.server.stop()
    await kept.mock.open()
    with home_of_its_own("openzwave") as home:
        try:
            async with serial_port(home / "tty", kept.serial_port) as port:
                path = str(port.path)
                async with bench(stack, "zwave", zwave_driver="openzwave", zwave_serial_port=path, home=home) as b:
                    yield b, port
        finally:
            await mend(kept)
            await kept.mock.close()


def child_of(b: Bench) -> psutil.Process:
    """The process that holds the library."""
    (child,) = psutil.Process(b.running["zwave"].pid).children()
    return child


@needs_openzwave
async def test_an_openzwave_child_killed_in_mid_command_or_a_stick_pulled_loses_nothing_and_changes_no_level_twice(
    stack: Settings, kept: Building
) -> None:
    async with openzwave_gateway(stack, kept) as (b, port):
        for level, kills in ((14, True), (24, False)):
            before = {node_id: await kept.mock.counts(node_id) for node_id in (UNSUPERVISED, HEALTHY)}
            sent = await send(b, UNSUPERVISED, level)
            await heard(kept, {(UNSUPERVISED, level)})
            if kills:
                child_of(b).kill()
                await told(b, "OpenZWave")
            else:
                await port.unplug()
                await told(b, "serial port")
            waiting = await send(b, HEALTHY, level)
            if not kills:
                await asyncio.sleep(2)  # the outage
                await port.plug()
            await done(b, sent)
            await done(b, waiting)
            for node_id, was in before.items():
                now = await kept.mock.counts(node_id)
                assert now["changes"] == was["changes"] + 1
                assert now["frames"] - was["frames"] in (1, 2), "at most one identical Set more"


@needs_openzwave
async def test_a_node_that_dies_in_mid_command_leaves_the_others_of_openzwave_alone(stack: Settings, kept: Building) -> None:
    async with openzwave_gateway(stack, kept) as (b, _):
        await done(b, await send(b, SUPERVISED, 5))
        changes = (await kept.mock.counts(SUPERVISED))["changes"]
        before = await latencies_ms(b, 20, first=10)
        await kept.mock.dies_after_set(SUPERVISED)
        sent = await send(b, SUPERVISED, 44)
        during = await latencies_ms(b, 40, first=40)
        assert (await b.result(sent)).status is ResultStatus.failed
        await told(b, f"node {SUPERVISED}")
        left_alone = await latencies_ms(b, 20, first=10)
        say("OpenZWave", before, during, left_alone)
        assert not is_delayed(during, before)
        assert not is_delayed(left_alone, before)
        await kept.mock.dead(SUPERVISED, on=False)
        await wait(lambda: levels(b, SUPERVISED)[-1:] == [44], "its level is read once it is back")
        await done(b, await send(b, SUPERVISED, 44))
        assert (await kept.mock.counts(SUPERVISED))["changes"] == changes + 1
