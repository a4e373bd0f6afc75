"""The driver of a Z-Wave network on a network that a test plays: turns, silence, sleep, gaps, and what is told of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from agents.gateways.drivers import outbox, zwave, zwave_breaker, zwave_peers, zwave_polls
from agents.gateways.drivers.base import BusUnavailable, DeviceSilent, NothingSent, Report
from agents.gateways.drivers.zwave import LOOK_S, SET_TRIES, ZwaveDriver
from agents.gateways.drivers.zwave_breaker import FAILURES, FIRST_PROBE_S
from agents.gateways.drivers.zwave_network import NodeNotYet, Set
from agents.gateways.log import utc_now
from agents.gateways.zwave_mapping import NotOnZwave, Status, Value
from agents.rules.plausibility import refusal
from infra.building_plan import ZWAVE_LINE
from schemas.records import Device, Kind, Reading
from tests.unit.gateways.zwave_played import (
    BATTERY,
    LEVEL,
    TEMPERATURE,
    Played,
    battery,
    device,
    dimmer,
    level,
    node,
    temperature,
)  # fmt: skip

POLL_S = 300.0
pytestmark = pytest.mark.timeout(20)


class Clock:
    """`time` as the modules under test see it: it stands still until it is told."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def monotonic(self) -> float:
        return self.now_s

    def pass_s(self, span_s: float) -> None:
        self.now_s += span_s


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Pauses of a millisecond, and a clock of the test's own."""
    made = Clock()
    for module in (zwave, zwave_peers, zwave_polls):
        monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(zwave_polls, "_LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(zwave_peers, "PAUSE_S", 0.001)
    monkeypatch.setattr(zwave_peers, "LATE_S", 0.005)
    monkeypatch.setattr(zwave, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(zwave, "_LONGEST_PAUSE_S", 0.004)
    return made


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(2):
        while not condition():  # noqa: ASYNC110 - the driver tells nobody
            await asyncio.sleep(0.0005)


async def a_while() -> None:
    """Long enough for the driver to look for something to do several times, on a busy machine too."""
    for _ in range(20):
        await asyncio.sleep(0.0005)


@asynccontextmanager
async def running(network: Played, *devices: Device, **more: Any) -> AsyncIterator[ZwaveDriver]:
    """The driver, once it has asked for everything there is to ask for."""
    driver = ZwaveDriver(network, ZWAVE_LINE, **{"poll_s": POLL_S, **more})
    await driver.start(devices)
    try:
        await a_while()
        yield driver
    finally:
        await driver.stop()


async def told(driver: ZwaveDriver) -> list[tuple[int, Kind, float]]:
    """What has been reported and not been fetched yet."""
    await a_while()
    said: list[tuple[int, Kind, float]] = []
    while True:
        try:
            async with asyncio.timeout(0.002):
                report = await driver.reports()
        except TimeoutError:
            return said
        assert isinstance(report, Report)
        said.append((report.device_id, report.kind, report.value))


async def fails(error: type[Exception], words: str, call: Awaitable[object]) -> None:
    with pytest.raises(error, match=words):
        await call


# Levels


async def test_a_level_confirmed_by_supervision_is_not_asked_for() -> None:
    network = Played(node(3, level(3)))
    async with running(network, dimmer(3)) as driver:
        network.answers[3], asked = [Set.confirmed], network.count(f"get {LEVEL}", 3)
        written = await driver.write(dimmer(3), Kind.level_pct, 100.0)
        assert (written.confirmed_pct, written.look_after_s) == (100.0, None)
        assert network.sets == [(3, 0, 99, None)], "100 % is 99 on the wire"
        assert network.count(f"get {LEVEL}", 3) == asked


@pytest.mark.parametrize("outcome", [Set.sent, Set.working])
@pytest.mark.parametrize(("transition_s", "look_s"), [(None, LOOK_S), (2.0, LOOK_S + 2.0)])
async def test_a_level_that_only_went_out_is_looked_at_once_it_may_be_there(
    outcome: Set, transition_s: float | None, look_s: float
) -> None:
    network = Played(node(3, level(3)))
    async with running(network, dimmer(3), transition_s=transition_s) as driver:
        network.answers[3] = [outcome]
        written = await driver.write(dimmer(3), Kind.level_pct, 40.0)
        assert (written.confirmed_pct, written.look_after_s) == (None, look_s)
        assert network.sets == [(3, 0, 40, transition_s)]


async def test_a_level_the_node_refuses_is_said_to_be() -> None:
    network = Played(node(3, level(3)))
    async with running(network, dimmer(3)) as driver:
        network.answers[3] = [Set.refused]
        await fails(NotOnZwave, "refuses the level at endpoint 0: it cannot", driver.write(dimmer(3), Kind.level_pct, 40.0))


async def test_a_set_nobody_acknowledges_is_tried_again_and_others_have_their_turn_in_between() -> None:
    network = Played(node(3, level(3)), node(4, level(4)))
    async with running(network, dimmer(3), dimmer(4)) as driver:
        network.silent = {3}
        silent = asyncio.ensure_future(driver.write(dimmer(3), Kind.level_pct, 40.0))
        await until(lambda: network.count("set", 3) == 1)
        await driver.write(dimmer(4), Kind.level_pct, 50.0)
        await fails(DeviceSilent, "does not acknowledge", silent)
        assert [each[0] for each in network.sets] == [3, 4, *[3] * (SET_TRIES - 1)]


async def test_a_set_acknowledged_at_the_second_try_is_well() -> None:
    network = Played(node(3, level(3)))
    async with running(network, dimmer(3)) as driver:
        network.answers[3] = [DeviceSilent("lost"), Set.sent]
        await driver.write(dimmer(3), Kind.level_pct, 40.0)
        assert driver.health is None


async def test_calls_to_one_node_are_made_one_at_a_time() -> None:
    network, gate = Played(node(3, level(3))), asyncio.Event()
    async with running(network, dimmer(3)) as driver:
        network.asked.clear()

        async def slow() -> Set:
            await gate.wait()
            return Set.sent

        network.answers[3] = [slow, level(3, 40)]
        writing = asyncio.ensure_future(driver.write(dimmer(3), Kind.level_pct, 40.0))
        reading = asyncio.ensure_future(driver.read(dimmer(3), Kind.level_pct))
        await a_while()
        assert network.asked == [("set", 3)]
        gate.set()
        await writing
        assert await reading == 40.0


async def test_what_is_no_level_of_a_dimmer_is_not_sent() -> None:
    network = Played(node(3, level(3)), node(2, temperature(2)))
    async with running(network, dimmer(3), device(2)) as driver:
        await fails(NotOnZwave, "takes no", driver.write(device(2), Kind.level_pct, 40.0))
        await fails(NotOnZwave, "takes no", driver.write(dimmer(3), Kind.valve_pct, 40.0))
        await fails(NotOnZwave, "takes no level at endpoint 5", driver.write(dimmer(3, zwave_endpoint=5), Kind.level_pct, 40.0))
        await fails(NotOnZwave, "not in this network", driver.write(dimmer(3, line_id="zwave-2"), Kind.level_pct, 40.0))
        await fails(NotOnZwave, "has no co2_ppm", driver.read(device(2), Kind.co2_ppm))
        assert network.sets == []


async def test_two_devices_of_one_node_have_their_own_readings_and_levels() -> None:
    network = Played(node(5, level(5, 10, endpoint=1), level(5, 20, endpoint=2)))
    left, right = dimmer(5, device_id=51, zwave_endpoint=1), dimmer(5, device_id=52, zwave_endpoint=2)
    async with running(network, left, right) as driver:
        assert sorted(await told(driver)) == [(51, Kind.level_pct, 10.0), (52, Kind.level_pct, 20.0)]
        network.tell(level(5, 30, endpoint=2))
        assert await told(driver) == [(52, Kind.level_pct, 30.0)]
        await driver.write(right, Kind.level_pct, 70.0)
        assert network.sets == [(5, 2, 70, None)]
        assert [await driver.read(each, Kind.level_pct) for each in (left, right)] == [10.0, 20.0]


# Silence


async def silenced(driver: ZwaveDriver, network: Played, node_id: int) -> None:
    """A node stops to answer, and has been found out."""
    network.silent.add(node_id)
    for _ in range(FAILURES):
        await fails(DeviceSilent, "does not acknowledge", driver.read(device(node_id), Kind.temperature_c))


async def test_a_node_that_does_not_answer_is_refused_at_once_without_the_radio_and_health_says_so() -> None:
    network = Played(node(2, temperature(2)), node(3, temperature(3)))
    async with running(network, device(2), device(3)) as driver:
        await silenced(driver, network, 2)
        asked = list(network.asked)
        for _ in range(5):
            await fails(DeviceSilent, "tried again in 5 s", driver.read(device(2), Kind.temperature_c))
        assert network.asked == asked
        assert driver.health == "Z-Wave node 2 (device 2, it) does not answer"
        assert driver.metrics["nodes_silent"] == 1
        assert await driver.read(device(3), Kind.temperature_c) == 21.5


async def test_a_silent_node_is_pinged_at_growing_intervals_and_asked_anew_when_it_answers(clock: Clock) -> None:
    network = Played(node(2, temperature(2), battery(2)))
    async with running(network, device(2)) as driver:
        await silenced(driver, network, 2)
        for pings, pause_s in enumerate((FIRST_PROBE_S, 2 * FIRST_PROBE_S, 4 * FIRST_PROBE_S), 1):
            clock.pass_s(pause_s - 0.5)
            await a_while()
            assert network.count("ping", 2) == pings - 1, "too early"
            clock.pass_s(0.5)
            await until(lambda pings=pings: network.count("ping", 2) == pings)  # type: ignore[misc]
        network.silent.clear()
        network.asked.clear()
        clock.pass_s(8 * FIRST_PROBE_S)
        await until(lambda: len(network.asked) == 3)
        assert network.asked == [("ping", 2), (f"get {TEMPERATURE}", 2), (f"get {BATTERY}", 2)]
        assert driver.health is None


@pytest.mark.parametrize(
    "sign",
    [
        lambda network: network.tell(temperature(2)),
        lambda network: network.change(2, status=Status.alive),
        lambda network: network.change(2, status=Status.awake),
    ],
    ids=["it tells a value", "its network says it lives", "it woke up"],
)
async def test_any_sign_of_life_ends_the_silence_and_its_values_are_asked_anew(sign: Callable[[Played], None]) -> None:
    network = Played(node(2, temperature(2), battery(2)))
    async with running(network, device(2)) as driver:
        await silenced(driver, network, 2)
        await a_while()
        network.silent.clear()
        network.asked.clear()
        sign(network)
        await until(lambda: network.count(f"get {BATTERY}", 2) == 1)
        assert driver.health is None
        assert network.count("ping", 2) == 0


async def test_a_short_silence_is_noticed_though_the_driver_was_busy_elsewhere() -> None:
    network, gate = Played(node(2, temperature(2)), node(3, temperature(3))), asyncio.Event()
    async with running(network, device(2), device(3), poll_s=POLL_S) as driver:

        async def slow() -> Value:
            await gate.wait()
            return temperature(3)

        network.answers[3] = [slow]
        driver._polls.forget(3)  # the poll of node 3 is under way while node 2 goes and comes
        await until(lambda: network.count(f"get {TEMPERATURE}", 3) == 2)
        await silenced(driver, network, 2)
        network.silent.clear()
        network.tell(temperature(2))
        await a_while()
        network.asked.clear()
        gate.set()
        await until(lambda: network.count(f"get {TEMPERATURE}", 2) == 1)


async def test_a_node_its_network_calls_dead_is_left_alone_at_once(clock: Clock) -> None:
    network = Played(node(2, temperature(2)))
    async with running(network, device(2)) as driver:
        network.change(2, status=Status.dead)
        await a_while()
        asked = list(network.asked)
        await fails(DeviceSilent, "tried again in 5 s", driver.read(device(2), Kind.temperature_c))
        assert network.asked == asked
        clock.pass_s(FIRST_PROBE_S)
        await until(lambda: network.count("ping", 2) == 1)
        assert driver.health is None


async def test_a_node_that_is_dead_before_it_is_known_fails_at_once(clock: Clock) -> None:
    network = Played(node(3, level(3), status=Status.dead, ready=False))
    async with running(network, dimmer(3)) as driver:
        await fails(DeviceSilent, "does not answer: it is tried again in 5 s", driver.write(dimmer(3), Kind.level_pct, 40.0))
        assert network.sets == []
        clock.pass_s(FIRST_PROBE_S)
        await until(lambda: network.count("ping", 3) == 1)
        await fails(NothingSent, "its interview has not begun", driver.write(dimmer(3), Kind.level_pct, 40.0))


async def test_a_node_called_dead_in_mid_call_is_left_alone_when_the_call_has_failed() -> None:
    network = Played(node(2, temperature(2)))
    async with running(network, device(2)) as driver:

        async def dies() -> Value:
            network.change(2, status=Status.dead)
            await a_while()
            raise DeviceSilent("node 2 does not acknowledge")

        network.answers[2] = [dies]
        await fails(DeviceSilent, "does not acknowledge", driver.read(device(2), Kind.temperature_c))
        assert driver.health == "Z-Wave node 2 (device 2, it) does not answer"


async def test_a_node_that_died_and_was_removed_is_not_pinged(clock: Clock) -> None:
    network = Played(node(2, temperature(2)), node(3, temperature(3)))
    async with running(network, device(2), device(3)) as driver:
        await silenced(driver, network, 2)
        network.remove(2)
        await a_while()
        clock.pass_s(10 * POLL_S)
        network.asked.clear()
        await until(lambda: network.count(f"get {TEMPERATURE}", 3) == 1)
        assert network.count("ping", 2) == 0
        assert driver.health == "there is no node 2 (device 2, it) in the Z-Wave network"


@pytest.mark.parametrize("error", [DeviceSilent("dropped"), BusUnavailable("no answer within 20 s")])
async def test_a_ping_that_fails_is_no_answer_and_holds_up_nobody(clock: Clock, error: Exception) -> None:
    network = Played(node(2, temperature(2)), node(3, temperature(3)))
    async with running(network, device(2), device(3)) as driver:
        await silenced(driver, network, 2)
        network.silent.clear()
        network.answers[2] = [error]
        clock.pass_s(POLL_S + 1)
        network.asked.clear()
        await until(lambda: network.count(f"get {TEMPERATURE}", 3) == 1)
        await a_while()
        assert network.count("ping", 2) == 1


async def test_a_ping_is_saved_where_the_call_before_it_was_answered(clock: Clock) -> None:
    network, gate = Played(node(3, level(3))), asyncio.Event()
    async with running(network, dimmer(3)) as driver:

        async def slow() -> Set:
            await gate.wait()
            return Set.sent

        network.answers[3] = [DeviceSilent("lost"), DeviceSilent("lost"), slow, Set.sent]
        writing = asyncio.ensure_future(driver.write(dimmer(3), Kind.level_pct, 40.0))
        await until(lambda: network.count("set", 3) == 3)
        clock.pass_s(FIRST_PROBE_S)
        await a_while()
        gate.set()
        await writing
        await a_while()
        assert network.count("ping", 3) == 0


async def test_the_late_answer_of_a_slow_node_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Played(node(2, temperature(2)))
    async with running(network, device(2)) as driver:
        monkeypatch.setattr(zwave_peers, "LATE_S", 1.0)
        network.silent = {2}
        reading = asyncio.ensure_future(driver.read(device(2), Kind.temperature_c))
        await a_while()
        network.tell(battery(2))
        network.tell(temperature(2, 23.0))
        assert await reading == 23.0
        assert driver.health is None


async def test_what_was_told_before_the_question_is_no_late_answer() -> None:
    network, gate = Played(node(3, level(3))), asyncio.Event()
    async with running(network, dimmer(3)) as driver:

        async def slow() -> Set:
            await gate.wait()
            return Set.sent

        network.answers[3] = [slow, DeviceSilent("no answer")]
        writing = asyncio.ensure_future(driver.write(dimmer(3), Kind.level_pct, 40.0))
        reading = asyncio.ensure_future(driver.read(dimmer(3), Kind.level_pct))
        await a_while()
        network.tell(level(3, 7))
        await a_while()
        gate.set()
        await writing
        await fails(DeviceSilent, "no answer", reading)


# Sleep


def sleeper(status: Status = Status.asleep) -> Played:
    return Played(node(2, temperature(2), listening=False, status=status))


async def test_a_node_that_sleeps_is_told_when_it_wakes_up_and_not_asked_before() -> None:
    network = sleeper()
    async with running(network, device(2)) as driver:
        assert driver.metrics["nodes_asleep"] == 1
        assert network.asked == []
        await fails(BusUnavailable, "sleeps", driver.read(device(2), Kind.temperature_c))
        waiting = asyncio.ensure_future(driver.reachable(device(2)))
        await a_while()
        assert not waiting.done()
        network.change(2, status=Status.awake)
        await waiting
        assert await driver.read(device(2), Kind.temperature_c) == 21.5


async def test_who_waits_for_a_sleeping_node_is_told_though_the_connection_was_lost_meanwhile() -> None:
    network = sleeper()
    async with running(network, device(2)) as driver:
        waiting = asyncio.ensure_future(driver.reachable(device(2)))
        await a_while()
        network.lose("server gone")
        network.away = None
        await until(lambda: network.opened == 2)
        await a_while()
        network.change(2, status=Status.awake)
        await asyncio.wait_for(waiting, 1)


@pytest.mark.parametrize("others", [Status.alive, Status.awake])
async def test_everybody_else_is_reachable_at_once(others: Status) -> None:
    network = Played(node(2, temperature(2), status=others))
    async with running(network, device(2)) as driver:
        for each in (device(2), device(77), device(None)):
            await asyncio.wait_for(driver.reachable(each), 0.1)


async def test_a_node_that_woke_up_is_asked_before_all_others() -> None:
    network = Played(
        *(node(each, temperature(each)) for each in range(10, 20)),
        node(2, temperature(2), battery(2), listening=False, status=Status.awake),
    )
    async with running(network, *(device(each) for each in network.nodes)):
        assert network.asked[:2] == [(f"get {TEMPERATURE}", 2), (f"get {BATTERY}", 2)]
        assert len(network.asked) == 12


async def test_a_node_that_falls_asleep_over_a_call_is_no_trouble_of_the_network() -> None:
    network = sleeper(Status.awake)
    async with running(network, device(2)) as driver:
        network.answers[2] = [NodeNotYet("node 2 fell asleep")]
        await fails(BusUnavailable, "fell asleep", driver.read(device(2), Kind.temperature_c))
        assert driver.health is None


async def test_a_silent_node_that_sleeps_is_not_pinged_and_no_longer_called_silent(clock: Clock) -> None:
    network = sleeper(Status.awake)
    async with running(network, device(2)) as driver:
        await silenced(driver, network, 2)
        network.change(2, status=Status.asleep)
        await a_while()
        clock.pass_s(10 * POLL_S)
        await a_while()
        assert network.count("ping", 2) == 0
        assert driver.health is None


# Readings


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (temperature(2, 21, unit="K"), "unknown_unit"),
        (Value(2, 0, 0x31, "Soil salinity", type=63, unit="mol/m³", number=3), "unknown_kind"),
        (Value(2, 0, 0x62, "currentMode", number=1), "unknown_kind"),
        (temperature(2, None), "no_value"),
        (Value(2, 0, 0x26, LEVEL, number=254), "no_value"),
        (Value(2, 0, 0x71, "Cover status", type=7, number=3), "not_an_event"),
    ],
    ids=lambda case: case if isinstance(case, str) else case.name,
)
async def test_what_says_nothing_is_counted_and_never_reported(value: Value, reason: str) -> None:
    network = Played(node(2))
    async with running(network, device(2)) as driver:
        network.tell(value)
        network.tell(value)
        assert await told(driver) == []
        ignored = {name: count for name, count in driver.metrics.items() if name.startswith("ignored_") and count}
        assert ignored == {f"ignored_{reason}": 2}
        assert driver.metrics["readings"] == 0


