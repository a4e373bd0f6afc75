"""The embedded Z-Wave JS server and the simulated nodes as parts of the whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from infra.building_plan import DEVICES
from infra.part import Part
from infra.ports import LOOPBACK, choose_ports, serves
from infra.zwave.node import SCRIPTS, NodeFailed, installed, node
from schemas.records import Bus, DeviceRole
from streams.settings import Settings
from streams.zwave_settings import ZwaveDriverName

MOCK, SERVER = "simulated-zwave", "zwave-js"
Description = Mapping[str, Any]
"""A simulated node as infra/zwave/nodes.cjs takes it: id, kind, supervision, sleeping, fahrenheit, binary, endpoints and so on."""

_PRODUCTS: dict[DeviceRole, Description] = {
    DeviceRole.multisensor: {
        "kind": "multisensor", "manufacturerId": 0x0086, "productType": 0x0002, "productId": 0x0064, "firmware": "1.13",
    },
    DeviceRole.dimmer: {
        "kind": "dimmer", "manufacturerId": 0x0060, "productType": 0x0003, "productId": 0x0001, "supervision": True,
    },
}  # fmt: skip
"""Aeotec's MultiSensor 6 (ZW100), and a dimmer Z-Wave JS knows (Everspring AD142), here one that confirms by Supervision."""


def wanted(settings: Settings) -> bool:
    """Whether the settings ask for an embedded Z-Wave JS server: for a stick, or for the simulated nodes."""
    if settings.zwave_driver is not ZwaveDriverName.zwave_js or settings.zwave_server_url is not None:
        return False
    return settings.zwave_serial_port is not None or settings.simulator_enabled


def why_not(settings: Settings) -> str | None:
    """Why there can't be a Z-Wave JS server on this machine, and what to do."""
    try:
        node()
    except NodeFailed as error:
        return str(error)
    return (
        None if installed(settings.packages) else "the Z-Wave JS server is not installed: run `atrium setup`, with network access"
    )


def zwave_parts(settings: Settings, env: Mapping[str, str]) -> tuple[list[Part], Settings]:
    """The parts of an embedded Z-Wave JS server, and the settings with its ports; none where there is none.

    Raises `NodeFailed` where a stick needs it and it is not to be had. The simulated nodes are reached in process then.
    """
    none = msgspec.structs.replace(settings, zwave_port=None, simulator_zwave_port=None)
    if not wanted(settings):
        return [], none
    modules = installed(settings.packages)
    if (problem := why_not(settings)) is not None or modules is None:
        if settings.zwave_serial_port is not None:
            raise NodeFailed(f"ZWAVE_SERIAL_PORT is set, but {problem}")
        return [], none
    asked: dict[str, int | None] = {"zwave": settings.zwave_port}
    stick, parts, keys = settings.zwave_serial_port, [], settings.zwave_keys.by_variable
    if mock := stick is None:
        asked |= {"simulator-zwave": settings.simulator_zwave_port, "simulator-zwave-stick": None}
    ports = choose_ports(settings.home / "ports.json", asked)
    if stick is None:
        serial_port = ports["simulator-zwave-stick"]
        stick, keys = f"tcp://{LOOPBACK}:{serial_port}", {}
        parts.append(mock_part(modules, env, planned_nodes(), serial_port=serial_port, control_port=ports["simulator-zwave"]))
    parts.append(server_part(settings.home, modules, env, ports["zwave"], stick=stick, keys=keys, mock=mock))
    return parts, msgspec.structs.replace(settings, zwave_port=ports["zwave"], simulator_zwave_port=ports.get("simulator-zwave"))


def planned_nodes() -> list[Description]:
    """The nodes of the simulated building."""
    return [
        {"id": device.zwave_node, **_PRODUCTS[device.role]}
        for device in DEVICES
        if device.bus is Bus.zwave and device.role in _PRODUCTS
    ]


def mock_part(modules: Path, env: Mapping[str, str], nodes: Sequence[Description], *, serial_port: int, control_port: int) -> Part:
    """Simulated nodes on a simulated stick at `serial_port`; whoever plays the building drives them at `control_port`.

    `modules`: the folder that `infra.zwave.node` installed; `env`: the environment to start from. Raises `NodeFailed`.
    """
    own = {
        "ZWAVE_MODULES": str(modules),
        "ZWAVE_MOCK_NODES": json.dumps(nodes),
        "ZWAVE_MOCK_SERIAL_PORT": str(serial_port),
        "ZWAVE_MOCK_CONTROL_PORT": str(control_port),
    }
    return Part(
        name=MOCK, argv=(str(node()), str(SCRIPTS / "mock.cjs")), env={**_machine(env), **own}, port=control_port,
        ready=lambda _pid: serves(control_port), stop_within_s=3,
    )  # fmt: skip


def server_part(
    home: Path,
    modules: Path,
    env: Mapping[str, str],
    port: int,
    *,
    stick: str,
    keys: Mapping[str, str] | None = None,
    mock: bool = False,
) -> Part:
    """The Z-Wave JS server on `port`, with `stick` (a device's path, or tcp://host:port) and its cache under `home`/zwave-js.

    `keys`: security keys by the name of their environment variable. Raises `NodeFailed`.
    """
    own = {
        "ZWAVE_MODULES": str(modules),
        "ZWAVE_SERVER_SERIAL_PORT": stick,
        "ZWAVE_SERVER_PORT": str(port),
        "ZWAVE_SERVER_CACHE": str(home / "zwave-js"),
        "ZWAVE_SERVER_MOCK": str(int(mock)),
        **(keys or {}),
    }
    return Part(
        name=SERVER, argv=(str(node()), str(SCRIPTS / "server.cjs")), env={**_machine(env), **own}, port=port,
        needs=(MOCK,) if mock else (), ready=lambda _pid: serves(port), stop_within_s=5,
    )  # fmt: skip


def _machine(env: Mapping[str, str]) -> dict[str, str]:
    """What a Node process needs to know of its machine, none of Atrium's secrets."""
    return {name: env[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR") if name in env}
