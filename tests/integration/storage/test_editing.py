"""`atrium rooms|devices|beacons|policies` on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agents.building import Building
from agents.carrying import read_building
from infra.database import migrate
from infra.seed import seed
from streams.cli import main
from streams.database import connection
from streams.settings import Settings

Atrium = Callable[..., Result]


@pytest.fixture
def atrium(fresh: Settings, tmp_path: Path) -> Atrium:
    asyncio.run(_seeded(fresh))

    def run(*words: str, stdin: str | None = None) -> Result:
        env = {"DATABASE_URL": fresh.database, "ATRIUM_HOME": str(tmp_path)}
        return CliRunner().invoke(main, list(words), env=env, input=stdin)

    return run


async def _seeded(settings: Settings) -> None:
    await migrate(settings.database)
    await seed(settings.database)


def building(settings: Settings) -> Building:
    async def read() -> Building:
        async with connection(settings.database) as db:
            return await read_building(db)

    return asyncio.run(read())


def test_a_device_is_added_shown_changed_listed_and_removed(atrium: Atrium, fresh: Settings) -> None:
    added = atrium(
        "devices", "add", "20", "--name", "south", "--room-id", "2", "--role", "dimmer", "--bus", "zwave", "--line-id", "zwave-1",
        "--zwave-node", "30",
    )  # fmt: skip
    assert (added.exit_code, added.output.splitlines()[-1]) == (0, "1 changed")
    assert json.loads(atrium("devices", "show", "20", "--json").output)["zwave_node"] == 30
    assert atrium("devices", "change", "20", "--room-id", "10", "--name", "north").output.splitlines()[0] == (
        "~ device 20: name south -> north, room_id 2 -> 10"
    )
    assert building(fresh).devices["20"].room_id == "10"
    assert len(json.loads(atrium("devices", "list", "--json").output)) == 17
    assert "north" in atrium("devices", "list").output
    assert atrium("devices", "remove", "20", "16").exit_code == 0
    assert len(building(fresh).devices) == 15


@pytest.mark.parametrize("group", ["rooms", "devices", "beacons", "policies"])
@pytest.mark.parametrize("suffix", ["yaml", "csv"])
def test_an_export_imports_as_nothing_to_change(atrium: Atrium, tmp_path: Path, group: str, suffix: str) -> None:
    file = str(tmp_path / f"{group}.{suffix}")
    assert atrium("policies", "change", "2", "--day-starts", "06:30", "--humid-above-pct", "60").exit_code == 0
    assert atrium(group, "export", file).exit_code == 0
    assert atrium(group, "import", file, "--replace").output == "Nothing to change.\n"
    assert atrium(group, "export", "--format", suffix).output == Path(file).read_text()


def test_a_file_with_faults_changes_nothing_and_tells_them_all(atrium: Atrium, fresh: Settings, tmp_path: Path) -> None:
    before = building(fresh)
    file = tmp_path / "rooms.csv"
    file.write_text("room_id,number,floor,name\n12,12,4,Atelier\n13,x,4,Store\n14,10,4,Twin of 10\n15,15,four,\n")
    told = atrium("rooms", "import", str(file))
    assert told.exit_code == 1
    assert [line.strip().removeprefix(f"{file}, ") for line in told.output.splitlines()[1:]] == [
        "line 3: number: 'x': give the room's number, a whole number from -2147483647 to 2147483647",
        "line 4: number: room 10 has floor 4, number 10 already",
        "line 5: floor: 'four': give the floor, a whole number from -2147483647 to 2147483647",
        "line 5: name: is missing: name for people",
    ]
    assert building(fresh) == before


def test_a_dry_run_prints_the_diff_and_changes_nothing(atrium: Atrium, fresh: Settings) -> None:
    before = building(fresh)
    told = atrium(
        "rooms", "import", "-", "--format", "yaml", "--dry-run", stdin="- {room_id: 12, number: 12, floor: 4, name: Atelier}"
    )
    assert told.output == "+ room 12: number 12, floor 4, name Atelier\n1 would change: dry run, nothing was\n"
    assert building(fresh) == before


def test_two_devices_exchange_their_addresses_in_one_file(atrium: Atrium, fresh: Settings) -> None:
    content = atrium("devices", "export", "--format", "csv").output
    swapped = content.replace(
        "9,Multisensor 6,1,multisensor,zwave,zwave-1,,,,2", "9,Multisensor 6,1,multisensor,zwave,zwave-1,,,,5"
    )
    swapped = swapped.replace(
        "12,Multisensor 6,2,multisensor,zwave,zwave-1,,,,5", "12,Multisensor 6,2,multisensor,zwave,zwave-1,,,,2"
    )
    told = atrium("devices", "import", "-", "--format", "csv", stdin=swapped)
    assert told.output.splitlines()[-1] == "2 changed"
    assert (building(fresh).devices["9"].zwave_node, building(fresh).devices["12"].zwave_node) == (5, 2)


def test_a_policy_is_changed_by_field_and_one_that_cannot_be_is_refused(atrium: Atrium, fresh: Settings) -> None:
    assert atrium("policies", "change", "10", "--humid-above-pct", "60", "--clock", "recorded").exit_code == 0
    policy = building(fresh).policies["10"]
    assert policy is not None
    assert (policy.humid_above_pct, policy.clock) == (60.0, "recorded")
    assert "* humid_above_pct" in atrium("policies", "show", "10").output
    refused = atrium("policies", "change", "10", "--humid-above-pct", "160", "--time-zone", "Mars/Olympus")
    assert refused.exit_code == 1
    assert "humid_above_pct: 160.0 is not a percentage" in refused.output
    assert "Mars/Olympus" in refused.output
    assert atrium("policies", "change", "10", "--humid-above-pct", "", "--clock", "").exit_code == 0
    assert json.loads(atrium("policies", "list", "--json").output)[1] == {"room_id": "10"}


def test_a_room_is_shown_with_what_is_in_it_and_goes_only_when_it_is_empty(atrium: Atrium, fresh: Settings) -> None:
    shown = json.loads(atrium("rooms", "show", "1", "--json").output)
    assert ([each["device_id"] for each in shown["devices"]], len(shown["beacons"])) == ([1, 5, 9, 10], 1)
    assert "Room 1" in atrium("rooms", "show", "1").output
    refused = atrium("rooms", "remove", "1")
    assert refused.exit_code == 1
    assert "room 1 still has devices 1, 5, 9, 10" in refused.output
    atrium("devices", "remove", "1", "5", "9", "10")
    gone = atrium("rooms", "remove", "1")
    assert gone.output.splitlines()[-1] == "3 changed"
    assert "1" not in building(fresh).rooms
    assert "1" not in building(fresh).policies


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rooms", "show", "99"), "there is no room '99'"),
        (("rooms", "import", "/no/such.yaml"), "No such file"),
        (("rooms", "import", "building.txt"), "say --format yaml or --format csv"),
        (("beacons", "add", "nonsense", "--room-id", "1"), "give a UUID"),
    ],
)
def test_what_cannot_be_done_is_told_without_a_stack_trace(atrium: Atrium, words: tuple[str, ...], says: str) -> None:
    told = atrium(*words)
    assert told.exit_code == 1
    assert says in told.output
    assert "Traceback" not in told.output


def test_a_database_without_a_building_and_no_database_are_told(fresh: Settings, tmp_path: Path) -> None:
    empty = CliRunner().invoke(main, ["rooms", "list"], env={"DATABASE_URL": fresh.database, "ATRIUM_HOME": str(tmp_path)})
    assert "holds no building yet" in empty.output
    none = CliRunner().invoke(main, ["rooms", "list"], env={"DATABASE_URL": "", "ATRIUM_HOME": str(tmp_path)})
    assert f"nothing runs in {tmp_path}" in none.output
    assert (empty.exit_code, none.exit_code) == (1, 1)