@pytest.mark.parametrize(("number", "reason"), [(math.nan, "not_finite"), (-math.inf, "not_finite"), (3276.7, "out_of_range")])
async def test_the_impossible_is_reported_as_it_is_and_the_room_sets_it_aside(number: float, reason: str) -> None:
    network = Played(node(2))
    async with running(network, device(2)) as driver:
        network.tell(temperature(2, number))
        ((_, kind, value),) = await told(driver)
        refused = refusal(Reading(2, kind, value, utc_now()), utc_now())
        assert refused is not None
        assert refused.reason == reason


@pytest.mark.parametrize(
    ("value", "kind", "number"),
    [
        (temperature(2, 72.5, unit="°F"), Kind.temperature_c, 22.5),
        (temperature(2, 72.5, unit="F"), Kind.temperature_c, 22.5),
        (temperature(2, 22.5), Kind.temperature_c, 22.5),
        (battery(2, 255), Kind.battery_pct, 0.0),
        (Value(2, 0, 0x71, "Motion sensor status", type=7, number=8), Kind.motion, 1.0),
    ],
)
async def test_a_value_is_reported_in_the_unit_of_its_kind(value: Value, kind: Kind, number: float) -> None:
    network = Played(node(2))
    async with running(network, device(2)) as driver:
        network.tell(value)
        assert await told(driver) == [(2, kind, number)]
        assert driver.metrics["readings"] == 1


