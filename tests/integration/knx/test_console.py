"""`atrium knx` on a real line, and the connections nobody else's test has: TCP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agents.gateways.drivers.knx import KnxDriver
from schemas.records import ResultStatus
from streams.knx_lines import Connection
from tests.integration.gateway_bench import wait
from tests.integration.knx.bus import Bus, actuators, bus, needs_bus
from tests.integration.knx.desk import LINE, blind, desk, spec, valve
from tests.integration.knx.tcp import tcp_in_front_of
from tests.processes import ROOT, wait_until

pytestmark = needs_bus
ATRIUM = (sys.executable, "-m", "streams.cli", "knx")


def environment(on: Bus, folder: Path) -> dict[str, str]:
    file = folder / "lines.toml"
    file.write_text(f'[lines.house]\ngateway = "127.0.0.1"\nport = {on.tunnel_port}\nlocal-ip = "127.0.0.1"\n')
    return {**os.environ, "ATRIUM_KNX_LINES": str(file), "ATRIUM_HOME": str(folder)}


def test_a_person_writes_reads_and_watches(tmp_path: Path) -> None:
    one = blind(2)
    with bus() as on, actuators(on, [spec(one)]) as them:
        env = environment(on, tmp_path)
        seen = tmp_path / "seen.txt"
        with seen.open("w") as out:
            watching = subprocess.Popen([*ATRIUM, "monitor"], env=env, stdout=out, stderr=out, cwd=ROOT)
        try:
            wait_until(lambda: "listening on tunnelling" in seen.read_text(), "the monitor listens")

            def knx(*words: str) -> str:
                done = subprocess.run([*ATRIUM, *words], env=env, capture_output=True, text=True, check=False, cwd=ROOT)
                assert done.returncode == 0, done.stderr
                return done.stdout.strip()

            assert knx("write", "3/1/2", "70", "--dpt", "5.001") == "wrote 70 % to 3/1/2"
            wait_until(lambda: them.heard(2), "the blind has heard it")
            assert knx("read", "4/1/2", "--dpt", "5.001") == "70 %"
            wait_until(lambda: "response" in seen.read_text(), "the answer is seen")
            told = [line.split()[2:5] for line in seen.read_text().splitlines() if line[:2].isdecimal()]
            assert told[0] in (["write", "3/1/2", "b2"], ["write", "3/1/2", "b3"])
            assert told[-1] in (["response", "4/1/2", "b2"], ["response", "4/1/2", "b3"])
            silent = subprocess.run(
                [*ATRIUM, "read", "7/7/7", "--dpt", "5.001"], env=env, capture_output=True, text=True, check=False, cwd=ROOT
            )
            assert (silent.returncode, silent.stderr) == (1, "Error: nobody answers on 7/7/7 of KNX line house, asked 2 times\n")
        finally:
            watching.terminate()
            watching.wait(10)


async def test_a_tunnel_over_tcp_carries_commands_and_is_made_anew_when_it_breaks() -> None:
    devices = [valve(1)]
    with bus() as on, actuators(on, [spec(devices[0])]) as them:
        async with tcp_in_front_of(on.tunnel_port) as port:
            line = on.line(Connection.tunnelling_tcp, port=port, valve_settle_s=0.5)
            async with desk(KnxDriver({LINE: line}), devices) as at:
                at.send(1, 40)
                await at.all_ended(1)
                assert (at.ended[1].status, them.counts(1)) == (ResultStatus.done, (1, 1))
                on.kill()
                on.start()
                at.send(1, 50)
                await at.all_ended(1, within_s=40)
                assert (at.ended[1].status, them.counts(1)[1]) == (ResultStatus.done, 2)


@pytest.mark.parametrize("connection", [Connection.tunnelling, Connection.tunnelling_tcp])
async def test_nobody_at_the_gateways_address_is_told(connection: Connection) -> None:
    with bus() as on:
        on.kill()
        driver = KnxDriver({LINE: on.line(connection)})
        with pytest.raises(Exception, match="cannot be reached"):
            await driver.start([valve(1)])
        await driver.stop()


async def test_two_lines_are_served_side_by_side_and_one_that_is_away_holds_up_no_other() -> None:
    from msgspec.structs import replace

    here, away = valve(1), replace(valve(2), line_id="knx-away")
    with bus() as on, bus() as off, actuators(on, [spec(here)]) as them:
        off.kill()
        async with desk(KnxDriver({LINE: on.line(valve_settle_s=0.5), "knx-away": off.line()}), [here, away]) as at:
            at.send(1, 40)
            await at.all_ended(1)
            assert at.ended[1].status is ResultStatus.done
            assert them.counts(1) == (1, 1)
            assert "KNX line knx-away: tunnelling" in (at.driver.health or "")
            off.start()
            await wait(lambda: at.driver.health is None, "the other line is there by itself", 20)
