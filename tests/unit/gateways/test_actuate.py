"""One command through a bus that misbehaves: what is noted, how often it is told, how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import pytest
from msgspec.structs import replace

from agents.gateways.actuate import Ended, Reported, actuate
from agents.gateways.decide import Next
from agents.gateways.drivers.base import BusUnavailable, DeviceSilent, NothingSent, Report, Written
from agents.gateways.log import utc_now
from schemas.commands import Effect
from schemas.records import Device, EffectState, Kind, ResultStatus
from tests.unit.gateways.test_decide import BLIND, COMMAND


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here travels for longer than 10 ms."""
    monkeypatch.setattr("agents.gateways.actuate._GRACE_S", 0.2)
    monkeypatch.setattr("agents.gateways.actuate._LOOK_EVERY_S", 0.05)


class Bus:
    """A driver played from lists: each call takes the next answer, the last one stays."""

    health = None

    metrics: ClassVar[dict[str, float]] = {}

    def __init__(
        self,
        reads: Sequence[float | Exception],
        writes: Sequence[Exception | Written | None] = (None,),
        *,
        status: bool = True,
        asleep: bool = False,
    ) -> None:
        self.wakes = asyncio.Event()
        if not asleep:
            self.wakes.set()
        self.reads, self.writes, self.status = list(reads), list(writes), status
        self.told: list[float] = []

    async def reachable(self, device: Device) -> None:
        await self.wakes.wait()

    async def write(self, device: Device, kind: Kind, target_pct: float) -> Written:
        self.told.append(target_pct)
        answer = self.writes.pop(0) if len(self.writes) > 1 else self.writes[0]
        if isinstance(answer, Exception):
            raise answer
        return answer or Written()

    async def read(self, device: Device, kind: Kind) -> float:
        answer = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def travel_s(self, device: Device, from_pct: float | None, to_pct: float) -> float:
        return 0.01

    def confirms(self, device: Device, kind: Kind) -> bool:
        return self.status

    def resend_s(self, device: Device) -> float | None:
        return None

    async def start(self, devices: Sequence[Device]) -> None:
        """Not used here."""

    async def stop(self) -> None:
        """Not used here."""

    async def reports(self) -> Report:
        raise NotImplementedError


class Notes:
    """building.effects in memory."""

    def __init__(self) -> None:
        self.states: list[EffectState] = []

    async def put(self, effect: Effect) -> None:
        self.states.append(effect.state)


async def at_once() -> None:
    """The line is ours."""


async def carried_out(bus: Bus, verdict: Next = Next.begin, ttl_s: float = 60, *, newer: bool = False) -> tuple[Ended, Notes]:
    command = replace(COMMAND, issued_at=utc_now(), expires_at=utc_now() + timedelta(seconds=ttl_s))
    notes, waits = Notes(), asyncio.Event()
    if newer:
        waits.set()
    ended = await actuate(command, BLIND, verdict, driver=bus, effects=notes, reported=Reported(), newer=waits, as_owner=at_once)  # type: ignore[arg-type]
    return ended, notes


async def test_a_command_is_noted_told_once_and_confirmed() -> None:
    bus = Bus(reads=[99.6])
    ended, notes = await carried_out(bus)
    assert (ended.status, ended.reported_pct, bus.told) == (ResultStatus.done, 99.6, [100])
    assert notes.states == [EffectState.started, EffectState.done]


async def test_after_a_crash_a_device_that_is_there_is_not_told_again() -> None:
    bus = Bus(reads=[100.0])
    ended, notes = await carried_out(bus, Next.look)
    assert (ended.status, bus.told, notes.states) == (ResultStatus.done, [], [EffectState.done])


async def test_after_a_crash_a_device_that_differs_is_told_once_more() -> None:
    bus = Bus(reads=[40.0, 100.0])
    ended, _ = await carried_out(bus, Next.look)
    assert (ended.status, bus.told) == (ResultStatus.done, [100])


async def test_after_a_crash_longer_than_the_commands_life_it_is_not_repeated() -> None:
    bus = Bus(reads=[40.0])
    ended, _ = await carried_out(bus, Next.look, ttl_s=-1)
    assert (ended.status, bus.told) == (ResultStatus.expired, [])


async def test_a_lost_connection_looks_before_it_repeats() -> None:
    bus = Bus(reads=[100.0], writes=[BusUnavailable("cut off"), None])
    ended, _ = await carried_out(bus)
    assert (ended.status, bus.told) == (ResultStatus.done, [100]), "the telegram had gone out: no second one"


async def test_a_bus_away_until_expiry_ends_without_a_word_to_the_bus_afterwards() -> None:
    bus = Bus(reads=[BusUnavailable("away")], writes=[BusUnavailable("away")])
    ended, notes = await carried_out(bus, ttl_s=0.3)
    assert ended.status is ResultStatus.unverified
    assert "away" in ended.reason
    assert bus.told == [100]
    assert notes.states[-1] is EffectState.done


async def test_a_silent_device_has_failed() -> None:
    ended, _ = await carried_out(Bus(reads=[0.0], writes=[DeviceSilent("nobody")]))
    assert (ended.status, ended.reason) == (ResultStatus.failed, "nobody")


async def test_a_device_stuck_short_of_its_target_is_told_once_more_and_has_failed_with_what_it_reads() -> None:
    bus = Bus(reads=[62.0])
    ended, notes = await carried_out(bus)
    assert (ended.status, ended.reported_pct, bus.told) == (ResultStatus.failed, 62.0, [100, 100])
    assert ended.reason == "asked for 100 %, reads 62 %"
    assert notes.states == [EffectState.started, EffectState.done]