async def test_what_nobody_has_a_device_for_is_neither_reported_nor_counted() -> None:
    network = Played(node(2, temperature(2)), node(3, level(3)))
    async with running(network) as driver:
        network.tell(temperature(2))
        network.tell(temperature(3, unit="K"))
        network.tell(temperature(77))
        assert await told(driver) == []
        assert not any(driver.metrics[f"ignored_{reason}"] for reason in ("unknown_unit", "unknown_kind", "no_value"))


async def test_a_level_is_a_dimmers_alone() -> None:
    network = Played(node(3, level(3, 5)))
    async with running(network, device(3), dimmer(3, device_id=30)) as driver:
        assert await told(driver) == [(30, Kind.level_pct, 5.0)]


async def test_of_reports_nobody_fetches_the_oldest_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Played(node(2))
    async with running(network, device(2)) as driver:
        monkeypatch.setattr(outbox, "_MOST", 3)
        for number in range(5):
            network.tell(temperature(2, number))
        assert [value for _, _, value in await told(driver)] == [2, 3, 4]
        assert driver.metrics["reports_dropped"] == 2


# Gaps


async def test_only_what_was_not_told_is_asked_for_and_the_battery_once_a_day(clock: Clock) -> None:
    network = Played(node(2, temperature(2), battery(2)))
    async with running(network, device(2)) as driver:
        assert network.asked == [(f"get {TEMPERATURE}", 2), (f"get {BATTERY}", 2)], "once at the start"
        clock.pass_s(POLL_S - 1)
        network.tell(temperature(2))
        await a_while()
        clock.pass_s(POLL_S - 1)
        await a_while()
        assert len(network.asked) == 2, "it tells by itself"
        clock.pass_s(2)
        await until(lambda: network.count(f"get {TEMPERATURE}", 2) == 2)
        clock.pass_s(86_400 - 2 * POLL_S - 1)
        await until(lambda: network.count(f"get {TEMPERATURE}", 2) == 3)
        await a_while()
        assert network.count(f"get {BATTERY}", 2) == 1
        clock.pass_s(2)
        await until(lambda: network.count(f"get {BATTERY}", 2) == 2)
        assert driver.metrics["polls"] == len(network.asked)


