"""The KNX lines of the building and how each is reached: a TOML file, named by ATRIUM_KNX_LINES."""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

import msgspec
from msgspec import Struct

from schemas.errors import BuildingError

_INDIVIDUAL = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{1,3})")
_MOST_RATE = 50
"""KNX TP1 carries about 50 telegrams/s at the very most (9600 bit/s)."""


class BadKnxLines(BuildingError):
    """A file of lines that cannot be used; the message says where and what would do."""

    reason = "bad_knx_lines"


class Connection(StrEnum):
    """How a line is reached over IP."""

    tunnelling = "tunnelling"
    tunnelling_tcp = "tunnelling-tcp"
    secure_tunnelling = "secure-tunnelling"
    routing = "routing"


class KnxLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One line. Defaults are KNXnet/IP's own (port 3671, multicast group 224.0.23.12) and careful with the medium."""

    connection: Connection = Connection.tunnelling
    gateway: str | None = None
    """Host name or address of the interface; tunnelling needs it."""
    port: int = 3671
    local_ip: str | None = None
    individual_address: str | None = None
    """Routing: ours. Secure tunnelling: the tunnel's in the keyring."""
    multicast_group: str = "224.0.23.12"
    rate_limit: float = 20.0
    """Telegrams a second that we send at most."""
    read_every_s: float = 300.0
    """How often each status object is read besides what it tells by itself."""
    resend_valves_s: float = 600.0
    """Valve targets are sent again so often: actuators fall back to an emergency position without."""
    blind_travel_s: float = 60.0
    """From open to closed, where a device says nothing else (`travel_s` in its knx_objects)."""
    valve_settle_s: float = 2.0
    push_buttons: tuple[str, ...] = ()
    """Individual addresses whose writes are a person's hand."""
    keyring: str | None = None
    """ETS keyring file (.knxkeys) of a secure tunnel; its password is ATRIUM_KNX_KEYRING_PASSWORD."""

    @property
    def named(self) -> str:
        """Where the line is, for people."""
        where = f"{self.multicast_group}:{self.port}" if self.connection is Connection.routing else f"{self.gateway}:{self.port}"
        return f"{self.connection} {where}"


SIMULATED_KNX_LINE = "knx-4"
"""The line of the simulated building."""
SIMULATED_BLIND_S = 30.0


def simulated_line(port: int, speed: float) -> KnxLine:
    """The simulated building's line: KNXnet/IP Routing on loopback. `speed` is how fast its time runs."""
    return KnxLine(
        connection=Connection.routing, port=port, local_ip="127.0.0.1", individual_address="1.1.250",
        blind_travel_s=SIMULATED_BLIND_S / speed,
    )  # fmt: skip


class _File(Struct, forbid_unknown_fields=True):
    lines: dict[str, KnxLine] = {}


def read_lines(path: Path) -> dict[str, KnxLine]:
    """Lines by id. Raises `BadKnxLines`."""
    try:
        lines = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).lines
    except OSError as error:
        raise BadKnxLines(f"ATRIUM_KNX_LINES: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadKnxLines(f"{path}: not UTF-8: save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise BadKnxLines(f"{path}: not readable as TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise BadKnxLines(f"{path}: {error}: see docs/knx.md for the fields of [lines.NAME]") from error
    if not lines:
        raise BadKnxLines(f"{path} names no line: begin with [lines.NAME], NAME as in the devices' line_id")
    for name, line in lines.items():
        if why := _fault(line):
            raise BadKnxLines(f"{path}: line {name}: {why}")
    return lines


def _fault(line: KnxLine) -> str | None:
    if line.connection is Connection.routing:
        try:
            multicast = IPv4Address(line.multicast_group).is_multicast
        except AddressValueError:
            multicast = False
        if not multicast:
            return f"multicast-group {line.multicast_group!r} is none: give one from 224.0.0.0 to 239.255.255.255"
    elif not line.gateway:
        return f"{line.connection} needs a gateway: the host name or address of the KNX/IP interface"
    if line.connection is Connection.secure_tunnelling and not line.keyring:
        return "secure-tunnelling needs a keyring: the .knxkeys file that ETS exports"
    if not 1 <= line.port <= 65535:
        return f"port {line.port}: give a number from 1 to 65535"
    if not 0 < line.rate_limit <= _MOST_RATE:
        return f"rate-limit {line.rate_limit:g}: give telegrams a second, above 0 and at most {_MOST_RATE}"
    for name in ("read_every_s", "resend_valves_s", "blind_travel_s", "valve_settle_s"):
        if not 0 < getattr(line, name) < 1e6:
            return f"{name.replace('_', '-')} {getattr(line, name):g}: give seconds above 0"
    for address in (*line.push_buttons, *([line.individual_address] if line.individual_address else [])):
        if not _is_individual(address):
            return f"{address!r} is no individual address: give area.line.device, from 0.0.1 to 15.15.255"
    return None


def _is_individual(text: str) -> bool:
    found = _INDIVIDUAL.fullmatch(text)
    return found is not None and any(map(int, found.groups())) and all(
        int(part) <= top for part, top in zip(found.groups(), (15, 15, 255), strict=True)
    )  # fmt: skip