async def test_a_telegram_lost_without_a_sign_is_noticed_by_the_read_back() -> None:
    bus = Bus(reads=[0.0] * 6 + [100.0])
    ended, _ = await carried_out(bus)
    assert (ended.status, bus.told) == (ResultStatus.done, [100, 100])


async def test_a_device_that_never_tells_has_failed_saying_so() -> None:
    bus = Bus(reads=[DeviceSilent("nobody answers on 4/4/5")])
    ended, _ = await carried_out(bus)
    assert (ended.status, ended.reason, bus.told) == (ResultStatus.failed, "not read back: nobody answers on 4/4/5", [100, 100])


async def test_an_echo_is_no_confirmation() -> None:
    bus = Bus(reads=[100.0], status=False)
    ended, _ = await carried_out(bus)
    assert (ended.status, ended.reported_pct, bus.told) == (ResultStatus.unverified, 100.0, [100])
    assert "echo" in ended.reason


async def test_after_a_crash_a_device_without_a_status_object_is_told_once_more() -> None:
    bus = Bus(reads=[DeviceSilent("nobody")], status=False)
    ended, _ = await carried_out(bus, Next.look)
    assert (ended.status, bus.told) == (ResultStatus.unverified, [100])


async def test_a_newer_command_ends_the_wait() -> None:
    bus = Bus(reads=[62.0])
    ended, _ = await carried_out(bus, newer=True)
    assert (ended.status, bus.told) == (ResultStatus.superseded, [])


async def test_a_command_that_never_left_has_expired() -> None:
    bus = Bus(reads=[NothingSent("away")], writes=[NothingSent("away")])
    ended, _ = await carried_out(bus, ttl_s=0.3)
    assert (ended.status, "away" in ended.reason) == (ResultStatus.expired, True)


async def test_a_command_that_never_left_is_begun_without_a_look() -> None:
    bus = Bus(reads=[AssertionError("read")], writes=[NothingSent("away"), Written(confirmed_pct=100.0)])
    ended, _ = await carried_out(bus)
    assert (ended.status, bus.told) == (ResultStatus.done, [100, 100])


async def test_a_command_that_left_before_the_bus_went_away_is_not_verified() -> None:
    bus = Bus(reads=[NothingSent("away")])
    ended, _ = await carried_out(bus, ttl_s=0.3)
    assert (ended.status, bus.told) == (ResultStatus.unverified, [100])


async def test_what_the_device_confirms_in_its_answer_is_not_asked_again() -> None:
    bus = Bus(reads=[AssertionError("read")], writes=[Written(confirmed_pct=100.0)])
    ended, _ = await carried_out(bus)
    assert (ended.status, ended.reported_pct, bus.told) == (ResultStatus.done, 100.0, [100])
    assert ended.confirmed_s is not None


async def test_a_device_that_sleeps_is_told_when_it_wakes_up() -> None:
    bus = Bus(reads=[100.0], asleep=True)
    asyncio.get_running_loop().call_later(0.3, bus.wakes.set)
    ended, notes = await carried_out(bus)
    assert (ended.status, bus.told) == (ResultStatus.done, [100])
    assert notes.states == [EffectState.started, EffectState.done]


async def test_a_device_that_sleeps_on_is_told_nothing_that_has_expired() -> None:
    bus = Bus(reads=[100.0], asleep=True)
    ended, _ = await carried_out(bus, ttl_s=0.2)
    assert (ended.status, bus.told) == (ResultStatus.expired, [])
    assert "did not wake up" in ended.reason


async def test_a_device_that_fell_asleep_over_its_command_may_have_taken_it() -> None:
    bus = Bus(reads=[100.0], writes=[BusUnavailable("fell asleep")])
    asyncio.get_running_loop().call_later(0.01, bus.wakes.clear)
    ended, _ = await carried_out(bus, ttl_s=0.5)
    assert (ended.status, bus.told) == (ResultStatus.unverified, [100])
    assert "did not wake up" in ended.reason


async def test_a_command_dropped_just_when_a_newer_one_comes_is_dropped() -> None:
    """Its line is another process's from then on: nothing more is noted here."""
    bus, waits, notes = Bus(reads=[BusUnavailable("away")]), asyncio.Event(), Notes()
    command = replace(COMMAND, issued_at=utc_now(), expires_at=utc_now() + timedelta(seconds=60))
    acting = asyncio.ensure_future(
        actuate(
            command, BLIND, Next.look, driver=bus, effects=notes, reported=Reported(), newer=waits,  # type: ignore[arg-type]
            as_owner=at_once,
        )
    )  # fmt: skip
    await asyncio.sleep(0.05)
    waits.set()
    acting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acting
    assert notes.states == []


async def test_of_commands_that_wait_for_a_sleeping_device_the_latest_is_told() -> None:
    bus, waits = Bus(reads=[100.0], asleep=True), asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, waits.set)
    command = replace(COMMAND, issued_at=utc_now(), expires_at=utc_now() + timedelta(seconds=60))
    ended = await actuate(
        command,
        BLIND,
        Next.begin,
        driver=bus,
        effects=Notes(),
        reported=Reported(),
        newer=waits,
        as_owner=at_once,  # type: ignore[arg-type]
    )
    assert (ended.status, bus.told) == (ResultStatus.superseded, [])