async def test_a_node_that_does_not_answer_one_poll_is_not_asked_the_same_at_once() -> None:
    network = Played(node(2, temperature(2)), node(3, temperature(3)))
    network.answers[2] = [DeviceSilent("lost"), temperature(2)]
    async with running(network, device(2), device(3)):
        await until(lambda: network.count(f"get {TEMPERATURE}", 3))
        await a_while()
        assert network.count(f"get {TEMPERATURE}", 2) == 1
        assert network.count(f"get {TEMPERATURE}", 3) == 1


async def test_what_could_not_be_asked_is_asked_when_it_can_be(clock: Clock) -> None:
    network = Played(node(2, temperature(2), battery(2)), node(3, temperature(3)))
    network.answers = {number: [BusUnavailable("a node is being included")] for number in (2, 3)}
    async with running(network, device(2), device(3)):
        await until(lambda: {("get " + BATTERY, 2), ("get " + TEMPERATURE, 2), ("get " + TEMPERATURE, 3)} <= set(network.asked))
        network.answers = {}
        network.asked.clear()
        clock.pass_s(1)
        await until(lambda: len(network.asked) >= 3)
        await a_while()
        assert sorted(network.asked) == [("get " + TEMPERATURE, 2), ("get " + TEMPERATURE, 3), ("get " + BATTERY, 2)]


