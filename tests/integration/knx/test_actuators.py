"""Blinds and valves of two KNX stacks written by others, behind knxd; knxd's own tools read and press what is ours."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest
from xknx.cemi.cemi_handler import CEMIHandler
from xknx.telegram import Telegram

from agents.gateways.drivers.knx import KnxDriver
from agents.gateways.drivers.knx_reports import HOLD_S
from schemas.records import Kind, ResultStatus
from streams.knx_lines import Connection
from tests.integration.gateway_bench import wait
from tests.integration.knx.bus import actuators, bus, needs_bus
from tests.integration.knx.desk import LINE, blind, desk, spec, valve

pytestmark = needs_bus
ROOMS = 60
RATE = 20.0
CLIENTS = tuple(f"1.0.{number}" for number in range(10, 70))
"""What knxd calls its clients in turn: to us, any of them is the wall button."""


@pytest.mark.parametrize("stack", ["ultimate", "plain"])
@pytest.mark.parametrize("connection", [Connection.tunnelling, Connection.routing])
async def test_another_stacks_actuators_do_what_they_are_told_and_we_hear_it(stack: str, connection: Connection) -> None:
    devices = [valve(1), blind(2)]
    with bus() as on, actuators(on, [spec(devices[0]), spec(devices[1], travelMs=1500)], stack) as them:
        async with desk(KnxDriver({LINE: on.line(connection, blind_travel_s=2.0)}), devices) as at:
            at.send(1, 90)
            at.send(2, 70)
            await at.all_ended(1, 2)
            assert {n: (e.status, e.reported_pct) for n, e in at.ended.items()} == {
                1: (ResultStatus.done, 90), 2: (ResultStatus.done, 70),
            }  # fmt: skip
            assert [them.counts(1), them.counts(2)] == [(1, 1), (1, 1)]
            assert them.heard(2)[0]["raw"] in (178, 179), "30 % open on the wire"
            way = [r.value for r in at.heard if r.device_id == 2]
            assert any(0 < value < 70 for value in way), "status telegrams on the way are readings"
            assert at.hands == [], "our own travel is no hand"
            assert at.driver.health is None


async def test_an_independent_client_reads_what_we_wrote_and_presses_the_wall_button() -> None:
    devices = [blind(2)]
    with bus() as on, actuators(on, [spec(devices[0], travelMs=3000)]) as them:
        driver = KnxDriver({LINE: on.line(blind_travel_s=3.0, push_buttons=CLIENTS)})
        async with desk(driver, devices) as at:
            at.send(2, 70)
            await at.all_ended(2)
            assert at.hands == []
            read = await asyncio.to_thread(on.knxtool, "groupreadresponse", "4/1/2")
            assert read.split()[-1].lower() in ("b2", "b3"), read
            await asyncio.to_thread(on.knxtool, "groupswrite", "1/1/2", "1")
            await wait(lambda: at.hands, "the hand is noticed", 5)
            assert (at.hands[0].device_id, at.hands[0].kind, at.hands[0].value_pct) == (2, Kind.closed_pct, 100)
            assert at.hands[0].source.removeprefix("push button ") in CLIENTS
            await wait(lambda: any("arrived" in s and s["position"] == 100 for s in them.said), "the blind closes", 5)
            await wait(lambda: at.heard[-1].value == 100, "it says so", 5)
            await asyncio.to_thread(on.knxtool, "groupswrite", "1/1/2", "0")
            await wait(lambda: 0 < at.heard[-1].value < 100, "it is on its way", 5)
            await asyncio.to_thread(on.knxtool, "groupswrite", "2/1/2", "0")
            await wait(lambda: len(at.hands) == 3, "the stop is a hand where the blind stands", 5)
            assert 0 < at.hands[2].value_pct < 100


async def test_sixty_rooms_commands_at_once_on_a_tp1_line_are_all_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[float] = []
    send = CEMIHandler.send_telegram

    async def stamped(handler: CEMIHandler, telegram: Telegram) -> None:
        sent.append(time.monotonic())
        await send(handler, telegram)

    monkeypatch.setattr(CEMIHandler, "send_telegram", stamped)
    devices = [device for n in range(1, ROOMS + 1) for device in (valve(n), blind(n + 100))]
    specs = [
        spec(device, **({"travelMs": 2000, "saysOnlyWhenThere": True} if device.role == "blind" else {})) for device in devices
    ]
    with bus("tp1") as on, actuators(on, specs) as them:
        async with desk(KnxDriver({LINE: on.line(blind_travel_s=2.5, rate_limit=RATE)}), devices) as at:
            await wait(lambda: len({r.device_id for r in at.heard}) == len(devices), "every present value has been read", 60)
            began = time.monotonic()
            for device in devices:
                at.send(device.device_id, 100 if device.role == "blind" else 90)
            await at.all_ended(*(device.device_id for device in devices), within_s=120)
            whole_s, metrics = time.monotonic() - began, dict(at.driver.metrics)
        assert {ended.status for ended in at.ended.values()} == {ResultStatus.done}
        assert all(them.counts(device.device_id)[1] == 1 for device in devices), "none lost, none twice"
        told = [said for said in them.said if "heard" in said]
        busiest = max(sum(1 for other in sent if 0 <= other - at < 1) for at in sent)
        took = sorted(at.took_s.values())
        confirmed = sorted(ended.confirmed_s or 0.0 for ended in at.ended.values())
        print(
            f"{len(devices)} commands of {ROOMS} rooms: {whole_s:.1f} s in all; from the command on median"
            f" {statistics.median(took):.1f} s, from the telegram on {statistics.median(confirmed):.1f} s, longest"
            f" {confirmed[-1]:.1f} s; at most {busiest} telegrams sent in a second; {metrics}"
        )
        assert busiest <= RATE * 1.15
        assert len(told) <= len(devices) * 1.1, "hardly anything had to be told twice"


async def test_what_is_mute_wrong_or_floods_fails_for_itself_alone() -> None:
    devices = [valve(n) for n in range(1, 7)]
    mute, wrong, flood = devices[3:]
    manners = ["well", "well", "well", "mute", "wrong", "flood"]
    specs = [spec(device, manner=manner) for device, manner in zip(devices, manners, strict=True)]
    with bus() as on, actuators(on, specs) as them:
        async with desk(KnxDriver({LINE: on.line(valve_settle_s=0.5)}), devices) as at:
            await wait(lambda: sum(r.device_id == flood.device_id for r in at.heard) > 3, "the flood is heard", 10)
            for device in devices:
                at.send(device.device_id, 80)
            await at.all_ended(*(device.device_id for device in devices), within_s=60)
            assert at.ended[mute.device_id].status is ResultStatus.failed
            assert "nobody answers on 5/1/4" in at.ended[mute.device_id].reason
            assert at.ended[wrong.device_id].status is ResultStatus.failed
            assert at.ended[wrong.device_id].reason == "asked for 80 %, reads 40 %"
            assert {at.ended[n].status for n in (1, 2, 3)} == {ResultStatus.done}
            assert [them.counts(n) for n in (mute.device_id, wrong.device_id)] == [(2, 1), (2, 1)], "retries are bounded"
            assert max(at.took_s[n] for n in (1, 2, 3)) < 2.0, at.took_s
            floods = [r for r in at.heard if r.device_id == flood.device_id]
            span_s = (floods[-1].at - floods[0].at).total_seconds()
            print(f"took {at.took_s}; {len(floods)} readings of the flood in {span_s:.1f} s, {at.driver.metrics}")
            assert len(floods) <= span_s / HOLD_S + 2
            assert at.driver.health is None


async def test_a_write_into_a_tunnel_that_died_unnoticed_is_found_lost_and_told_again() -> None:
    devices = [valve(1)]
    with bus() as on, actuators(on, [spec(devices[0])]) as them:
        async with desk(KnxDriver({LINE: on.line(valve_settle_s=0.5)}), devices) as at:
            await wait(lambda: at.heard, "the present value has been read", 5)
            on.kill()
            on.start()  # a new knxd, which knows nothing of our tunnel
            at.send(1, 40)
            await at.all_ended(1, within_s=30)
            assert at.ended[1].status is ResultStatus.done
            assert them.counts(1) == (1, 1)
            assert at.driver.metrics["reconnects"] == 1


async def test_the_old_plans_valve_has_one_object_and_is_not_verified_by_its_echo() -> None:
    from msgspec.structs import replace

    one = replace(valve(1), knx_objects="valve=0/1/1")
    with bus() as on, actuators(on, [{"id": 1, "command": "0/1/1", "status": "0/1/1"}]) as them:
        async with desk(KnxDriver({LINE: on.line(valve_settle_s=0.5)}), [one]) as at:
            at.send(1, 90)
            await at.all_ended(1)
            assert (at.ended[1].status, at.ended[1].reported_pct) == (ResultStatus.unverified, 90)
            assert "echo" in at.ended[1].reason
            assert them.counts(1)[1] == 1


async def test_bytes_of_another_type_are_told_and_break_nothing() -> None:
    device = valve(1)
    with bus() as on, actuators(on, [spec(device)]):
        async with desk(KnxDriver({LINE: on.line()}), [device]) as at:
            await wait(lambda: at.heard, "the present value has been read", 5)
            await asyncio.to_thread(on.knxtool, "groupwrite", "5/1/1", "0c", "33")
            await wait(lambda: at.driver.health, "the mismatch is told", 5)
            assert "5/1/1" in (at.driver.health or "")
            assert "2 bytes is no DPT 5.001" in (at.driver.health or "")
            at.send(1, 40)
            await at.all_ended(1)
            assert at.ended[1].status is ResultStatus.done
            assert at.driver.health is None, "what is right again is forgotten"


async def test_periodic_reads_beyond_their_share_of_the_line_are_refused_with_the_reason() -> None:
    devices = [valve(n) for n in range(1, 51)]
    with bus() as on, actuators(on, [spec(device) for device in devices]):
        async with desk(KnxDriver({LINE: on.line(read_every_s=5.0)}), devices) as at:
            assert "no periodic reads: 50 objects every 5 s are 20 telegrams/s, and 30% of the line's 20 are 6" in (
                at.driver.health or ""
            )
            await at.driver.start(devices[:10])
            assert at.driver.health is None, "every 5 s is possible for ten"
