"""`atrium zwave` on a real Z-Wave JS server: nodes are looked at, adopted into a real PostgreSQL, join, leave and are healed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from agents.gateways.drivers.zwave import ZwaveDriver
from agents.gateways.drivers.zwave_js import ZwaveJsNetwork
from agents.gateways.zwave_console import SOCKET, Console
from infra.database import migrate
from infra.postgres import postgres_part
from infra.zwave.parts import Description
from streams.database import connection
from tests.integration.gateway_bench import wait
from tests.integration.zwave.mock import Building, building, dimmer, multisensor, needs_zwave_js
from tests.processes import ROOT, Running, free_port, home_of_its_own

pytestmark = needs_zwave_js
LINE = "zwave-1"
_WITHIN_S = 60


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with home_of_its_own("zwave-console") as home:
        part, dsn = postgres_part(home, free_port())
        running = Running(part, home / "logs")
        try:
            running.start()
            yield dsn
        finally:
            running.stop()


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[str]:
    """A building with a room 10 and nothing in it."""
    async with connection(postgres) as db:
        await db.execute("DROP DATABASE IF EXISTS console WITH (FORCE)")
        await db.execute("CREATE DATABASE console")
    dsn = postgres.rsplit("/", 1)[0] + "/console"
    await migrate(dsn)
    async with connection(dsn) as db:
        await db.execute("INSERT INTO building.rooms (room_id, number, floor, name) VALUES ('10', 10, 1, 'Office')")
    yield dsn


class Desk:
    """A person's shell beside a gateway."""

    def __init__(self, built: Building, driver: ZwaveDriver, database: str) -> None:
        self.built, self.mock, self.driver = built, built.mock, driver
        self._env = {**os.environ, "ATRIUM_HOME": str(built.home), "DATABASE_URL": database, "PYTHONUNBUFFERED": "1"}

    async def starts(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "streams.cli", *words, env=self._env, cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def atrium(self, *words: str) -> str:
        """What the command prints; it succeeds."""
        process = await self.starts(*words)
        out, err = await asyncio.wait_for(process.communicate(), _WITHIN_S)
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def refused(self, *words: str) -> str:
        """The error the command prints; it fails."""
        process = await self.starts(*words)
        out, err = await asyncio.wait_for(process.communicate(), _WITHIN_S)
        assert process.returncode == 1, out.decode()
        return err.decode().removeprefix("Error: ").strip()

    async def nodes(self) -> dict[int, dict[str, object]]:
        return {each["node_id"]: each for each in json.loads(await self.atrium("zwave", "nodes", "--json"))}


@asynccontextmanager
async def desk(nodes: list[Description], database: str) -> AsyncIterator[Desk]:
    async with building(nodes) as built:
        network = ZwaveJsNetwork(built.url)
        driver = ZwaveDriver(network, LINE)
        await driver.start([])
        serving = asyncio.ensure_future(Console(network, built.home / SOCKET, LINE, lambda: driver.trouble).serve())
        try:
            await wait((built.home / SOCKET).exists, "the console serves")
            yield Desk(built, driver, database)
        finally:
            serving.cancel()
            await asyncio.wait([serving])
            await driver.stop()


def cells(table: str) -> list[list[str]]:
    """The rows of a printed table, each as its words."""
    return [line.split() for line in table.rpartition("──")[2].splitlines() if line.strip()]


async def test_nodes_are_listed_and_adopted(database: str) -> None:
    async with desk([multisensor(2), dimmer(3), dimmer(4, endpoints=2), multisensor(5, sleeping=True)], database) as at:
        shown = cells(await at.atrium("zwave", "nodes"))
        assert shown[0][:3] == ["2", "alive", "done"]
        assert shown[0][-5:] == ["atrium", "zwave", "adopt", "2", "ROOM"]
        assert {"temperature_c", "humidity_pct", "illuminance_lx", "motion", "battery_pct"} < set(shown[0])
        assert shown[1][-6:] == ["level_pct", "atrium", "zwave", "adopt", "3", "ROOM"]
        assert [row[-9:] for row in shown[2:4]] == [
            [f"{gang}:", "level_pct", *f"atrium zwave adopt 4 ROOM --endpoint {gang}".split()] for gang in (1, 2)
        ]

        would = (await at.atrium("zwave", "adopt", "2", "10", "--name", "window", "--dry-run")).splitlines()
        row = "room_id 10, role multisensor, bus zwave, line_id zwave-1, zwave_node 2, simulated false"
        assert would == [f"+ device 1: name window, {row}", "1 would change: dry run, nothing was"]
        assert (await at.nodes())[2]["devices"] == {}
        assert (await at.atrium("zwave", "adopt", "2", "10", "--name", "window")).splitlines()[-1] == "1 changed"
        assert (await at.atrium("zwave", "adopt", "4", "10", "--endpoint", "2", "--name", "desk")).splitlines()[-1] == "1 changed"
        assert (await at.atrium("zwave", "adopt", "4", "10", "--name", "door")).splitlines()[-1] == "1 changed"

        there = {key: each["devices"] for key, each in (await at.nodes()).items()}
        assert {key: there[key] for key in (2, 3, 4)} == {2: {"0": 1}, 3: {}, 4: {"2": 2, "1": 3}}
        table = await at.atrium("zwave", "nodes")
        assert "device 1 (window, room 10)" in table
        assert "1: level_pct" in table and "device 3 (door 1, room 10)" in table

        assert await at.refused("zwave", "adopt", "2", "10") == "node 2 is adopted already: device 1 (window, room 10)"
        assert "there is no room 'attic': there are 10" in await at.refused("zwave", "adopt", "3", "attic")
        assert (await at.refused("zwave", "adopt", "77", "10")).startswith("there is no node 77 on the network: there are 2, 3, 4")
        async with connection(database) as db:
            rows = await db.fetch("SELECT device_id, zwave_node, zwave_endpoint, simulated FROM building.devices ORDER BY 1")
        assert [tuple(row) for row in rows] == [(1, 2, None, False), (2, 4, 2, False), (3, 4, 1, False)]


async def test_a_sleeping_node_that_has_not_been_interviewed_says_how_far_it_is(database: str) -> None:
    async with desk([dimmer(3), multisensor(5, sleeping=True)], database) as at:
        node = (await at.nodes())[5]
        assert node["ready"] is False
        refused = await at.refused("zwave", "adopt", "5", "10")
        assert refused.startswith(f"the interview of node 5 is not over (so far: {node['stage']})")
        assert refused.endswith("it sleeps: wake it up as its manual says")


async def test_routes_are_rebuilt_for_one_node_and_for_all(database: str) -> None:
    async with desk([dimmer(3), dimmer(4)], database) as at:
        assert (await at.atrium("zwave", "heal", "3")).splitlines()[-1] == "node 3: done"
        said = (await at.atrium("zwave", "heal")).splitlines()
        assert {"node 3: done", "node 4: done"} <= set(said)
        await at.mock.dead(4)
        assert "node 4: its routes could not be rebuilt" in await at.refused("zwave", "heal", "4")
        assert "there is no node 77 on the network: there are 3, 4" in await at.refused("zwave", "heal", "77")


async def test_a_node_joins_is_interviewed_and_adopted_and_leaves_again(database: str) -> None:
    async with desk([dimmer(3)], database) as at:
        await at.mock.join(multisensor(9))
        said = (await at.atrium("zwave", "include")).splitlines()
        assert said[0].startswith("bring the device to join now")
        assert any(line.startswith("node 9 joined") for line in said)
        assert [line.split(":")[1] for line in said if ": interview " in line] == [f" interview {n} of 5" for n in range(1, 6)]
        assert said[-2].startswith("node 9: ") and "multisensor: temperature_c" in said[-2]
        assert said[-1] == "adopt it: atrium zwave adopt 9 ROOM"
        assert (await at.atrium("zwave", "adopt", "9", "10", "--name", "new one")).splitlines()[-1] == "1 changed"
        assert set(await at.nodes()) == {3, 9}

        await at.mock.leave(9)
        left = (await at.atrium("zwave", "exclude")).splitlines()
        assert left[0].startswith("bring the device to leave now")
        assert left[-1] == "node 9 was device 1 (new one, room 10), which is still there: `atrium devices remove 1`"
        assert set(await at.nodes()) == {3}
        assert "not on the network: node 9, device 1 (new one, room 10)" in await at.atrium("zwave", "nodes")


@pytest.mark.parametrize(("command", "says"), [("include", "no node can join"), ("exclude", "no node can leave")])
async def test_ctrl_c_stops_it_and_meanwhile_nothing_else_begins(database: str, command: str, says: str) -> None:
    async with desk([dimmer(3)], database) as at:
        running = await at.starts("zwave", command)
        assert running.stdout is not None
        assert (await asyncio.wait_for(running.stdout.readline(), _WITHIN_S)).startswith(b"bring the device to")
        assert "is under way on line zwave-1" in await at.refused("zwave", "heal", "3")
        running.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(running.communicate(), _WITHIN_S)
        assert (running.returncode, out.decode()) == (0, f"stopped: {says} any more\n"), err.decode()
        await at.mock.join(dimmer(9))  # the controller is free again, or it would refuse
        assert any(line.startswith("node 9 joined") for line in (await at.atrium("zwave", "include", "--no-security")).splitlines())


async def test_a_server_that_is_away_is_told_and_so_is_a_gateway_that_is_not_there(database: str) -> None:
    async with desk([dimmer(3)], database) as at:
        at.built.server.kill()
        await wait(lambda: at.driver.trouble is not None, "the gateway knows that it is gone")
        for words in (("nodes",), ("include",), ("heal",), ("adopt", "3", "10")):
            assert f"Z-Wave JS server {at.built.url}" in await at.refused("zwave", *words)
        await at.built.start(at.built.server)
        await wait(lambda: at.driver.trouble is None, "the server is back by itself", 30)
        assert set(await at.nodes()) == {3}
        (at.built.home / SOCKET).unlink()
        assert await at.refused("zwave", "nodes") == f"no Z-Wave gateway runs in {at.built.home}: start `atrium up`"
