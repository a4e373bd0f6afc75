"""`atrium up` as a person runs it: the whole building as processes of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.building_plan import DEVICES
from infra.zwave import parts as zwave_parts
from schemas.records import DeviceRole
from streams.settings import read_settings
from tests import asking
from tests.conftest import test_settings as settings_for
from tests.integration.zwave.mock import Mock
from tests.processes import ROOT, home_of_its_own, interrupt, wait_until

ATRIUM = (sys.executable, "-m", "streams.cli")
ZWAVE = set() if zwave_parts.why_not(read_settings(os.environ)) else {zwave_parts.MOCK, zwave_parts.SERVER}
"""Without Node's packages the simulated nodes are reached in process."""
PARTS = {
    "kafka", "postgres", "registry", "prepare", "rooms", "api", "knx", "zwave", "history", "directory", "simulator", *ZWAVE,
}  # fmt: skip


class Building:
    """One home, with `atrium` run in it."""

    def __init__(self, home: Path) -> None:
        settings = settings_for(home)
        ports = {
            "KAFKA": settings.kafka_port, "POSTGRES": settings.postgres_port, "REGISTRY": settings.registry_port,
            "API": settings.api_port, "SIMULATOR": settings.simulator_port, "ROOMS_WEB": settings.rooms_web_port,
        }  # fmt: skip
        self.settings = settings
        self.env = {**os.environ, "ATRIUM_HOME": str(home), **{f"ATRIUM_{name}_PORT": str(port) for name, port in ports.items()}}
        for own in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "SCHEMA_REGISTRY_URL"):
            self.env.pop(own, None)
        self.output = home / "up.txt"
        self.up: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.began_at = datetime.now(UTC)
        with self.output.open("wb") as output:
            self.up = subprocess.Popen(
                [*ATRIUM, "up"], env=self.env, stdout=output, stderr=output, cwd=ROOT, start_new_session=True
            )
        wait_until(lambda: "The building runs" in self.output.read_text() or self.ended, "the building runs", within_s=120)
        assert not self.ended, self.output.read_text()

    @property
    def ended(self) -> bool:
        return self.up is None or self.up.poll() is not None

    def status(self) -> tuple[int, dict[str, Any]]:
        done = subprocess.run([*ATRIUM, "status", "--json"], env=self.env, capture_output=True, check=False, cwd=ROOT)
        return done.returncode, json.loads(done.stdout)

    def pids(self) -> dict[str, int]:
        return {part["name"]: part["pid"] for part in self.status()[1]["parts"] if part["pid"]}

    def end(self) -> None:
        if self.up is not None and self.up.poll() is None:
            interrupt(self.up)


def left_over(pids: dict[str, int], home: Path) -> dict[str, int]:
    """The parts that still run, and any other process whose command or settings name this home."""
    left = {name: pid for name, pid in pids.items() if Path(f"/proc/{pid}").exists() and _state(pid) != "Z"}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            named = str(home).encode() in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if named and int(folder.name) != os.getpid() and _state(int(folder.name)) != "Z":
            left[folder.name] = int(folder.name)
    return left


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@contextmanager
def building() -> Iterator[Building]:
    with home_of_its_own("up") as home:
        made = Building(home)
        try:
            yield made
        finally:
            made.end()


@pytest.fixture(scope="module")
def home() -> Iterator[Building]:
    with building() as made:
        made.start()
        yield made


def readme_curls() -> list[str]:
    """The README's curl lines, each after the variables it may use."""
    variables, lines = "", []
    for line in (ROOT / "README.md").read_text().splitlines():
        if re.match(r"[A-Z]+=", line):
            variables += f"{line}\n"
        elif line.startswith("curl "):
            lines.append(variables + line)
    return lines


def run_curl(home: Building, line: str) -> str:
    """What a line of the README prints; what streams without end is read for a moment."""
    endless = "curl -N " in line
    command = line.replace("localhost:8080", f"localhost:{home.settings.api_port}")
    command = command.replace("curl ", f"curl --silent --show-error --max-time {2 if endless else 10} ")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == (28 if endless else 0), (line, done.stderr)
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: apt-get install curl")
def test_the_readmes_curl_lines_answer_live_values(home: Building, record_property: Callable[[str, object], None]) -> None:
    def readings(room_id: str) -> Any:
        return json.loads(run_curl(home, f"curl http://localhost:8080/v1/rooms/{room_id}"))["readings"]

    def read_at() -> datetime | None:
        temperature = readings("2")["temperature_c"]
        return datetime.fromisoformat(temperature["at"]) if temperature else None

    wait_until(lambda: (at := read_at()) and at > home.began_at, "room 2 has a temperature of this run")
    took_s = (datetime.now(UTC) - home.began_at).total_seconds()
    print(f"live values {took_s:.1f} s after the start")
    record_property("start_to_live_values_s", round(took_s, 1))
    wait_until(lambda: readings("10")["humidity_pct"], "room 10 has a humidity")

    answers = {re.findall(r"localhost:8080([/\w]+)", line)[0]: run_curl(home, line) for line in readme_curls()}
    assert set(answers) == {
        "/v1/rooms/2", "/v1/events", "/sensor_get_humidity", "/open_blinds", "/read_percentage_blinds",
    }  # fmt: skip
    assert json.loads(answers["/v1/rooms/2"])["room_id"] == "2"
    assert "data:" in answers["/v1/events"]
    humidity = json.loads(answers["/sensor_get_humidity"])
    assert humidity["success"] is True
    assert 20 < humidity["value"] < 100
    assert json.loads(answers["/open_blinds"]) == {"success": True}
    assert json.loads(answers["/read_percentage_blinds"]) == {"success": True, "percentage": 100, "value": 100}


