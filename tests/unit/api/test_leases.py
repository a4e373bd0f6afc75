"""Holds, locks and floor-wide intents over HTTP, and why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.records import IntentAction, Kind, LeaseEnd
from tests.unit.api.building import BLIND_2, LAMP_2, VALVE_2, Building
from tests.unit.api.conftest import Client

LEASE = f"/v1/rooms/2/actuators/{BLIND_2}/lease"


async def posted(client: Client, path: str, **body: object) -> dict:
    async with client.post(path, json=body) as response:
        assert response.status == 202, await response.text()
        return await response.json()


async def deleted(client: Client, path: str) -> dict:
    async with client.delete(path) as response:
        assert response.status == 202, await response.text()
        return await response.json()


async def room(client: Client, path: str = "", min_position: str = "") -> dict:
    async with client.get(f"/v1/rooms/2{path}" + (f"?min_position={min_position}" if min_position else "")) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def blind(client: Client, **more: str) -> dict:
    return next(one for one in (await room(client, **more))["actuators"] if one["device_id"] == BLIND_2)


async def test_a_lease_is_taken_replaced_extended_and_released(client: Client, building: Building) -> None:
    taken = await posted(client, LEASE, value_pct=30, source="caretaker")
    held = await blind(client, min_position=taken["min_position"])
    assert (held["winner"]["slot"], held["manual"]["value_pct"], held["manual"]["source"]) == ("manual", 30.0, "caretaker")
    await posted(client, LEASE, value_pct=60, until="relinquished")
    held = (await blind(client))["manual"]
    assert (held["value_pct"], held["ends"], held["until_at"]) == (60.0, "relinquished", None)
    until = (building.now + timedelta(hours=5)).isoformat()
    await posted(client, LEASE, until_at=until)
    held = (await blind(client))["manual"]
    assert (held["value_pct"], held["ends"], held["until_at"]) == (60.0, "at", "2026-03-02T16:00:00Z")
    await deleted(client, LEASE)
    assert (await blind(client))["manual"] is None
    assert [intent.action for _, intent in building.intents] == [
        IntentAction.set, IntentAction.set, IntentAction.extend, IntentAction.release,
    ]  # fmt: skip


async def test_a_lease_until_vacant_says_so(client: Client, building: Building) -> None:
    await posted(client, LEASE, value_pct=30, until="vacant")
    assert building.intents[-1][1].ends is LeaseEnd.vacant
    assert "until the room is empty" in (await blind(client))["why"]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (LEASE, {}, 422, "nothing to extend"),
        (LEASE, {"value_pct": 101}, 422, "<= 100"),
        (LEASE, {"value_pct": 10, "until": "sunset"}, 422, "sunset"),
        (LEASE, {"value_pct": 10, "until_at": "2026-03-02T10:00:00Z"}, 422, "lie ahead"),
        (LEASE, {"value_pct": 10, "until": "relinquished", "until_at": "2026-03-02T12:00:00Z"}, 422, "relinquished"),
        (LEASE, {"value_pct": 10, "colour": "red"}, 422, "colour"),
        ("/v1/rooms/2/actuators/999/lease", {"value_pct": 10}, 404, "no actuator"),
        ("/v1/rooms/77/actuators/1/lease", {"value_pct": 10}, 404, "no room"),
        ("/v1/rooms/2/lock", {"reason": "x"}, 422, "source"),
        ("/v1/rooms/2/lock", {"source": "A. Meier", "reason": "x", "value_pct": 5}, 422, "one actuator"),
        ("/v1/floors/9/intents", {"action": "all_off"}, 404, "no floor"),
        ("/v1/floors/4/intents", {"action": "all_on"}, 422, "all_on"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_appended(
    client: Client, building: Building, path: str, body: dict, status: int, says: str
) -> None:
    async with client.post(path, json=body) as response:
        told = await response.json()
        assert (response.status, response.content_type) == (status, "application/problem+json")
        assert says in told["detail"]
    assert building.intents == []


async def test_a_lock_stops_hands_and_is_told_until_it_is_taken_off(client: Client, building: Building) -> None:
    building.sense(Kind.humidity_pct, 40.0)
    await posted(client, f"/v1/rooms/2/actuators/{BLIND_2}/lock", source="A. Meier", reason="motor")
    await posted(client, LEASE, value_pct=30)
    locked = await blind(client)
    assert (locked["desired_pct"], locked["winner"]["rule"], locked["lock"]["source"]) == (0.0, "maintenance lock", "A. Meier")
    assert "locked by A. Meier: motor" in locked["why"]
    await deleted(client, f"/v1/rooms/2/actuators/{BLIND_2}/lock")
    assert (await blind(client))["desired_pct"] == 30.0


async def test_a_rooms_lock_is_every_actuators(client: Client) -> None:
    await posted(client, "/v1/rooms/2/lock", source="A. Meier", reason="painting")
    assert [one["lock"]["reason"] for one in (await room(client))["actuators"]] == ["painting"] * 3
    await deleted(client, "/v1/rooms/2/lock")
    assert [one["lock"] for one in (await room(client))["actuators"]] == [None] * 3


async def test_all_off_reaches_every_room_of_the_floor(client: Client, building: Building) -> None:
    accepted = await posted(client, "/v1/floors/4/intents", action="all_off", source="porter")
    assert set(accepted["rooms"]) == {"1", "2", "10", "11"}
    assert {(room_id, intent.kind, intent.value_pct) for room_id, intent in building.intents} == {
        (room_id, Kind.level_pct, 0.0) for room_id in ("1", "2", "10", "11")
    }
    await posted(client, "/v1/floors/4/intents", action="all_up")
    assert {(intent.kind, intent.value_pct) for _, intent in building.intents[4:]} == {(Kind.closed_pct, 0.0)}


async def test_why_says_the_facts_the_limit_the_loser_and_the_way_back(client: Client, building: Building) -> None:
    for kind, value in ((Kind.humidity_pct, 53.0), (Kind.illuminance_lx, 5.0), (Kind.motion, 1.0)):
        position = building.sense(kind, value)
    building.answer(BLIND_2)
    told = await room(client, "/why")
    assert told["position"]["offset"] > position.offset
    [reasons] = [one for one in told["actuators"] if one["device_id"] == BLIND_2]
    assert reasons["why"] == (
        f"{reasons['name'].capitalize()} is closed because humidity was 53 % at 12:00 (limit 50 %); "
        "opening for daylight was asked and lost; it may open again below 45 %."
    )
    [command] = reasons["commands"]
    assert (command["state"], command["event"], command["policy_revision"]) == ("done", "Reading", 0)
    assert reasons["winner"]["inputs"] == [{"name": "humidity_pct", "value": 53.0, "at": "2026-03-02T11:00:00Z", "limit": 50.0}]
    assert [(one["slot"], one["rule"]) for one in reasons["losers"]] == [
        ("comfort", "daylight when dark"), ("default", "relinquish default"),
    ]  # fmt: skip


async def test_an_actuator_that_does_not_follow_is_told(client: Client, building: Building) -> None:
    building.sense(Kind.motion, 1.0)
    for _ in range(4):
        building.answer(VALVE_2, 10.0)
        building.later(minutes=10)
        building.wake("2")
    valve = next(one for one in (await room(client))["actuators"] if one["device_id"] == VALVE_2)
    assert valve["fault"] == "sent 4 times, failed: stuck"
    assert "but it does not follow: sent 4 times" in valve["why"]
    assert [one["state"] for one in valve["recent"]] == ["failed"] * 4
    assert next(one for one in (await room(client))["actuators"] if one["device_id"] == LAMP_2)["fault"] == ""