async def test_a_change_of_one_device_asks_for_nothing_of_the_others() -> None:
    network = Played(node(2, temperature(2)), node(3, temperature(3)))
    async with running(network, device(2), device(3)) as driver:
        await until(lambda: len(network.asked) == 2)
        network.asked.clear()
        await driver.start([device(2), replace(device(3), room_id="7")])
        await until(lambda: network.asked)
        await a_while()
        assert network.asked == [(f"get {TEMPERATURE}", 3)]


# The connection


async def test_a_lost_connection_is_said_and_mended_and_everything_asked_anew() -> None:
    network = Played(node(2, temperature(2)), node(3, level(3)))
    async with running(network, device(2), dimmer(3)) as driver:
        network.lose("the server is gone")
        await until(lambda: driver.health == "the server is gone")
        assert driver.trouble == "the server is gone"
        await fails(BusUnavailable, "the server is gone", driver.read(device(2), Kind.temperature_c))
        await fails(BusUnavailable, "the server is gone", driver.write(dimmer(3), Kind.level_pct, 1.0))
        await fails(BusUnavailable, "the server is gone", driver.start([device(2), dimmer(3)]))
        await until(lambda: network.opened >= 4)
        network.asked.clear()
        network.away = None
        await until(lambda: driver.health is None)
        await until(lambda: len(network.asked) == 2)
        assert sorted(network.asked) == [(f"get {TEMPERATURE}", 2), (f"get {LEVEL}", 3)]
        assert driver.metrics["reconnects"] == 1


