"""The gateway role on a real Kafka and a real line: its interface dies in mid-command; a person presses a wall button."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from agents.gateways.log import utc_now
from schemas.records import Intent, Kind, Reading, ResultStatus
from streams.settings import Settings
from tests.integration.gateway_bench import bench, wait
from tests.integration.knx.bus import Bus, actuators, bus, needs_bus

pytestmark = needs_bus
OUTAGE_S = 30.0
SPECS = [
    {"id": 2, "command": "0/4/2", "status": "5/4/2"},
    {"id": 3, "command": "0/4/10", "status": "5/4/10"},
    {"id": 7, "command": "3/4/10", "upDown": "1/4/10", "status": "4/4/10", "travelMs": 6000},
]
"""Devices 2, 3 and 7 of the seeded building."""


def lines_file(folder: Path, on: Bus) -> Path:
    """knxd as line knx-4. Its clients get addresses in turn: whatever of them is not us is a wall button."""
    buttons = ", ".join(f'"1.0.{number}"' for number in range(10, 70))
    file = folder / "lines.toml"
    file.write_text(
        f"""[lines.knx-4]
gateway = "127.0.0.1"
port = {on.tunnel_port}
local-ip = "127.0.0.1"
blind-travel-s = 7
valve-settle-s = 1
push-buttons = [{buttons}]
"""
    )
    return file


async def test_an_interface_killed_in_mid_command_and_back_30_s_later_loses_nothing_and_moves_nothing_twice(
    stack: Settings, tmp_path: Path
) -> None:
    with bus() as on, actuators(on, SPECS) as them:
        async with bench(stack, "knx", lines=lines_file(tmp_path, on)) as b:
            close = await b.send(b.command(7, Kind.closed_pct, 100))
            await wait(lambda: them.heard(7), "the blind has heard it")
            on.kill()
            killed_at = asyncio.get_running_loop().time()
            waiting = await b.send(b.command(2, Kind.valve_pct, 63, "2"))
            doomed = await b.send(b.command(3, Kind.valve_pct, 20, expires_at=utc_now() + timedelta(seconds=10)))
            gone = f"tunnelling 127.0.0.1:{on.tunnel_port}"
            await wait(lambda: any(gone in said for said in b.running["knx"].read_statuses()), "health says why")
            assert (await b.result(doomed)).status in (ResultStatus.expired, ResultStatus.unverified)
            assert not b.results(waiting)
            await asyncio.sleep(killed_at + OUTAGE_S - asyncio.get_running_loop().time())  # the outage is the test's subject
            on.start()
            for command in (close, waiting):
                result = await b.result(command)
                assert (result.status, result.reported_pct) == (ResultStatus.done, command.target_pct), result
            assert them.counts(7)[1] == 1, "moved once"
            assert them.counts(7)[0] <= 2, "at most one identical telegram more"
            assert them.counts(2) == (1, 1)
            assert them.counts(3) == (0, 0), "what had expired was not carried out"
            await wait(lambda: b.running["knx"].read_statuses()[-1] == "", "health is well again")


async def test_a_wall_button_is_a_persons_hand_in_the_room_and_status_telegrams_are_readings(
    stack: Settings, tmp_path: Path
) -> None:
    with bus() as on, actuators(on, SPECS) as them:
        async with bench(stack, "knx", lines=lines_file(tmp_path, on)) as b:
            await wait(lambda: any(isinstance(r, Reading) and r.device_id == 7 for _, r in b.events.look()), "it has been read")
            await asyncio.to_thread(on.knxtool, "groupswrite", "1/4/10", "1")
            await wait(lambda: any(isinstance(r, Intent) for _, r in b.events.look()), "the hand is in the room's log")
            key, intent = next((key, r) for key, r in b.events.look() if isinstance(r, Intent))
            assert (key, intent.kind, intent.value_pct, intent.device_id) == (b"10", Kind.closed_pct, 100, 7)
            assert intent.source.startswith("push button 1.0.")
            await wait(lambda: any("arrived" in said for said in them.said), "the blind is closed")
            await wait(
                lambda: any(isinstance(r, Reading) and r.device_id == 7 and r.value == 100 for _, r in b.events.look()),
                "it says so",
            )
            way = [r.value for _, r in b.events.look() if isinstance(r, Reading) and r.device_id == 7]
            assert any(0 < value < 100 for value in way)
            assert len([1 for _, r in b.events.look() if isinstance(r, Intent)]) == 1, "its travel is no further hand"
