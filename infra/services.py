"""Which services are embedded and which are the user's own: the settings decide."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from infra.java import Packages, find
from infra.kafka import kafka_part
from infra.multicast import why_no_multicast
from infra.part import Part
from infra.ports import choose_ports
from infra.postgres import postgres_part
from infra.schema_registry import registry_part
from streams.settings import Settings


def resolve(settings: Settings) -> tuple[list[Part], Settings]:
    """The parts to run for what the settings leave to Atrium, and the settings with every address and port filled in.

    Raises `PortTaken`, `NotSetUp`, `PostgresFailed`.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    ports = choose_ports(settings.home / "ports.json", _asked(settings))
    parts: list[Part] = []
    found: dict[str, str] = {}
    packages = _packages_when_needed(settings)
    if settings.kafka_bootstrap_servers is None:
        parts.append(kafka_part(settings.home, packages(), ports["kafka"], ports["kafka-controller"]))
        found["kafka_bootstrap_servers"] = f"127.0.0.1:{ports['kafka']}"
    if settings.database_url is None:
        part, found["database_url"] = postgres_part(settings.home, ports["postgres"])
        parts.append(part)
    if settings.schema_registry_url is None:
        part, found["schema_registry_url"] = registry_part(settings.home, packages(), ports["registry"])
        parts.append(part)
    knx_port = ports.get("simulator-knx")
    if knx_port is not None and why_no_multicast(knx_port) is not None:
        knx_port = None  # the simulated KNX devices are reached in process; `atrium up` says so
    numbers = {
        "kafka_port": ports.get("kafka"),
        "postgres_port": ports.get("postgres"),
        "registry_port": ports.get("registry"),
        "api_port": ports["api"],
        "simulator_port": ports.get("simulator"),
        "simulator_knx_port": knx_port,
        "rooms_web_port": ports["rooms-web"],
    }
    return parts, msgspec.structs.replace(settings, **found, **numbers)


def _asked(settings: Settings) -> dict[str, int | None]:
    asked: dict[str, int | None] = {"api": settings.api_port, "rooms-web": settings.rooms_web_port}
    if settings.kafka_bootstrap_servers is None:
        asked |= {"kafka": settings.kafka_port, "kafka-controller": None}
    if settings.database_url is None:
        asked["postgres"] = settings.postgres_port
    if settings.schema_registry_url is None:
        asked["registry"] = settings.registry_port
    if settings.simulator_enabled:
        asked |= {"simulator": settings.simulator_port, "simulator-knx": settings.simulator_knx_port}
    return asked


def _packages_when_needed(settings: Settings) -> Callable[[], Packages]:
    return lambda: find(settings.packages)


def environment(settings: Settings) -> dict[str, str]:
    """The variables that hand resolved settings to a role's process (`streams.settings.read_settings` reads them)."""
    values: dict[str, object] = {
        "ATRIUM_HOME": settings.home,
        "ATRIUM_PACKAGES": settings.packages,
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "DATABASE_URL": settings.database_url,
        "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
        "ATRIUM_API_PORT": settings.api_port,
        "ATRIUM_SIMULATOR_PORT": settings.simulator_port,
        "ATRIUM_SIMULATOR_KNX_PORT": settings.simulator_knx_port,
        "ATRIUM_KNX_LINES": settings.knx_lines_file,
        "ATRIUM_KNX_KEYRING_PASSWORD": settings.knx_keyring_password,
        "ATRIUM_SIMULATOR_ZWAVE_PORT": settings.simulator_zwave_port,
        "ATRIUM_ZWAVE_DRIVER": settings.zwave_driver,
        "ATRIUM_ZWAVE_PORT": settings.zwave_port,
        "ATRIUM_ZWAVE_LINE": settings.zwave_line,
        "ATRIUM_ZWAVE_POLL_S": settings.zwave_poll_s,
        "ATRIUM_ZWAVE_TRANSITION_S": settings.zwave_transition_s,
        "ZWAVE_SERVER_URL": settings.zwave_server_url,
        "ZWAVE_SERIAL_PORT": settings.zwave_serial_port,
        "ATRIUM_ROOMS_WEB_PORT": settings.rooms_web_port,
        "ATRIUM_SIMULATOR": int(settings.simulator_enabled),
        "ATRIUM_SIMULATOR_SEED": settings.simulator_seed,
        "ATRIUM_SIMULATOR_SPEED": settings.simulator_speed,
        "ATRIUM_DIRECTORY_RECONCILE_S": settings.directory_reconcile_s,
    }
    return {name: str(value) for name, value in values.items() if value is not None}
