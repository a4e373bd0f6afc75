"""The pieces of the KNX driver: how often is read, what is held back, what is told again; and a line that is not to be had."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from agents.gateways.actuate import Ended
from agents.gateways.drivers.base import BusUnavailable, DeviceSilent, Hand, Report
from agents.gateways.drivers.knx import KnxDriver
from agents.gateways.drivers.knx_reads import Reads, refusal
from agents.gateways.drivers.knx_reports import HOLD_S, Reports
from agents.gateways.drivers.outbox import Outbox
from agents.gateways.metrics import Metrics
from agents.gateways.resend import Resend
from infra import multicast
from schemas.commands import Effect
from schemas.records import Device, EffectState, Kind, Position, ResultStatus
from streams.knx_lines import Connection, KnxLine
from tests.unit.gateways.test_knx_mapping import BLIND, VALVE

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_reads_may_take_their_share_of_the_line_and_no_more() -> None:
    line = KnxLine(gateway="x")
    assert refusal("a", line, 900) is None, "900 objects each 5 min are 6 telegrams/s of 20"
    assert "set read-every-s to 300 or more" in (refusal("a", replace(line, read_every_s=60), 900) or "")
    assert refusal("a", replace(line, read_every_s=5), 15) is None


class FakeLine:
    """Answers for the addresses in `alive`; notes who was asked."""

    def __init__(self, alive: set[str], every_s: float = 300) -> None:
        self.name, self.config, self.alive = "a", KnxLine(gateway="x", read_every_s=every_s, rate_limit=50), alive
        self.asked: list[str] = []

    async def read(self, address: str, urgency: object = None) -> int:
        self.asked.append(address)
        await asyncio.sleep(0)
        if address not in self.alive:
            raise DeviceSilent(address)
        return 0


def unwatched(task: asyncio.Task[None]) -> None:
    """Nobody is told when it ends."""


async def turns(number: int = 30) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_everything_is_read_once_and_again_when_the_connection_is_new() -> None:
    line = FakeLine({"1/1/1", "1/1/2"})
    reads = Reads(line, lambda _: 1000.0, unwatched)  # type: ignore[arg-type]
    reads.serve(["1/1/1", "1/1/2", "1/1/1"])
    await turns()
    assert line.asked == ["1/1/1", "1/1/2"]
    reads.anew()
    await turns()
    assert line.asked == ["1/1/1", "1/1/2"] * 2
    await reads.stop()


async def test_periodic_reads_leave_out_what_tells_by_itself() -> None:
    line = FakeLine({"1/1/1", "1/1/2"}, every_s=0.2)
    line.config = replace(line.config, rate_limit=50.0, read_every_s=0.4)
    reads = Reads(line, lambda address: 0.0 if address == "1/1/1" else 1000.0, unwatched)  # type: ignore[arg-type]
    reads.serve(["1/1/1", "1/1/2"])
    async with asyncio.timeout(5):
        while line.asked.count("1/1/2") < 3:  # noqa: ASYNC110 - the reads tell nobody
            await asyncio.sleep(0.01)
    assert line.asked.count("1/1/1") == 1
    await reads.stop()


async def test_one_silent_device_is_its_own_fault_and_all_of_them_are_the_lines() -> None:
    line = FakeLine({"1/1/2"})
    reads = Reads(line, lambda _: 1000.0, unwatched)  # type: ignore[arg-type]
    reads.serve(["1/1/1", "1/1/2"])
    assert await reads.anybody("1/1/1")
    line.alive = set()
    assert not await reads.anybody("1/1/1")
    assert reads.silent
    reads.heard()
    assert not reads.silent
    await reads.stop()


async def test_a_flood_is_told_at_its_newest_and_not_more_often_than_it_may_be() -> None:
    outbox = Outbox()
    reports = Reports(outbox)
    for value in range(50):
        reports.put(Report(1, Kind.closed_pct, float(value), NOW))
    reports.put(Report(2, Kind.closed_pct, 7.0, NOW))
    reports.put(Hand(1, Kind.closed_pct, 100, NOW, "push button 1.1.1"))
    assert [(await outbox.get()).device_id for _ in range(3)] == [1, 2, 1]
    async with asyncio.timeout(HOLD_S * 5):
        last = await outbox.get()
    assert isinstance(last, Report)
    assert (last.value, reports.held_back) == (49.0, 48)


class Valves:
    """A driver that only resends; `told` is what it wrote."""

    def __init__(self) -> None:
        self.told: list[tuple[int, float]] = []

    def resend_s(self, device: Device) -> float | None:
        return 0.03 if device is VALVE else None

    async def write(self, device: Device, kind: Kind, target_pct: float) -> None:
        self.told.append((device.device_id, target_pct))


@pytest.mark.parametrize(
    ("state", "status", "busy", "told"),
    [
        (EffectState.done, ResultStatus.done, False, True),
        (EffectState.done, ResultStatus.unverified, False, True),
        (EffectState.done, ResultStatus.failed, False, True),
        (EffectState.done, ResultStatus.expired, False, False),
        (EffectState.started, ResultStatus.unknown, False, False),
        (EffectState.done, ResultStatus.done, True, False),
    ],
)
async def test_a_valve_hears_its_last_target_again(state: EffectState, status: ResultStatus, *, busy: bool, told: bool) -> None:
    valves = Valves()
    effect = Effect("c", VALVE.device_id, state, Kind.valve_pct, 63.0, Position("log", 0, 1), NOW, status)

    async def at_once() -> None:
        """The line is ours."""

    resend = Resend(valves, lambda _: busy, at_once, 0.005)  # type: ignore[arg-type]
    running = asyncio.create_task(resend.run(lambda: [VALVE, BLIND], lambda _: effect))
    await asyncio.sleep(0.15)  # several intervals: what must not be told has had its time
    running.cancel()
    assert bool(valves.told) is told
    assert set(valves.told) <= {(VALVE.device_id, 63.0)}


def test_the_default_is_every_ten_minutes_for_valves_alone() -> None:
    driver = KnxDriver({"knx-1": KnxLine(gateway="x")})
    assert (driver.resend_s(VALVE), driver.resend_s(BLIND)) == (600, None)


def test_unconfirmed_and_latencies_are_counted() -> None:
    metrics = Metrics()
    for confirmed_s in (1.0, 2.0, 9.0):
        metrics.count(Ended(ResultStatus.done, 1, confirmed_s=confirmed_s))
    metrics.count(Ended(ResultStatus.failed))
    metrics.count(Ended(ResultStatus.expired))
    assert metrics.told(4) == {
        "commands_waiting": 4, "confirmed": 3, "unconfirmed": 1, "confirm_median_s": 2.0, "confirm_longest_s": 9.0,
    }  # fmt: skip


async def test_a_device_on_a_line_that_is_not_named_is_told_and_the_others_go_on() -> None:
    driver = KnxDriver({"knx-2": KnxLine(gateway="x")})
    await driver.start([VALVE])
    assert driver.health == "KNX line knx-1 is not in ATRIUM_KNX_LINES: there are knx-2"
    await driver.stop()


async def test_a_keyring_that_is_not_there_is_told(tmp_path: Path) -> None:
    line = KnxLine(connection=Connection.secure_tunnelling, gateway="127.0.0.1", keyring=str(tmp_path / "none.knxkeys"))
    driver = KnxDriver({"knx-1": line}, "secret")
    with pytest.raises(BusUnavailable, match=r"secure-tunnelling 127\.0\.0\.1:3671 cannot be reached"):
        await driver.start([VALVE])
    await driver.stop()


def test_without_multicast_on_loopback_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multicast, "GROUP", "10.1.2.3")  # no group: joining it fails as it does where there is no multicast
    assert (multicast.why_no_multicast(3673) or "").startswith("10.1.2.3:3673: ")