@pytest.mark.skipif(not ZWAVE, reason="needs the Z-Wave JS server: run make setup")
async def test_a_persons_wish_reaches_a_dimmer_through_the_z_wave_js_server(home: Building) -> None:
    room_10 = next(device for device in DEVICES if device.room_id == "10" and device.role is DeviceRole.dimmer)
    assert room_10.zwave_node is not None
    beacon = "uuid=b9407f30-f5f8-466e-aff9-25556b57fe6d&major=30874&minor=43216"
    status, answer = asking.ask(f"http://127.0.0.1:{home.settings.api_port}/percentage_dimmers?{beacon}&percentage=100")
    assert (status, answer["success"]) == (200, True)
    mock = Mock(json.loads((home.settings.home / "ports.json").read_text())["simulator-zwave"])
    await mock.open()
    async with asyncio.timeout(15):
        while await mock.level(room_10.zwave_node) != 99:  # noqa: ASYNC110  # another process's
            await asyncio.sleep(0.1)
    assert (await mock.counts(room_10.zwave_node))["frames"] >= 1
    await mock.close()


def test_status_tells_every_part_with_pid_and_port(home: Building) -> None:
    wait_until(lambda: home.status()[0] == 0, f"all well: {home.status()[1]}", within_s=30)
    code, told = home.status()
    parts = {part["name"]: part for part in told["parts"]}
    assert code == 0
    assert told["well"]
    assert set(parts) == PARTS
    assert parts["kafka"]["port"] == home.settings.kafka_port
    assert parts["api"]["port"] == home.settings.api_port
    assert all(parts[name]["pid"] and parts[name]["memory_mb"] > 5 for name in PARTS - {"prepare"})
    assert "postgresql://" not in json.dumps(told)


def test_the_terminal_is_told_how_to_reach_it(home: Building) -> None:
    said = home.output.read_text()
    assert f"http://127.0.0.1:{home.settings.api_port}/" in said
    assert f"curl 'http://127.0.0.1:{home.settings.api_port}/open_blinds?uuid=b9407f30-f5f8-466e-aff9-25556b57fe6d" in said
    assert "Traceback" not in said
    assert ("the simulated Z-Wave nodes are reached in process" in said) is not bool(ZWAVE)


def test_a_second_up_in_the_same_home_says_so(home: Building) -> None:
    second = subprocess.run([*ATRIUM, "up"], env=home.env, capture_output=True, text=True, check=False, cwd=ROOT, timeout=30)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("name", ["history", "registry", "kafka"])
def test_a_killed_part_is_started_again(home: Building, name: str) -> None:
    before = home.pids()[name]
    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        part = next(part for part in home.status()[1]["parts"] if part["name"] == name)
        return bool(part["well"]) and part["pid"] != before and part["restarts"] >= 1

    wait_until(is_back, f"{name} runs again", within_s=60, pause_s=0.2)


def test_ctrl_c_ends_everything(home: Building) -> None:
    pids = home.pids()
    home.end()
    assert home.up is not None
    assert home.up.returncode == 0, home.output.read_text()
    assert left_over(pids, home.settings.home) == {}
    code, told = home.status()
    assert code == 1
    assert told["supervisor"] is None


def test_a_killed_supervisor_leaves_nothing_running_and_a_new_one_takes_over() -> None:
    with building() as killed:
        killed.start()
        pids = killed.pids()
        assert killed.up is not None
        assert len(pids) >= len(PARTS) - 1
        killed.up.kill()
        killed.up.wait()
        wait_until(lambda: not left_over(pids, killed.settings.home), f"all gone of {pids}", within_s=20)
        killed.start()
        wait_until(lambda: killed.status()[0] == 0, "all well again", within_s=60, pause_s=0.3)