async def test_after_a_reconnection_nobody_is_left_alone_any_more() -> None:
    network = Played(node(2, temperature(2), status=Status.unknown))
    async with running(network, device(2)) as driver:
        await silenced(driver, network, 2)
        network.silent.clear()
        network.lose("stick pulled out")
        network.away = None
        await until(lambda: network.opened == 2)
        await until(lambda: driver.health is None)
        assert await driver.read(device(2), Kind.temperature_c) == 21.5


async def test_a_stick_that_is_gone_behind_its_server_is_said_until_somebody_answers() -> None:
    network = Played(node(2, temperature(2)))
    async with running(network, device(2)) as driver:
        network.away = "serial port gone"
        await fails(BusUnavailable, "serial port gone", driver.read(device(2), Kind.temperature_c))
        assert driver.health == "serial port gone"
        network.away = None
        await driver.read(device(2), Kind.temperature_c)
        assert driver.health is None


async def test_polls_of_a_network_that_is_away_leave_time_to_hear_of_it(clock: Clock) -> None:
    """Its calls fail at once, before anybody has told that the connection is gone: nothing else would ever have its turn."""
    network = Played(node(2, temperature(2)))
    async with running(network, device(2)) as driver:
        await silenced(driver, network, 2)
        network.away = "the server is gone"
        clock.pass_s(FIRST_PROBE_S)
        await a_while()
        network.lose("the server is gone")
        await until(lambda: driver.health == "the server is gone")


