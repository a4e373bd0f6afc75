"""Configuration, read once at an entry point and handed down as values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from schemas.errors import BuildingError
from streams.knx_lines import SIMULATED_KNX_LINE, KnxLine, read_lines, simulated_line
from streams.zwave_settings import KEY_VARIABLES, SecurityKeys, ZwaveDriverName, conflict, why_no_key, why_no_url


class BadSetting(BuildingError):
    """A setting that cannot be used; the message says which and what would do."""

    reason = "bad_setting"


class Settings(Struct, frozen=True, kw_only=True):
    """Every setting. None means: embedded (for a service) or a free port (for a port)."""

    home: Path
    packages: Path = Path("~/.cache/atrium").expanduser()
    """Where `atrium setup` puts what it fetches: shared by every home, lost without harm."""
    kafka_bootstrap_servers: str | None = None
    kafka_client: dict[str, str] = {}
    database_url: str | None = None
    schema_registry_url: str | None = None
    api_port: int | None = None
    kafka_port: int | None = None
    postgres_port: int | None = None
    registry_port: int | None = None
    simulator_port: int | None = None
    rooms_web_port: int | None = None
    simulator_enabled: bool = True
    simulator_seed: int = 4
    simulator_speed: float = 1.0
    simulator_knx_port: int | None = None
    """UDP port on which the simulated KNX devices speak KNXnet/IP Routing, on loopback; None: they are reached in process."""
    knx_lines_file: Path | None = None
    knx_lines: dict[str, KnxLine] = {}
    knx_keyring_password: str | None = None
    simulator_zwave_port: int | None = None
    """Port at which the simulated Z-Wave nodes, a process of their own, are played; None: they are reached in process."""
    zwave_driver: ZwaveDriverName = ZwaveDriverName.zwave_js
    zwave_server_url: str | None = None
    """A Z-Wave JS server of the user's own."""
    zwave_serial_port: str | None = None
    """The stick of the embedded Z-Wave JS server, or OpenZWave's."""
    zwave_port: int | None = None
    """Of the embedded Z-Wave JS server; None in a running building: there is none."""
    zwave_line: str = "zwave-1"
    """The line that the network is."""
    zwave_poll_s: float = 300.0
    """How old a value may get before its node is asked."""
    zwave_transition_s: float | None = None
    """How long a dimmer takes to a new level; None: as long as it does by itself."""
    zwave_keys: SecurityKeys = SecurityKeys()
    directory_reconcile_s: float = 60.0
    """The directory compares database and Kafka at least so often, whatever it is told."""

    @property
    def all_knx_lines(self) -> dict[str, KnxLine]:
        """The lines of the file, and that of the simulated building where it speaks KNXnet/IP."""
        if self.simulator_knx_port is None:
            return self.knx_lines
        return {SIMULATED_KNX_LINE: simulated_line(self.simulator_knx_port, self.simulator_speed), **self.knx_lines}

    @property
    def zwave_url(self) -> str | None:
        """The Z-Wave JS server in use, the user's own or the embedded one; None where there is neither."""
        if self.zwave_server_url is not None or self.zwave_port is None:
            return self.zwave_server_url
        return f"ws://127.0.0.1:{self.zwave_port}"

    @property
    def zwave_is_real(self) -> bool:
        """Whether there is a Z-Wave network that nobody plays: the simulated building has no nodes on it."""
        named = self.zwave_server_url is not None or self.zwave_serial_port is not None
        return named and self.zwave_driver is not ZwaveDriverName.simulated

    @property
    def has_knx(self) -> bool:
        """Whether there is a KNX line to speak with, real or simulated."""
        return self.simulator_enabled or bool(self.knx_lines)

    @property
    def has_zwave(self) -> bool:
        """Whether there is a Z-Wave network to speak with, real or simulated."""
        return self.simulator_enabled or self.zwave_is_real

    @property
    def kafka(self) -> str:
        """Bootstrap servers of the Kafka in use. Raises `BadSetting` where none is set."""
        return _need(self.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS")

    @property
    def database(self) -> str:
        """URL of the PostgreSQL in use. Raises `BadSetting` where none is set."""
        return _need(self.database_url, "DATABASE_URL")

    @property
    def registry(self) -> str:
        """URL of the schema registry in use. Raises `BadSetting` where none is set."""
        return _need(self.schema_registry_url, "SCHEMA_REGISTRY_URL")

    @property
    def librdkafka(self) -> dict[str, str]:
        """Client settings for confluent-kafka: bootstrap servers plus SASL and TLS as given."""
        return {"bootstrap.servers": self.kafka, **self.kafka_client}


def _need(value: str | None, name: str) -> str:
    if not value:
        raise BadSetting(f"{name} is not set: run under `atrium up`, which sets it, or set it to your own")
    return value


_CLIENT_KEYS = {
    "KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "KAFKA_SASL_USERNAME": "sasl.username",
    "KAFKA_SASL_PASSWORD": "sasl.password",
    "KAFKA_SSL_CA_LOCATION": "ssl.ca.location",
    "KAFKA_SSL_CERTIFICATE_LOCATION": "ssl.certificate.location",
    "KAFKA_SSL_KEY_LOCATION": "ssl.key.location",
    "KAFKA_SSL_KEY_PASSWORD": "ssl.key.password",
}


_LEAST_POLL_S = 5.0
_LONGEST_TRANSITION_S = 127.0
"""SDS13781: a duration is told in seconds up to 127."""
_SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
"""What both Kafka clients of the building can do."""


def _kafka_client(env: Mapping[str, str]) -> dict[str, str]:
    """Client settings in librdkafka's names. The mechanism is always said: librdkafka's default, GSSAPI, is not aiokafka's."""
    client = {key: env[name] for name, key in _CLIENT_KEYS.items() if env.get(name)}
    protocol = client.get("security.protocol", "PLAINTEXT").upper()
    if protocol not in _SECURITY_PROTOCOLS:
        raise BadSetting(f"KAFKA_SECURITY_PROTOCOL={protocol!r}: give {', '.join(_SECURITY_PROTOCOLS)}")
    if "security.protocol" in client:
        client["security.protocol"] = protocol
    if not protocol.startswith("SASL_"):
        return client
    mechanism = client["sasl.mechanism"] = client.get("sasl.mechanism", "PLAIN").upper()
    if mechanism not in _SASL_MECHANISMS:
        raise BadSetting(f"KAFKA_SASL_MECHANISM={mechanism!r}: give {', '.join(_SASL_MECHANISMS)}")
    for name in ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"):
        if _CLIENT_KEYS[name] not in client:
            raise BadSetting(f"{name} is not set, but KAFKA_SECURITY_PROTOCOL={protocol} needs it")
    return client


def read_settings(env: Mapping[str, str]) -> Settings:
    """Settings from environment variables. Raises `BadSetting` naming the variable that is wrong, and `BadKnxLines`."""
    lines_file = Path(env["ATRIUM_KNX_LINES"]).expanduser().resolve() if env.get("ATRIUM_KNX_LINES") else None
    lines = read_lines(lines_file) if lines_file else {}
    keyring_password = env.get("ATRIUM_KNX_KEYRING_PASSWORD") or None
    for name, line in lines.items():
        if line.keyring and keyring_password is None:
            raise BadSetting(f"ATRIUM_KNX_KEYRING_PASSWORD is not set, but the keyring of KNX line {name} needs it")
    return Settings(
        home=Path(env.get("ATRIUM_HOME") or ".atrium").expanduser().resolve(),
        packages=Path(env.get("ATRIUM_PACKAGES") or f"{env.get('XDG_CACHE_HOME') or '~/.cache'}/atrium").expanduser().resolve(),
        kafka_bootstrap_servers=env.get("KAFKA_BOOTSTRAP_SERVERS") or None,
        kafka_client=_kafka_client(env),
        database_url=env.get("DATABASE_URL") or None,
        schema_registry_url=env.get("SCHEMA_REGISTRY_URL") or None,
        api_port=_port(env, "ATRIUM_API_PORT"),
        kafka_port=_port(env, "ATRIUM_KAFKA_PORT"),
        postgres_port=_port(env, "ATRIUM_POSTGRES_PORT"),
        registry_port=_port(env, "ATRIUM_REGISTRY_PORT"),
        simulator_port=_port(env, "ATRIUM_SIMULATOR_PORT"),
        rooms_web_port=_port(env, "ATRIUM_ROOMS_WEB_PORT"),
        simulator_enabled=_flag(env, "ATRIUM_SIMULATOR", default=True),
        simulator_seed=int(_number(env, "ATRIUM_SIMULATOR_SEED", 4)),
        simulator_speed=_number(env, "ATRIUM_SIMULATOR_SPEED", 1.0),
        simulator_knx_port=_port(env, "ATRIUM_SIMULATOR_KNX_PORT"),
        knx_lines_file=lines_file,
        knx_lines=lines,
        knx_keyring_password=keyring_password,
        directory_reconcile_s=_number(env, "ATRIUM_DIRECTORY_RECONCILE_S", 60.0),
        simulator_zwave_port=_port(env, "ATRIUM_SIMULATOR_ZWAVE_PORT"),
        **_zwave(env),
    )


def _zwave(env: Mapping[str, str]) -> dict[str, Any]:
    if (problem := conflict(env)) is not None:
        raise BadSetting(problem)
    keys = {name: env[name] for name in KEY_VARIABLES if env.get(name)}
    for name, key in keys.items():
        if (problem := why_no_key(key)) is not None:
            raise BadSetting(f"{name} {problem}")
    url = env.get("ZWAVE_SERVER_URL") or None
    if url is not None and (problem := why_no_url(url)) is not None:
        raise BadSetting(f"ZWAVE_SERVER_URL={url!r} {problem}")
    driver = env.get("ATRIUM_ZWAVE_DRIVER") or ZwaveDriverName.zwave_js
    if driver not in list(ZwaveDriverName):
        raise BadSetting(f"ATRIUM_ZWAVE_DRIVER={driver!r}: give {', '.join(ZwaveDriverName)}")
    poll_s = _number(env, "ATRIUM_ZWAVE_POLL_S", 300.0)
    if poll_s < _LEAST_POLL_S:
        raise BadSetting(f"ATRIUM_ZWAVE_POLL_S={env['ATRIUM_ZWAVE_POLL_S']!r}: give {_LEAST_POLL_S:g} or more: radio is slow")
    transition_s = _number(env, "ATRIUM_ZWAVE_TRANSITION_S", 0.0) if env.get("ATRIUM_ZWAVE_TRANSITION_S") else None
    if transition_s is not None and transition_s > _LONGEST_TRANSITION_S:
        raise BadSetting(f"ATRIUM_ZWAVE_TRANSITION_S={env['ATRIUM_ZWAVE_TRANSITION_S']!r}: give {_LONGEST_TRANSITION_S:g} or less")
    return {
        "zwave_driver": ZwaveDriverName(driver), "zwave_server_url": url, "zwave_serial_port": env.get("ZWAVE_SERIAL_PORT") or None,
        "zwave_port": _port(env, "ATRIUM_ZWAVE_PORT"), "zwave_line": env.get("ATRIUM_ZWAVE_LINE") or "zwave-1",
        "zwave_poll_s": poll_s, "zwave_transition_s": transition_s, "zwave_keys": SecurityKeys(keys),
    }  # fmt: skip


def _port(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name)
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise BadSetting(f"{name}={text!r} is not a port: give a number from 1 to 65535")
    return int(text)


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        raise BadSetting(f"{name}={text!r} is not a number") from None
    if not 0 < number < 1e9:
        raise BadSetting(f"{name}={text!r} is out of range: give a number above 0")
    return number


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = (env.get(name) or "").lower()
    if not text:
        return default
    if text not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
        raise BadSetting(f"{name}={text!r}: give 1 or 0")
    return text in ("1", "true", "yes", "on")
