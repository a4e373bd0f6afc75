"""Holds and policies in the running building: an old route, a worker killed, a policy changed and named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.services import environment
from tests import asking
from tests.integration.directory.conftest import House
from tests.integration.directory.test_changes import actuators, ask, in_use
from tests.processes import ROOT, wait_until

ROOM_2 = "uuid=b9407f30-f5f8-466e-aff9-25556b57fe6d&major=17644&minor=31456"
POLICY = "/v1/policies/rooms/2"
VALVE = 2
RESTLESS = {"valve_dwell_s": 0}
"""So that a hold's end is not put off by the rest after what another test made automation do."""


def put(house: House, path: str, document: dict[str, Any], etag: str = "*") -> tuple[int, dict[str, Any]]:
    return asking.ask(f"{house.url}{path}", document, method="PUT", etag=etag)


def valve(house: House) -> dict[str, Any]:
    return actuators(house, "2").get(VALVE, {})


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def why(house: House) -> dict[str, Any]:
    return next(each for each in ask(house, "/v1/rooms/2/why")["actuators"] if each["device_id"] == VALVE)


def cli(house: House, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *words], cwd=ROOT, input=given, capture_output=True, text=True, check=False,
        env=os.environ | {"ATRIUM_HOME": str(house.settings.home)} | environment(house.settings),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def default_again(house: House) -> Iterator[None]:
    in_use(house)
    assert put(house, POLICY, RESTLESS)[0] == 200
    wait_until(lambda: ask(house, POLICY)["in_force"]["valve_dwell_s"] == 0, "the valve rests no more")
    yield
    assert put(house, POLICY, {})[0] == 200
    assert ask(house, f"/v1/rooms/2/actuators/{VALVE}/lease", {"value_pct": 90})["position"]
    assert asking.ask(f"{house.url}/v1/rooms/2/actuators/{VALVE}/lease", method="DELETE")[0] == 202


def test_an_old_routes_lease_survives_kill_9_of_the_rooms_worker_and_ends_on_time(house: House) -> None:
    assert put(house, POLICY, RESTLESS | {"manual_lease_s": 45})[0] == 200
    wait_until(lambda: ask(house, POLICY)["in_force"]["manual_lease_s"] == 45, "the room has the policy")
    assert ask(house, f"/percentage_radiator?{ROOM_2}&percentage=41") == {"success": True}
    wait_until(lambda: valve(house)["desired_pct"] == 41, "the hand has the valve")
    held = valve(house)
    assert (held["winner"]["slot"], held["losers"][0]["rule"]) == ("manual", "heat when occupied")
    until = instant(held["manual"]["until_at"])
    house.roles["rooms"].kill()
    house.roles["rooms"].start()
    after = valve(house)
    assert (after["desired_pct"], after["manual"]["until_at"]) == (41, held["manual"]["until_at"])
    assert datetime.now(UTC) < until, "the worker was back before the lease's end"
    wait_until(lambda: valve(house)["manual"] is None, "the lease has ended", within_s=60)
    back = valve(house)
    assert back["winner"]["rule"] == "heat when occupied"
    assert timedelta(0) <= instant(back["desired_at"]) - until < timedelta(seconds=2)
    wait_until(lambda: valve(house)["reported_pct"] == 90, "automation has it back")
    last, before = [sent["event"] for sent in valve(house)["recent"]][:2]
    assert last in ("Tick", "Reading"), "a reading logged between the end and its Tick ends the lease as well"
    assert before == "Intent"


def test_a_changed_policy_acts_within_2_s_and_is_named_in_the_next_why(house: House) -> None:
    wait_until(lambda: valve(house)["desired_pct"] == 90 and valve(house)["pending"] is None, "heating")
    before = why(house)["commands"][0]["command_id"]
    floor = {"valve_occupied_pct": 77}
    sent_at = time.monotonic()
    status, stored = put(house, "/v1/policies/floors/4", floor)
    wait_until(lambda: why(house)["commands"][0]["command_id"] != before, "the policy acts")
    took = time.monotonic() - sent_at
    assert (status, took < 2) == (200, True), took
    told = why(house)
    assert told["winner"]["value_pct"] == 77
    assert told["commands"][0]["policy_revision"] == stored["revision"] == ask(house, "/v1/rooms/2/why")["policy_revision"]
    assert told["commands"][0]["event"] == "PolicyChanged"
    assert put(house, POLICY, RESTLESS | {"valve_occupied_pct": 66})[0] == 200
    wait_until(lambda: valve(house)["desired_pct"] == 66, "the room's own document is nearer than its floor's")
    assert put(house, POLICY, RESTLESS)[0] == 200
    assert put(house, "/v1/policies/floors/4", {})[0] == 200
    wait_until(lambda: valve(house)["desired_pct"] == 90, "without documents the default again")


def test_refused_documents_change_nothing_by_api_and_command_line(house: House) -> None:
    assert put(house, POLICY, {"humid_clear_below_pct": 44})[0] == 200
    stored = ask(house, POLICY)
    for document, path in (({"humid_abov_pct": 5}, "humid_abov_pct"), ({"schedule": [{"name": "x"}]}, "schedule[0]")):
        status, problem = put(house, POLICY, document)
        assert (status, problem["errors"][0]["name"]) == (422, path)
        told = cli(house, "policies", "put", "room/2", "-", given=json.dumps(document))
        assert (told.returncode, path in told.stderr, "Traceback" in told.stderr) == (1, True, False)
    status, problem = put(house, "/v1/policies/building", {"humid_above_pct": 43, "humid_clear_below_pct": 40})
    assert (status, "in room 2" in problem["detail"]) == (422, True), "it contradicts what room 2 has of its own"
    assert put(house, POLICY, {}, etag='"0"')[0] == 412
    assert put(house, "/v1/policies/floors/4", {"humid_above_pct": 48})[0] == 200
    changed = cli(house, "policies", "change", "2", "--humid-clear-below-pct", "49")
    assert (changed.returncode, "humid_clear_below_pct" in changed.stderr) == (1, True), "nor what its floor's contradicts"
    shown = cli(house, "policies", "show", "2").stdout
    assert "humid_above_pct              48.0  (floor/4)" in shown
    assert "* humid_clear_below_pct        44.0" in shown
    assert put(house, "/v1/policies/floors/4", {})[0] == 200
    assert ask(house, POLICY) | {"in_force": None} == stored | {"in_force": None}
    shown = cli(house, "policies", "get", "room/2")
    assert (shown.returncode, f"revision {stored['revision']}" in shown.stdout) == (0, True)