async def test_a_start_without_a_network_says_so_and_may_be_tried_again() -> None:
    network = Played(node(2, temperature(2)))
    network.away = "no server"
    driver = ZwaveDriver(network, ZWAVE_LINE)
    await fails(BusUnavailable, "no server", driver.start([device(2)]))
    assert driver.health == "no server"
    network.away = None
    await driver.start([device(2)])
    assert driver.health is None
    await driver.stop()


async def test_after_stop_nothing_goes_on() -> None:
    network = Played(node(2, temperature(2)))
    before = asyncio.all_tasks()
    async with running(network, device(2)) as driver:
        assert len(asyncio.all_tasks() - before) >= 2
    await a_while()
    assert asyncio.all_tasks() == before
    assert network.closed
    assert driver.health == "stopped"
    await fails(BusUnavailable, "stopped", driver.read(device(2), Kind.temperature_c))


async def test_a_stop_just_when_somebody_woke_up_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Played(node(2, temperature(2)))
    monkeypatch.setattr(zwave_polls, "_LOOK_EVERY_S", 60)
    async with running(network, device(2)) as driver:
        driver._polls.look()
        async with asyncio.timeout(1):
            await driver.stop()


@pytest.mark.parametrize("where", ["accepted", "device_kinds"])
async def test_a_bug_in_what_the_driver_does_by_itself_is_raised_where_reports_are_fetched(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Else a gateway would go on without ever hearing anything again."""
    network = Played(node(2, temperature(2)))
    async with running(network, device(2)) as driver:
        await told(driver)

        def bug(*_: object) -> bool:
            raise ZeroDivisionError(where)

        with monkeypatch.context() as patched:
            patched.setattr(f"agents.gateways.drivers.zwave.zwave_mapping.{where}", bug)
            network.tell(temperature(2))
            await until(lambda: driver.trouble)
        assert where in (driver.health or "")
        with pytest.raises(ZeroDivisionError, match=where):
            await told(driver)


# Health


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (device(77), "there is no node 77 (device 77, it) in the Z-Wave network"),
        (dimmer(2), "device 2: node 2 is no dimmer at endpoint 0"),
        (dimmer(3, zwave_endpoint=2), "device 3: node 3 is no dimmer at endpoint 2"),
        (device(4), "device 4: node 4 tells nothing known at endpoint 0"),
        (device(2, line_id="zwave-2"), f"device 2: line zwave-2 is not this network, {ZWAVE_LINE}"),
        (device(None), f"device 99: line {ZWAVE_LINE} is not this network, {ZWAVE_LINE}"),
    ],
)
async def test_health_says_what_is_wrong_with_a_device(wrong: Device, words: str) -> None:
    network = Played(node(2, temperature(2)), node(3, level(3)), node(4))
    async with running(network, wrong) as driver:
        assert driver.health == words


async def test_a_device_of_another_line_is_not_served() -> None:
    network = Played(node(2, temperature(2)))
    async with running(network, device(2, line_id="zwave-2")) as driver:
        network.tell(temperature(2))
        assert await told(driver) == []
        assert network.asked == []


async def test_a_fault_is_gone_when_its_device_is() -> None:
    network = Played(node(2, temperature(2)))
    async with running(network, device(2), device(77)) as driver:
        assert driver.health
        await driver.start([device(2)])
        assert driver.health is None


async def test_a_node_in_its_interview_is_not_asked_and_a_call_says_how_far_it_is() -> None:
    network = Played(node(2, temperature(2), ready=False, stage="NodeInfo"))
    async with running(network, device(2)) as driver:
        assert network.asked == []
        await fails(NothingSent, "its interview is at NodeInfo", driver.read(device(2), Kind.temperature_c))
        network.change(2, ready=True)
        await until(lambda: network.count(f"get {TEMPERATURE}", 2) == 1)


def test_the_breaker_and_the_tries_fit() -> None:
    assert zwave_breaker.FAILURES < SET_TRIES, "a Set alone finds a silent node out"
