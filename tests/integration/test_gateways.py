"""A gateway between the real Kafka and the simulated building."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from agents.gateways.log import utc_now
from schemas.commands import Effect
from schemas.records import Bus, DeadLetter, EffectState, Kind, Reading, ResultStatus
from streams.settings import Settings
from streams.topics import COMMANDS_KNX
from tests.conftest import Services
from tests.integration.gateway_bench import Bench, bench, wait


def effects_of(bench: Bench, command_id: str) -> list[EffectState]:
    return [e.state for _, e in bench.effects.look() if isinstance(e, Effect) and e.command_id == command_id]


ways = pytest.mark.parametrize("routing", [False, True], ids=["in process", "by routing"])


@ways
async def test_a_command_is_carried_out_confirmed_and_answered_in_the_rooms_log(stack: Settings, *, routing: bool) -> None:
    async with bench(stack, "simulator", "knx", "zwave", speed=10, routing=routing) as b:
        valve = await b.send(b.command(2, Kind.valve_pct, 63, room_id="2"))
        lamp = await b.send(b.command(11, Kind.level_pct, 45, room_id="2"), Bus.zwave)
        blind = await b.send(b.command(7, Kind.closed_pct, 70))
        for command in (valve, lamp, blind):
            result = await b.result(command)
            assert result.status is ResultStatus.done, result
            assert result.reported_pct == pytest.approx(command.target_pct, abs=1)
            assert effects_of(b, command.command_id) == [EffectState.started, EffectState.done]
            assert await b.counts(command.device_id) == (1, 1)
        readings = [(key, r) for key, r in b.events.look() if isinstance(r, Reading)]
        assert {kind for _, r in readings for kind in [r.kind]} >= {
            Kind.temperature_c,
            Kind.motion,
            Kind.valve_pct,
            Kind.closed_pct,
        }
        assert all(key == b"10" for key, r in readings if r.device_id == 7)
        way = [r.value for _, r in readings if r.device_id == 7]
        assert way == sorted(way), "the blind reports on its way"
        assert any(0 < value < 70 for value in way)


async def test_an_expired_or_misdirected_command_touches_nothing_and_says_so(stack: Settings) -> None:
    async with bench(stack, "simulator", "knx") as b:
        late = await b.send(b.command(1, Kind.valve_pct, 77, "1", expires_at=utc_now() - timedelta(seconds=1)))
        strange = await b.send(b.command(1, Kind.level_pct, 77, "1"))
        astray = await b.send(b.command(10, Kind.level_pct, 77, "1"))
        nobody = await b.send(b.command(999, Kind.valve_pct, 77, "1"))
        assert (await b.result(late)).status is ResultStatus.expired
        assert (await b.result(strange)).status is ResultStatus.refused
        assert "zwave" in (await b.result(astray)).reason
        assert (await b.result(nobody)).reason == "no device 999"
        assert await b.counts(1) == (0, 0)
        assert not any(effects_of(b, c.command_id) for c in (late, strange, astray, nobody))


async def test_a_newer_command_takes_over_a_travelling_blind(stack: Settings) -> None:
    async with bench(stack, "simulator", "knx") as b:
        close = await b.send(b.command(7, Kind.closed_pct, 100))
        await wait(
            lambda: any(isinstance(r, Reading) and r.device_id == 7 and r.value > 5 for _, r in b.events.look()), "it travels"
        )
        half = await b.send(b.command(7, Kind.closed_pct, 50))
        open_again = await b.send(b.command(7, Kind.closed_pct, 0))
        assert (await b.result(close)).status is ResultStatus.superseded
        assert (await b.result(half)).status in (ResultStatus.superseded, ResultStatus.done)
        assert (await b.result(open_again)).status is ResultStatus.done


async def test_a_command_delivered_twice_acts_once(stack: Settings) -> None:
    async with bench(stack, "simulator", "knx") as b:
        command = await b.send(b.command(3, Kind.valve_pct, 40))
        await b.send(command)
        await wait(lambda: len(b.results(command)) >= 2, "both deliveries are answered")
        assert {result.status for _, result in b.results(command)} == {ResultStatus.done}
        assert await b.counts(3) == (1, 1)


async def test_poison_goes_to_the_dead_letters_and_the_line_goes_on(stack: Settings) -> None:
    async with bench(stack, "simulator", "knx") as b:
        poison = [b"garbage", b"\x00\x7f\xff\xff\xffxyz", b.codecs.encode(Reading(1, Kind.motion, 1, utc_now())), b""]
        for value in poison:
            await b.producer.send(COMMANDS_KNX.name, "knx-4", value)
        good = await b.send(b.command(4, Kind.valve_pct, 33, "11"))
        assert (await b.result(good)).status is ResultStatus.done
        letters = [r for _, r in b.dead.look() if isinstance(r, DeadLetter) and r.topic == COMMANDS_KNX.name]
        assert [(letter.value or b"", letter.reason) for letter in letters] == list(
            zip(poison, ("undecodable", "unknown_schema", "undecodable", "undecodable"), strict=True)
        )
        assert all(letter.key == b"knx-4" and letter.position.log_id for letter in letters)


@ways
async def test_kill_9_in_mid_travel_changes_the_building_once(stack: Settings, *, routing: bool) -> None:
    seed = random.randrange(1_000_000)
    print("seed", seed)
    chance = random.Random(seed)
    async with bench(stack, "simulator", "knx", speed=10, routing=routing) as b:
        for number in range(2 if routing else 5):
            telegrams, changes = await b.counts(7)
            command = await b.send(b.command(7, Kind.closed_pct, 0.0 if number % 2 else 100.0))
            await asyncio.sleep(chance.uniform(0, 3.2))  # the moment of the kill: the travel takes 3 s
            b.running["knx"].kill()
            b.start("knx")
            result = await b.result(command)
            assert result.status is ResultStatus.done, result
            after, changed = await b.counts(7)
            assert changed == changes + 1
            assert after - telegrams in (1, 2), "at most one identical telegram more"
            await wait(lambda command=command: effects_of(b, command.command_id)[-1:] == [EffectState.done], "the effect is noted")


async def test_a_bus_that_goes_away_and_comes_back_loses_no_command(stack: Settings) -> None:
    async with bench(stack, "simulator", "knx") as b:
        b.running["simulator"].kill()
        await wait(lambda: any("bus" in status for status in b.running["knx"].read_statuses()), "health tells of the bus")
        waiting = await b.send(b.command(8, Kind.closed_pct, 10, "11"))
        doomed = await b.send(b.command(4, Kind.valve_pct, 20, "11", expires_at=utc_now() + timedelta(seconds=3)))
        assert (await b.result(doomed)).status in (ResultStatus.unverified, ResultStatus.expired)
        assert not b.results(waiting)
        reports = len([1 for _, r in b.events.look() if isinstance(r, Reading) and r.device_id == 5])
        b.start("simulator")
        assert (await b.result(waiting)).status is ResultStatus.done
        assert await b.counts(8) == (1, 1)
        assert await b.counts(4) == (0, 0)
        await wait(
            lambda: len([1 for _, r in b.events.look() if isinstance(r, Reading) and r.device_id == 5]) > reports,
            "present values are reported anew",
        )
        await wait(lambda: b.running["knx"].read_statuses()[-1] == "", "health is well again")


async def test_a_broker_killed_in_mid_travel_loses_neither_result_nor_readings(services: Services, stack: Settings) -> None:
    async with bench(stack, "simulator", "knx", speed=3) as b:
        command = await b.send(b.command(7, Kind.closed_pct, 100))
        await wait(
            lambda: any(isinstance(r, Reading) and r.device_id == 7 and r.value > 5 for _, r in b.events.look()), "it travels"
        )
        services.broker.kill()
        services.broker.start()
        result = await b.result(command, within_s=90)
        assert result.status is ResultStatus.done
        telegrams, changes = await b.counts(7)
        assert changes == 1
        assert telegrams in (1, 2)
        await wait(
            lambda: any(isinstance(r, Reading) and r.device_id == 7 and r.value == 100 for _, r in b.events.look()), "it is closed"
        )
        after = await b.send(b.command(2, Kind.valve_pct, 44, "2"))
        assert (await b.result(after, within_s=90)).status is ResultStatus.done
        assert await b.counts(2) == (1, 1)


async def test_a_gateway_that_slept_through_a_takeover_says_nothing_to_the_bus(stack: Settings) -> None:
    async with bench(stack, "simulator", "knx") as b:
        close = await b.send(b.command(7, Kind.closed_pct, 100))
        await wait(
            lambda: any(isinstance(r, Reading) and r.device_id == 7 and r.value > 5 for _, r in b.events.look()), "it travels"
        )
        b.running["knx"].freeze()
        b.start("knx", "second")
        assert (await b.result(close)).status is ResultStatus.done
        back = await b.send(b.command(7, Kind.closed_pct, 60))
        assert (await b.result(back)).status is ResultStatus.done
        told = await b.counts(7)
        assert told[1] == 2
        noted = [e for _, e in b.effects.look() if isinstance(e, Effect) and e.device_id == 7]
        b.running["knx"].thaw()
        last = await b.send(b.command(7, Kind.closed_pct, 61))
        assert (await b.result(last, within_s=60)).status is ResultStatus.done
        assert await b.counts(7) == (told[0] + 1, 3)
        since = [e for _, e in b.effects.look() if isinstance(e, Effect) and e.device_id == 7][len(noted) :]
        assert {e.command_id for e in since} == {last.command_id}, "the sleeper noted nothing about what was not its own any more"
