"""The contract of the old project's 16 routes, one row a case."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.app import create_app
from api.legacy_routes import LAST_SET, PATHS, READS, WRITES, whole
from api.replica import Replica
from infra.building_plan import BEACONS, ROOMS
from schemas.records import IntentAction, Kind
from tests.unit.api.building import BLIND_2, LAMP_2, ROOM_2, UUID, Building
from tests.unit.api.conftest import Client

SETS = [
    ("/open_blinds", {}, Kind.closed_pct, 0.0),
    ("/close_blinds", {}, Kind.closed_pct, 100.0),
    ("/percentage_blinds", {"percentage": "30"}, Kind.closed_pct, 70.0),
    ("/percentage_blinds", {"percentage": "0"}, Kind.closed_pct, 100.0),
    ("/percentage_blinds", {"percentage": "100"}, Kind.closed_pct, 0.0),
    ("/percentage_radiator", {"percentage": "55"}, Kind.valve_pct, 55.0),
    ("/percentage_radiator", {"percentage": "0"}, Kind.valve_pct, 0.0),
    ("/percentage_radiator", {"percentage": "100"}, Kind.valve_pct, 100.0),
    ("/percentage_dimmers", {"percentage": "25"}, Kind.level_pct, 25.0),
    ("/percentage_dimmers", {"percentage": "0"}, Kind.level_pct, 0.0),
]
SENSED = [
    ("/sensor_get_temperature", Kind.temperature_c, 21.4, {"value": 21}),
    ("/sensor_get_temperature", Kind.temperature_c, 0.0, {"value": 0}),
    ("/sensor_get_temperature", Kind.temperature_c, -3.2, {"value": -3}),
    ("/sensor_get_humidity", Kind.humidity_pct, 40.5, {"value": 41}),
    ("/sensor_get_humidity", Kind.humidity_pct, 0.0, {"value": 0}),
    ("/sensor_get_luminance", Kind.illuminance_lx, 312.0, {"value": 312}),
    ("/sensor_get_luminance", Kind.illuminance_lx, 0.0, {"value": 0}),
    ("/sensor_get_motion", Kind.motion, 1.0, {"value": 1}),
    ("/sensor_get_motion", Kind.motion, 0.0, {"value": 0}),
    ("/avg_temperature", Kind.temperature_c, 21.6, {"avg_temperature": 22, "value": 22}),
    ("/avg_humidity", Kind.humidity_pct, 40.0, {"avg_humidity": 40, "value": 40}),
    ("/avg_luminance", Kind.illuminance_lx, 0.0, {"avg_luminance": 0, "value": 0}),
]
BAD_BEACONS = [
    {},
    {"uuid": UUID},
    {"uuid": UUID, "major": "17644"},
    {"uuid": "not-a-uuid", "major": "17644", "minor": "31456"},
    {"uuid": UUID, "major": "x", "minor": "31456"},
    {"uuid": UUID, "major": "17644", "minor": "-1"},
    {"uuid": UUID, "major": "17644", "minor": "65536"},
    {"uuid": UUID, "major": "17644", "minor": "1" * 5000},
    {"uuid": UUID, "major": "١", "minor": "31456"},
]
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Purpose": "prefetch"},
    {"Host": "evil.example"},
    {"Origin": "http://evil.example"},
]
BAD_PERCENTAGES = ["", "-1", "101", "30.5", "NaN", "1e1", "thirty", "99999999999999"]


class Noticed(list[Any]):
    """A list that says when something is added."""

    def __init__(self, items: list[Any]) -> None:
        super().__init__(items)
        self.added = asyncio.Event()

    def append(self, item: Any) -> None:
        super().append(item)
        self.added.set()


async def get(client: Client, path: str, **params: str) -> tuple[int, object]:
    async with client.get(path, params=params) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


def test_there_are_the_16_routes() -> None:
    expected = {
        "/open_blinds", "/close_blinds", "/percentage_blinds", "/percentage_radiator", "/read_percentage_blinds",
        "/percentage_dimmers",
        "/sensor_get_temperature", "/sensor_get_humidity", "/sensor_get_luminance", "/sensor_get_motion", "/dimmer_get_level",
        "/get_beacons", "/get_devices", "/avg_temperature", "/avg_humidity", "/avg_luminance",
    }  # fmt: skip
    assert expected == PATHS
    assert len(expected) == 16


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("path", "extra", "kind", "value_pct"), SETS)
async def test_a_set_route_puts_one_intent_into_the_rooms_log(
    client: Client, building: Building, path: str, extra: dict[str, str], kind: Kind, value_pct: float, slash: str
) -> None:
    assert await get(client, path + slash, **ROOM_2, **extra) == (200, {"success": True})
    [(room_id, intent)] = building.intents
    assert (room_id, intent.action, intent.kind, intent.value_pct) == ("2", IntentAction.set, kind, value_pct)
    assert (intent.source, intent.at, intent.device_id) == ("api", building.now, None)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("path", "kind", "value", "answer"), SENSED)
async def test_a_sensor_route_answers_whole_numbers(
    client: Client, building: Building, path: str, kind: Kind, value: float, answer: dict[str, int], slash: str
) -> None:
    building.sense(kind, value)
    assert await get(client, path + slash, **ROOM_2) == (200, {"success": True} | answer)


@pytest.mark.parametrize("path", [*READS, *WRITES])
async def test_the_uuids_case_does_not_matter(client: Client, building: Building, path: str) -> None:
    for kind in (Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.motion):
        building.sense(kind, 1.0)
    for kind, device_id in ((Kind.closed_pct, BLIND_2), (Kind.level_pct, LAMP_2)):
        building.sense(kind, 0.0, device_id)
    status, body = await get(client, path, **(ROOM_2 | {"uuid": UUID.upper(), "percentage": "30"}))
    assert (status, body["success"]) == (200, True)  # type: ignore[index]


@pytest.mark.parametrize("path", [*READS, *WRITES])
@pytest.mark.parametrize("params", BAD_BEACONS)
async def test_parameters_that_name_no_beacon_are_400(
    client: Client, building: Building, path: str, params: dict[str, str]
) -> None:
    assert await get(client, path, **params, percentage="30") == (400, {"success": False})
    assert building.intents == []


@pytest.mark.parametrize("path", ["/percentage_blinds", "/percentage_radiator", "/percentage_dimmers"])
@pytest.mark.parametrize("percentage", BAD_PERCENTAGES)
async def test_a_bad_percentage_is_400_and_nothing_is_set(client: Client, building: Building, path: str, percentage: str) -> None:
    assert await get(client, path, **ROOM_2, percentage=percentage) == (400, {"success": False})
    assert await get(client, path, **ROOM_2) == (400, {"success": False})
    assert building.intents == []


@pytest.mark.parametrize("path", [*READS, *WRITES])
async def test_an_unknown_beacon_is_404(client: Client, building: Building, path: str) -> None:
    assert await get(client, path, uuid=UUID, major="1", minor="2", percentage="30") == (404, {"success": False})
    assert building.intents == []


@pytest.mark.parametrize("path", sorted(set(READS) - {"/get_devices"}))
async def test_no_data_yet_is_404(client: Client, path: str) -> None:
    assert await get(client, path, **ROOM_2) == (404, {"success": False})


@pytest.mark.parametrize("path", WRITES)
async def test_a_set_that_kafka_does_not_acknowledge_is_503(client: Client, building: Building, path: str) -> None:
    building.kafka_answers = False
    assert await get(client, path, **ROOM_2, percentage="30") == (503, {"success": False})


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_until_caught_up_every_route_is_503_with_retry_after(client: Client, building: Building, path: str) -> None:
    building.replica.partitions_left = 3
    async with client.get(path, params=ROOM_2 | {"percentage": "30"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "2")
        assert await response.json() == {"success": False}
    assert building.intents == []


@pytest.mark.parametrize("percentage", range(101))
async def test_a_percentage_set_reads_back_at_once_and_when_the_blind_is_there(
    client: Client, building: Building, percentage: int
) -> None:
    building.sense(Kind.closed_pct, 40.0, BLIND_2)
    wanted = (200, {"success": True, "percentage": percentage, "value": percentage})
    await get(client, "/percentage_blinds", **ROOM_2, percentage=str(percentage))
    assert await get(client, "/read_percentage_blinds", **ROOM_2) == wanted
    building.answer(BLIND_2)
    assert await get(client, "/read_percentage_blinds/", **ROOM_2) == wanted


async def test_a_blind_that_stuck_reads_as_it_stands(client: Client, building: Building) -> None:
    building.sense(Kind.closed_pct, 0.0, BLIND_2)
    await get(client, "/percentage_blinds", **ROOM_2, percentage="30")
    building.answer(BLIND_2, reported_pct=15.0)
    assert await get(client, "/read_percentage_blinds", **ROOM_2) == (200, {"success": True, "percentage": 85, "value": 85})


async def test_a_read_waits_for_the_fold_of_what_was_just_set(client: Client, building: Building) -> None:
    building.sense(Kind.level_pct, 0.0, LAMP_2)
    building.hold = True
    await get(client, "/percentage_dimmers", **ROOM_2, percentage="80")
    [(room_id, intent)] = building.intents
    building.replica.watchers = Noticed(building.replica.watchers)
    reading = asyncio.create_task(get(client, "/dimmer_get_level", **ROOM_2))
    await building.replica.watchers.added.wait()
    building.tell(room_id, intent)
    assert await reading == (200, {"success": True, "value": 80})


async def test_a_set_holds_against_automation_for_two_hours(client: Client, building: Building) -> None:
    await get(client, "/percentage_radiator", **ROOM_2, percentage="55")
    building.sense(Kind.motion, 1.0)
    [actuator] = [one for one in building.rooms["2"].actuators if one.kind is Kind.valve_pct]
    assert actuator.desired_pct == 55
    assert actuator.lease is not None
    assert actuator.lease.until_at - actuator.lease.since_at == timedelta(hours=2)


async def test_averages_span_closed_and_open_buckets_of_three_hours(client: Client, building: Building) -> None:
    building.sense(Kind.temperature_c, 40.0)
    building.later(hours=2, minutes=59)
    building.sense(Kind.temperature_c, 20.0)
    assert await get(client, "/avg_temperature", **ROOM_2) == (200, {"success": True, "avg_temperature": 30, "value": 30})
    building.later(minutes=10)
    building.sense(Kind.temperature_c, 22.0)
    assert await get(client, "/avg_temperature", **ROOM_2) == (200, {"success": True, "avg_temperature": 21, "value": 21})
    building.later(hours=4)
    assert await get(client, "/avg_temperature", **ROOM_2) == (404, {"success": False})


@pytest.mark.parametrize("path", ["/get_beacons", "/get_beacons/"])
async def test_get_beacons_lists_them_all(client: Client, path: str) -> None:
    numbers = {room.room_id: room.number for room in ROOMS}
    wanted = [
        {"uuid": b.uuid, "major": b.major, "minor": b.minor, "room_number": numbers[b.room_id]}
        for b in sorted(BEACONS, key=lambda b: (b.major, b.minor))
    ]
    assert await get(client, path) == (200, {"success": True, "beacons": wanted})
    assert await get(client, path, **ROOM_2) == (200, {"success": True, "beacons": wanted})


async def test_get_devices_lists_those_of_the_beacons_room(client: Client) -> None:
    assert await get(client, "/get_devices", **ROOM_2) == (
        200,
        {
            "success": True,
            "devices": [
                {"id": 2, "name": "radiator"},
                {"id": 6, "name": "blind"},
                {"id": 11, "name": "ZE27"},
                {"id": 12, "name": "Multisensor 6"},
            ],
        },
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", WRITES)
async def test_only_get_acts(client: Client, building: Building, path: str, method: str) -> None:
    async with client.request(method, path, params=ROOM_2 | {"percentage": "30"}) as response:
        assert response.status == 405
    assert building.intents == []


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", WRITES)
async def test_another_sites_page_cannot_act(client: Client, building: Building, path: str, headers: dict[str, str]) -> None:
    async with client.get(path, params=ROOM_2 | {"percentage": "30"}, headers=headers) as response:
        assert (response.status, await response.json()) == (403, {"success": False})
    assert building.intents == []


@pytest.mark.parametrize("site", ["none", "same-origin"])
async def test_a_person_or_the_page_itself_can(client: Client, building: Building, site: str) -> None:
    async with client.get("/open_blinds", params=ROOM_2, headers={"Sec-Fetch-Site": site}) as response:
        assert response.status == 200
    assert len(building.intents) == 1


async def test_a_bug_shows_no_trace() -> None:
    def broken() -> None:
        raise RuntimeError("secret")

    replica = Replica()
    replica.partitions_left = 0
    building = Building()
    building.introduce()
    replica.beacons = building.replica.beacons
    replica.rooms = building.replica.rooms
    async with TestClient(TestServer(create_app(replica, building, broken))) as client:  # type: ignore[arg-type]
        async with client.get("/sensor_get_motion", params=ROOM_2) as response:
            assert (response.status, await response.json()) == (500, {"success": False})
        async with client.get("/v1/rooms") as response:
            assert response.status == 500
            assert "secret" not in await response.text()


@pytest.mark.parametrize(("value", "rounded"), [(0.5, 1), (1.5, 2), (2.5, 3), (2.49, 2), (-0.5, 0), (-1.6, -2), (0.0, 0)])
def test_halves_round_up(value: float, rounded: int) -> None:
    assert whole(value) == rounded


async def test_a_read_does_not_forget_a_set_that_came_while_it_waited(client: Client, building: Building) -> None:
    building.sense(Kind.closed_pct, 0.0, BLIND_2)
    building.hold = True
    await get(client, "/percentage_blinds", **ROOM_2, percentage="30")
    watchers = Noticed(building.replica.watchers)
    building.replica.watchers = watchers
    read = asyncio.create_task(get(client, "/read_percentage_blinds", **ROOM_2))
    async with asyncio.timeout(5):
        await watchers.added.wait()
    later = msgspec.structs.replace(building.replica.rooms["2"].position, offset=10_000)
    client.app[LAST_SET]["2"] = later
    building.tell(*building.intents[0])
    assert (await read)[0] == 200
    assert client.app[LAST_SET]["2"] is later
