"""The API on real Kafka: intents acknowledged, the fold and the gateways behind it, lag told, Kafka away and back."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from msgspec.structs import replace

from streams.settings import Settings
from tests import asking
from tests.conftest import Services
from tests.processes import Running, free_port, role, wait_until

ROOM_1 = {"uuid": "B9407F30-F5F8-466E-AFF9-25556B57FE6D", "major": "17644", "minor": "12302"}


def ask(settings: Settings, path: str, body: dict[str, Any] | None = None, **params: str) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{settings.api_port}{path}"
    if params:
        url += "?" + urllib.parse.urlencode(params)
    return asking.ask(url, body)


def actuator(settings: Settings, room_id: str, kind: str) -> dict[str, Any]:
    _, room = ask(settings, f"/v1/rooms/{room_id}")
    return next((one for one in room["actuators"] if one["kind"] == kind), {})


@pytest.fixture(scope="module")
def running(stack: Settings) -> Iterator[dict[str, Running]]:
    with ExitStack() as roles:
        started = {name: roles.enter_context(role(name, stack)) for name in ("simulator", "rooms", "knx", "zwave", "api")}
        wait_until(lambda: actuator(stack, "1", "closed_pct").get("reported_pct") is not None, "the blind of room 1 has reported")
        yield started


def test_30_percent_set_reads_back_30_at_once_and_when_the_blind_is_there(stack: Settings, running: dict[str, Running]) -> None:
    assert ask(stack, "/percentage_blinds/", **ROOM_1, percentage="30") == (200, {"success": True})
    assert ask(stack, "/read_percentage_blinds", **ROOM_1) == (200, {"success": True, "percentage": 30, "value": 30})

    def is_there() -> bool:
        blind = actuator(stack, "1", "closed_pct")
        return blind["reported_pct"] == 70 and blind["pending"] is None and blind["last_status"] == "done"

    wait_until(is_there, "the blind of room 1 is confirmed at 70 % closed", within_s=60)
    assert ask(stack, "/read_percentage_blinds", **ROOM_1) == (200, {"success": True, "percentage": 30, "value": 30})
    blind = actuator(stack, "1", "closed_pct")
    assert (blind["winner"]["slot"], blind["manual"]["source"]) == ("manual", "api")


def test_an_intent_can_be_read_back_by_its_position_and_released(stack: Settings, running: dict[str, Running]) -> None:
    body = {"action": "set", "kind": "valve_pct", "value_pct": 55, "source": "page", "reason": "cold feet"}
    status, accepted = ask(stack, "/v1/rooms/10/intents", body)
    assert status == 202
    status, room = ask(stack, "/v1/rooms/10", min_position=accepted["min_position"])
    valve = next(one for one in room["actuators"] if one["kind"] == "valve_pct")
    assert (status, valve["desired_pct"], valve["manual"]["reason"]) == (200, 55, "cold feet")
    assert room["position"]["offset"] >= accepted["position"]["offset"]
    status, accepted = ask(stack, "/v1/rooms/10/intents", {"action": "release", "kind": "valve_pct"})
    _, room = ask(stack, "/v1/rooms/10", min_position=accepted["min_position"])
    assert [one["manual"] for one in room["actuators"] if one["kind"] == "valve_pct"] == [None]


def test_any_api_process_answers_for_any_room(stack: Settings, running: dict[str, Running]) -> None:
    other = replace(stack, api_port=free_port())
    with role("api", other, label="api-2"):
        _, here = ask(stack, "/v1/rooms")
        assert [room["room_id"] for room in here["rooms"]] == ["1", "2", "10", "11"]
        for room in here["rooms"]:
            position = "{log_id}:{partition}:{offset}".format(**room["position"])
            status, there = ask(other, f"/v1/rooms/{room['room_id']}", min_position=position)
            assert status == 200
            assert {one["device_id"] for one in there["actuators"]} == {one["device_id"] for one in room["actuators"]}


def test_a_fold_that_stands_still_shows_as_lag_and_goes_away(stack: Settings, running: dict[str, Running]) -> None:
    running["rooms"].freeze()
    try:
        ask(stack, "/v1/rooms/11/intents", {"action": "release", "kind": "valve_pct"})
        wait_until(lambda: "folds nothing" in str(ask(stack, "/health/ready")[1]["reasons"]), "the stalled fold is told")
        status, health = ask(stack, "/health/ready")
        assert (status, health["status"], health["lag"] > 0) == (200, "degraded", True)
    finally:
        running["rooms"].thaw()
    wait_until(lambda: ask(stack, "/health/ready")[1]["reasons"] == [], "the fold has caught up", within_s=90)


def test_a_set_that_kafka_does_not_acknowledge_is_503_and_works_again_later(
    services: Services, stack: Settings, running: dict[str, Running]
) -> None:
    services.broker.freeze()
    try:
        wait_until(lambda: "Kafka does not answer" in str(ask(stack, "/health/ready")[1]["reasons"]), "the lost broker is told")
        assert ask(stack, "/open_blinds", **ROOM_1) == (503, {"success": False})
        assert ask(stack, "/get_devices", **ROOM_1)[0] == 200
    finally:
        services.broker.thaw()
    wait_until(lambda: ask(stack, "/open_blinds", **ROOM_1)[0] == 200, "Kafka acknowledges again")
    wait_until(lambda: "Kafka" not in str(ask(stack, "/health/ready")[1]["reasons"]), "the broker is back")

    _, accepted = ask(stack, "/v1/rooms/1/intents", {"action": "release", "kind": "closed_pct"})

    def is_folded() -> bool:
        return ask(stack, "/v1/rooms/1", min_position=accepted["min_position"])[0] == 200

    wait_until(is_folded, "the replica follows again", within_s=90)
    ended = [name for name, each in running.items() if each.process is None or each.process.poll() is not None]
    assert ended == [], "a broker that does not answer is waited for"
