"""An ETS project as a proposal: what becomes a room, a device, an address; and what is refused, saying why."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.editing.edits import Refused
from infra.editing.tables import State
from infra.knx_import.project import BadProject
from infra.knx_import.proposal import propose
from streams.cli import main

EMPTY: State = {"rooms": {}, "devices": {}, "beacons": {}, "policies": {}}


class Project:
    """A project as xknxproject tells it, built up."""

    def __init__(self) -> None:
        self.rooms: dict[str, Any] = {}
        self.told: dict[str, Any] = {
            "communication_objects": {}, "devices": {}, "group_addresses": {}, "functions": {},
            "locations": {"House": _space("Building", "House", {"First": _space("Floor", "Floor 1", self.rooms)})},
        }  # fmt: skip

    def room(self, name: str, number: str = "") -> dict[str, Any]:
        self.rooms[name] = _space("Room", name, {}) | {"number": number}
        return self.rooms[name]

    def device(self, room: dict[str, Any], address: str, name: str) -> None:
        self.told["devices"][address] = {
            "name": name, "hardware_name": "", "individual_address": address, "communication_object_ids": [], "channels": {},
        }  # fmt: skip
        room["devices"].append(address)

    def address(self, device: str, address: str, name: str, dpt: str, flags: str, *, object_dpt: str | None = None) -> None:
        main_group, middle, sub = map(int, address.split("/"))
        key = f"{device}/{address}"
        ga = self.told["group_addresses"].setdefault(
            address, {"name": name, "raw_address": main_group << 11 | middle << 8 | sub, "address": address, "dpt": _dpt(dpt),
                      "communication_object_ids": []},
        )  # fmt: skip
        ga["communication_object_ids"].append(key)
        self.told["communication_objects"][key] = {
            "name": "", "text": name, "function_text": "", "channel": None, "device_address": device,
            "dpts": [_dpt(object_dpt or dpt)], "group_address_links": [address],
            "flags": {"read": "R" in flags, "write": "W" in flags, "transmit": "T" in flags},
        }  # fmt: skip
        self.told["devices"][device]["communication_object_ids"].append(key)


def _space(kind: str, name: str, inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "name": name, "number": "", "devices": [], "functions": [], "spaces": inner}


def _dpt(text: str) -> dict[str, int]:
    main_number, sub = text.split(".")
    return {"main": int(main_number), "sub": int(sub)}


def a_project() -> Project:
    project = Project()
    office = project.room("Büro", "12")
    project.device(office, "1.1.1", "south blind")
    project.address("1.1.1", "1/0/1", "up down", "1.008", "W")
    project.address("1.1.1", "1/2/1", "position", "5.001", "W")
    project.address("1.1.1", "1/3/1", "position status", "5.001", "RT")
    project.device(office, "1.1.2", "radiator")
    project.address("1.1.2", "2/0/1", "actuating value", "5.001", "W")
    project.device(office, "1.1.3", "weather")
    project.address("1.1.3", "3/0/1", "wind", "9.005", "RT")
    project.address("1.1.3", "3/0/2", "rain", "1.005", "RT")
    project.device(office, "1.1.4", "wall button")
    project.address("1.1.4", "1/0/1", "up down", "1.008", "T")
    return project


def test_rooms_devices_and_addresses_become_rows_and_once_more_change_nothing() -> None:
    proposal = propose(a_project().told, "knx-7", 0)
    after = proposal.onto("project")(EMPTY)
    assert after["rooms"] == {"12": {"room_id": "12", "number": 12, "floor": 1, "name": "Büro"}}
    assert [(row["name"], row["role"], row["line_id"], row["knx_objects"]) for row in after["devices"].values()] == [
        ("south blind", "blind", "knx-7", "up_down=1/0/1:1.008 position=1/2/1:5.001 position_status=1/3/1:5.001"),
        ("radiator", "radiator_valve", "knx-7", "valve=2/0/1:5.001"),
        ("weather", "multisensor", "knx-7", "wind=3/0/1:9.005 rain=3/0/2:1.005"),
    ]
    assert proposal.onto("project")(after) == after


def test_an_ets_function_places_a_blind_whose_actuator_is_elsewhere() -> None:
    project = a_project()
    hall = project.room("Hall", "1")
    project.told["functions"]["F-1"] = {
        "name": "north blind", "group_addresses": {"a": {"address": "1/2/1", "role": ""}, "b": {"address": "1/3/1", "role": ""}},
    }  # fmt: skip
    hall["functions"].append("F-1")
    project.rooms["Büro"]["devices"].remove("1.1.1")
    row = next(row for row in propose(project.told, "knx-1", 0).onto("x")(EMPTY)["devices"].values() if row["role"] == "blind")
    assert (row["name"], row["room_id"], row["knx_objects"]) == (
        "north blind",
        "1",
        "position=1/2/1:5.001 position_status=1/3/1:5.001",
    )


def test_what_nobody_can_tell_the_use_of_is_named() -> None:
    project = a_project()
    project.device(project.rooms["Büro"], "1.1.9", "dimmer")
    project.address("1.1.9", "5/0/1", "switch", "1.001", "W")
    assert propose(project.told, "knx-1", 0).left_out == [
        "5/0/1 switch (dimmer, DPT 1.001): not used; add it to a device's knx_objects"
    ]


def test_one_status_address_of_two_devices_is_refused_whole() -> None:
    project = a_project()
    project.device(project.rooms["Büro"], "1.1.5", "north blind")
    project.address("1.1.5", "1/2/5", "position", "5.001", "W")
    project.address("1.1.5", "1/3/1", "position status", "5.001", "RT")
    with pytest.raises(Refused, match=r"nothing was changed(.|\n)*1/3/1 is already device \d+'s position_status"):
        propose(project.told, "knx-1", 0).onto("project")(EMPTY)


def test_a_datapoint_type_that_does_not_match_is_refused_whole() -> None:
    project = a_project()
    project.device(project.rooms["Büro"], "1.1.6", "thermostat")
    project.address("1.1.6", "4/0/1", "temperature", "9.001", "RT", object_dpt="5.001")
    with pytest.raises(
        BadProject, match=r"4/0/1 \(temperature\) is DPT 9.001, and object temperature of device 1.1.6.* is DPT 5.x"
    ):
        propose(project.told, "knx-1", 0)


def test_a_project_without_rooms_says_what_to_do() -> None:
    with pytest.raises(BadProject, match="no rooms: place devices or functions into rooms"):
        propose(Project().told, "knx-1", 0)


def protected(file: Path, password: str) -> Path:
    """The outside of an ETS 6 project with a password: what is inside is never reached with a wrong one."""
    pyzipper = pytest.importorskip("pyzipper", reason="needs xknxproject: pip install 'atrium[knxproj]'")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("utf-16-le"), b"21.project.ets.knx.org", 65536, 32)
    inner = file.with_suffix(".inner")
    with pyzipper.AESZipFile(inner, "w", encryption=pyzipper.WZ_AES) as project:
        project.setpassword(base64.b64encode(salted))
        project.writestr("project.xml", "<KNX/>")
        project.writestr("0.xml", "<KNX/>")
    with zipfile.ZipFile(file, "w") as whole:
        whole.writestr("knx_master.xml", '<?xml version="1.0"?>\n<KNX xmlns="http://knx.org/xml/project/21">\n</KNX>')
        whole.writestr("P-0001.signature", "")
        whole.write(inner, "P-0001.zip")
    return file


def half(file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as whole:
        whole.writestr("P-0001.signature", "")
        whole.writestr("knx_master.xml", '<?xml version="1.0"?>\n<KNX xmlns="http://knx.org/xml/project/21">\n</KNX>')
        whole.writestr("P-0001/project.xml", "<KNX><cut off")
        whole.writestr("P-0001/0.xml", "<KNX><cut off")
    return file


def written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def test_a_bad_file_or_password_is_one_line_and_no_stack_trace(tmp_path: Path) -> None:
    pytest.importorskip("xknxproject", reason="needs xknxproject: pip install 'atrium[knxproj]'")
    locked = protected(tmp_path / "locked.knxproj", "right")
    cases = {
        ("no such file", tmp_path / "none.knxproj", None): "No such file",
        ("no zip", written(tmp_path / "text.knxproj", b"hello"), None): "no ETS project that can be read (File is not a zip file)",
        ("half of one", half(tmp_path / "half.knxproj"), None): "no ETS project that can be read",
        ("no password", locked, None): "it has a password: give it with --password",
        ("wrong password", locked, "wrong"): "the password is wrong",
    }
    for (case, file, password), says in cases.items():
        words = ["knx", "import", str(file), "--apply", *(["--password", password] if password else [])]
        answer = CliRunner().invoke(main, words, env={"ATRIUM_HOME": str(tmp_path)})
        assert answer.exit_code == 1, case
        assert says in answer.output, (case, answer.output)
        assert answer.output.startswith("Error: "), case
        assert "Traceback" not in answer.output, case


def test_without_the_parser_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "xknxproject", None)
    monkeypatch.setitem(sys.modules, "xknxproject.exceptions", None)
    answer = CliRunner().invoke(main, ["knx", "import", str(tmp_path / "x.knxproj")])
    assert answer.exit_code == 1
    assert "pip install 'atrium[knxproj]'" in answer.output


def test_reading_needs_no_parser_until_it_is_asked() -> None:
    import subprocess
    import sys

    code = "import sys, streams.commands.knx, infra.knx_import.proposal; sys.exit('xknxproject' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
