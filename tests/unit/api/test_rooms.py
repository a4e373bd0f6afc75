"""`/v1/rooms`, intents, health and problems."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from yarl import URL

from api.positions import format_position, parse_position
from schemas.codecs import DEFAULT_POLICY
from schemas.records import Clock, IntentAction, Kind, PolicyChanged, Position, Reading
from tests.unit.api.building import BLIND_2, NOON, SENSOR_2, VALVE_2, Building
from tests.unit.api.conftest import Client


async def room_2(client: Client, query: str = "") -> dict:
    async with client.get(f"/v1/rooms/2{query}") as response:
        assert response.status == 200, await response.text()
        return await response.json()


def actuator(room: dict, kind: str) -> dict:
    [found] = [one for one in room["actuators"] if one["kind"] == kind]
    return found


async def test_the_rooms_come_by_number_with_how_current_they_are(client: Client) -> None:
    async with client.get("/v1/rooms") as response:
        body = await response.json()
    assert [room["number"] for room in body["rooms"]] == [1, 2, 10, 11]
    assert body["status"] == {
        "caught_up": True, "lag": None, "stalled_s": 0.0, "reasons": [], "now_at": "2026-03-02T11:00:00Z",
    }  # fmt: skip


async def test_what_is_not_known_is_null(client: Client) -> None:
    room = await room_2(client)
    assert room["readings"] == {"temperature_c": None, "humidity_pct": None, "illuminance_lx": None, "motion": None}
    assert room["averages"] == {"temperature_c": None, "humidity_pct": None, "illuminance_lx": None, "co2_ppm": None}
    assert room["occupancy"]["state"] == "unknown"


async def test_a_reading_has_its_age_unit_and_sensors(client: Client, building: Building) -> None:
    building.sense(Kind.temperature_c, 0.0)
    building.later(seconds=7)
    room = await room_2(client)
    assert room["readings"]["temperature_c"] == {
        "value": 0.0, "unit": "°C", "at": "2026-03-02T11:00:00Z", "age_s": 7.0, "stale": False,
        "sensors": [
            {"device_id": SENSOR_2, "name": "Multisensor 6", "value": 0.0, "at": "2026-03-02T11:00:00Z",
             "age_s": 7.0, "stale": False, "flag": "plausible", "flagged_at": None},
        ],
    }  # fmt: skip
    assert room["averages"]["temperature_c"] == {"value": 0.0, "unit": "°C", "readings": 1}


async def test_carbon_dioxide_has_its_average_too(client: Client, building: Building) -> None:
    for value in (600.0, 700.0):
        building.sense(Kind.co2_ppm, value)
    assert (await room_2(client))["averages"]["co2_ppm"] == {"value": 650.0, "unit": "ppm", "readings": 2}


async def test_a_silent_sensor_makes_the_reading_stale(client: Client, building: Building) -> None:
    building.sense(Kind.temperature_c, 21.0)
    building.later(days=1)
    assert (await room_2(client))["readings"]["temperature_c"]["stale"] is True


async def test_a_sensor_whose_clock_is_slow_is_not_stale(client: Client, building: Building) -> None:
    building.tell("2", Reading(SENSOR_2, Kind.temperature_c, 21.0, building.now - timedelta(days=1)))
    reading = (await room_2(client))["readings"]["temperature_c"]
    assert (reading["age_s"], reading["stale"]) == (86400.0, False)
    building.later(seconds=DEFAULT_POLICY.reading_stale_s)
    assert (await room_2(client))["readings"]["temperature_c"]["stale"] is True


async def test_motion_occupies_the_room_and_the_page_sees_why_the_valve_moves(client: Client, building: Building) -> None:
    building.sense(Kind.valve_pct, 10.0, VALVE_2)
    building.later(minutes=2)
    building.sense(Kind.motion, 1.0)
    room = await room_2(client)
    valve = actuator(room, "valve_pct")
    assert (room["occupancy"]["state"], room["occupancy"]["since_at"]) == ("occupied", "2026-03-02T11:02:00Z")
    assert (valve["desired_pct"], valve["reported_pct"], valve["winner"]["slot"]) == (90.0, 10.0, "comfort")
    assert valve["pending"]["command_id"]
    assert [loser["slot"] for loser in valve["losers"]] == ["default"]
    building.answer(VALVE_2)
    valve = actuator(await room_2(client), "valve_pct")
    assert (valve["reported_pct"], valve["pending"], valve["last_status"]) == (90.0, None, "done")


async def test_set_takes_the_manual_slot_and_release_gives_it_back(client: Client, building: Building) -> None:
    body = {"action": "set", "kind": "closed_pct", "value_pct": 70, "source": "page", "reason": "glare", "device_id": BLIND_2}
    async with client.post("/v1/rooms/2/intents", json=body) as response:
        accepted = await response.json()
        assert response.status == 202
    blind = actuator(await room_2(client, f"?min_position={accepted['min_position']}"), "closed_pct")
    assert blind["winner"]["slot"] == "manual"
    assert blind["manual"] == {
        "value_pct": 70.0, "source": "page", "reason": "glare",
        "since_at": "2026-03-02T11:00:00Z", "until_at": "2026-03-02T13:00:00Z", "ends": "at",
    }  # fmt: skip
    async with client.post("/v1/rooms/2/intents", json={"action": "release", "kind": "closed_pct"}) as response:
        assert response.status == 202
    assert actuator(await room_2(client), "closed_pct")["manual"] is None
    assert [intent.action for _, intent in building.intents] == [IntentAction.set, IntentAction.release]


async def test_an_intents_end_can_be_chosen(client: Client, building: Building) -> None:
    until = (NOON + timedelta(minutes=30)).isoformat()
    body = {"action": "set", "kind": "valve_pct", "value_pct": 0, "until_at": until}
    async with client.post("/v1/rooms/2/intents", json=body) as response:
        assert response.status == 202
    assert actuator(await room_2(client), "valve_pct")["manual"]["until_at"] == "2026-03-02T11:30:00Z"


SET = {"action": "set", "kind": "valve_pct", "value_pct": 50}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "set", "kind": "valve_pct"},
        {"action": "release", "kind": "valve_pct", "value_pct": 1},
        SET | {"value_pct": 101},
        SET | {"value_pct": -0.1},
        SET | {"value_pct": None},
        SET | {"value_pct": "50"},
        SET | {"kind": "temperature_c"},
        SET | {"action": "toggle"},
        SET | {"device_id": BLIND_2},
        SET | {"device_id": 999},
        SET | {"until_at": "2026-03-02T10:00:00Z"},
        SET | {"until_at": "2027-03-02T10:00:00Z"},
        SET | {"until_at": "2026-03-02T12:00:00"},
        SET | {"surprise": 1},
        SET | {"source": ""},
        [],
    ],
)
async def test_an_intent_that_makes_no_sense_is_a_422_problem(client: Client, building: Building, body: object) -> None:
    async with client.post("/v1/rooms/2/intents", json=body) as response:
        problem = await response.json(content_type="application/problem+json")
    assert (response.status, problem["status"], problem["instance"]) == (422, 422, "/v1/rooms/2/intents")
    assert problem["errors"]
    assert building.intents == []


@pytest.mark.parametrize(
    ("method", "path", "data", "content_type", "status"),
    [
        ("GET", "/v1/rooms/99", "", "", 404),
        ("GET", "/nowhere", "", "", 404),
        ("POST", "/v1/rooms", "", "", 405),
        ("POST", "/v1/rooms/99/intents", '{"action":"release","kind":"valve_pct"}', "application/json", 404),
        ("POST", "/v1/rooms/2/intents", "{", "application/json", 400),
        ("POST", "/v1/rooms/2/intents", '"\\ud800"', "application/json", 400),
        ("POST", "/v1/rooms/2/intents", "action=set", "application/x-www-form-urlencoded", 415),
        ("POST", "/v1/rooms/2/intents", " " * 20_000, "application/json", 413),
        ("GET", "/v1/rooms/2?min_position=nonsense", "", "", 422),
        ("GET", "/v1/rooms/2?min_position=log-1:1", "", "", 422),
    ],
)
async def test_errors_are_problems(client: Client, method: str, path: str, data: str, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    async with client.request(method, path, data=data or None, headers=headers) as response:
        problem = await response.json(content_type="application/problem+json")
    assert (response.status, problem["status"]) == (status, status)
    assert problem["title"]


async def test_an_intent_kafka_does_not_acknowledge_is_503(client: Client, building: Building) -> None:
    building.kafka_answers = False
    async with client.post("/v1/rooms/2/intents", json=SET) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "2")


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
)
async def test_another_sites_page_cannot_post(client: Client, building: Building, headers: dict[str, str]) -> None:
    async with client.post("/v1/rooms/2/intents", json=SET, headers=headers) as response:
        assert response.status == 403
    assert building.intents == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "[::2]", ""])
async def test_a_foreign_host_name_reads_nothing(client: Client, host: str) -> None:
    async with client.get("/v1/rooms", headers={"Host": host}) as response:
        assert response.status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080"])
async def test_loopbacks_names_are_ours(client: Client, host: str) -> None:
    async with client.get("/v1/rooms", headers={"Host": host}) as response:
        assert response.status == 200


async def test_a_read_waits_for_the_position_it_names(client: Client, building: Building) -> None:
    building.hold = True
    async with client.post("/v1/rooms/2/intents", json=SET) as response:
        accepted = await response.json()
    reading = asyncio.create_task(room_2(client, f"?min_position={accepted['min_position']}"))
    _, pending = await asyncio.wait({reading}, timeout=0.05)
    assert pending
    building.tell(*building.intents[0])
    assert actuator(await reading, "valve_pct")["manual"]["value_pct"] == 50


@pytest.mark.parametrize("log_id", ["log-1", "AqaHNQ55Tk2GeULA+uO6kA", "a/b+c_d-e"])
def test_a_position_survives_an_url_pasted_or_built(log_id: str) -> None:
    position = Position(log_id, 9, 1234)
    text = format_position(position)
    pasted = URL(f"http://x/?min_position={text}", encoded=True).query["min_position"]
    built = URL("http://x/").with_query(min_position=text).query["min_position"]
    assert parse_position(pasted) == parse_position(built) == position


async def test_a_position_not_reached_in_time_is_503(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.positions.POSITION_WAIT_S", 0.02)
    async with client.get("/v1/rooms/2?min_position=log-1:9:99999") as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "2")


async def test_until_caught_up_it_is_live_and_not_ready(client: Client, building: Building) -> None:
    building.replica.partitions_left = 3
    for path, status in (
        ("/health/live", 200),
        ("/health/ready", 503),
        ("/v1/rooms", 503),
        ("/v1/rooms/2", 503),
        ("/v1/events", 503),
    ):
        async with client.get(path) as response:
            assert response.status == status, path
            assert ("Retry-After" in response.headers) == (status == 503)
    async with client.get("/health/ready") as response:
        assert (await response.json())["reasons"] == ["the replica is still reading: 3 partitions to go"]


async def test_ready_says_what_is_not_current(client: Client, building: Building) -> None:
    async with client.get("/health/ready") as response:
        assert (response.status, (await response.json())["status"]) == (200, "ready")
    building.replica.trouble = "Kafka does not answer"
    async with client.get("/health/ready") as response:
        body = await response.json()
        assert (response.status, body["status"], body["reasons"]) == (200, "degraded", ["Kafka does not answer"])


async def test_openapi_describes_every_v1_operation(client: Client) -> None:
    async with client.get("/v1/openapi.json") as response:
        document = await response.json()
    rooms = {"", "/{room_id}", "/{room_id}/intents", "/{room_id}/why", "/{room_id}/lock"}
    actuators = {"/{room_id}/actuators/{device_id}/lease", "/{room_id}/actuators/{device_id}/lock"}
    policies = {"/v1/policies/building", "/v1/policies/floors/{floor}", "/v1/policies/rooms/{room_id}"}
    expected = {f"/v1/rooms{path}" for path in rooms | actuators} | policies | {"/v1/floors/{floor}/intents"}
    assert set(document["paths"]) == expected
    post = document["paths"]["/v1/rooms/{room_id}/intents"]["post"]
    assert set(post["responses"]) == {"202", "400", "404", "409", "415", "422", "503"}
    assert post["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/IntentRequest"}
    assert document["components"]["schemas"]["IntentRequest"]["properties"]["kind"] == {
        "enum": ["closed_pct", "level_pct", "valve_pct"]
    }


@pytest.mark.parametrize("path", ["/", "/atrium.css", "/atrium.js", "/icon.svg"])
async def test_the_page_is_served_with_a_strict_policy(client: Client, path: str) -> None:
    async with client.get(path) as response:
        assert response.status == 200
        assert len(await response.text()) > 100
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_a_recorded_room_is_shown_in_the_time_of_its_recording_and_takes_no_intents(
    client: Client, building: Building
) -> None:
    building.tell("2", PolicyChanged(msgspec.structs.replace(DEFAULT_POLICY, revision=9, clock=Clock.recorded)))
    then = datetime(2015, 2, 2, 14, 0, tzinfo=UTC)
    for minute in (0, 1):
        building.tell("2", Reading(SENSOR_2, Kind.temperature_c, 20.0 + minute, then + timedelta(minutes=minute)))
    room = await room_2(client)
    assert (room["clock"], room["now_at"]) == ("recorded", "2026-03-02T11:00:00Z")
    assert (room["readings"]["temperature_c"]["age_s"], room["readings"]["temperature_c"]["stale"]) == (0.0, False)
    assert room["averages"]["temperature_c"] == {"value": 20.5, "unit": "°C", "readings": 2}
    body = {"action": "set", "kind": "valve_pct", "value_pct": 50}
    async with client.post("/v1/rooms/2/intents", json=body) as response:
        assert (response.status, (await response.json())["title"]) == (409, "Conflict")
    assert building.intents == []
