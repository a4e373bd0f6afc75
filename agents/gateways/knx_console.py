"""A person on a KNX line: reading and writing a group address, watching telegrams go by. Beside the gateway, never through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from msgspec.structs import replace

from agents.gateways import knx_mapping
from agents.gateways.drivers.knx_line import Heard, Line, Urgency
from agents.gateways.knx_dpt import NotThatDpt, Raw, decode, dpt, encode
from agents.gateways.knx_functions import NotOnKnx
from schemas.records import Device
from streams.knx_lines import Connection, KnxLine

_OURS = "15.15.254"
"""Individual address on a routed line, so that nobody takes us for the gateway."""
_AGAIN_S = 2.0

Known = Mapping[str, tuple[str, str]]
"""Group address -> (datapoint type, what it is, for people)."""


def known_addresses(devices: Iterable[Device], line_id: str) -> Known:
    """What the building's devices on a line say of their group addresses; a shared one names them all."""
    known: dict[str, tuple[str, str]] = {}
    for device in devices:
        try:
            objects = knx_mapping.objects_of(device).by_name.values() if device.line_id == line_id else []
        except NotOnKnx:
            continue
        for found in objects:
            said = f"{found.name} of device {device.device_id} ({device.name}, room {device.room_id})"
            before = known.get(found.address)
            known[found.address] = (found.dpt, f"{before[1]}, {said}" if before else said)
    return known


def told(heard: Heard, known: Known) -> str:
    """One telegram as a line of text: time, source, what, address, value."""
    at = datetime.now(UTC).astimezone()
    value, what = _value(heard.raw, known.get(heard.address)), known.get(heard.address, ("", ""))[1]
    clock = f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"
    return f"{clock} {heard.source:>9} {heard.service:8} {heard.address:>9} {value:>12}  {what}".rstrip()


async def read_value(name: str, line: KnxLine, password: str | None, address: str, number: str) -> str:
    """Ask for a value; with its unit. Raises `BusUnavailable`, `DeviceSilent`, `NotThatDpt`."""
    dpt(number)
    async with _line(name, line, password) as opened:
        return _with_unit(number, await opened.read(address, Urgency.command))


async def write_value(name: str, line: KnxLine, password: str | None, address: str, number: str, value: float) -> str:
    """Write a value; what was written. Raises `BusUnavailable`, `NotThatDpt`."""
    raw = encode(number, value)
    async with _line(name, line, password) as opened:
        await opened.write(address, raw)
    return _with_unit(number, raw)


async def monitor(
    name: str, line: KnxLine, password: str | None, say: Callable[[Heard], None], note: Callable[[str], None]
) -> None:
    """Call `say` for every telegram, until cancelled; `note` tells of the connection. Raises `BusUnavailable` at the start."""
    async with _line(name, line, password, say) as opened:
        note(f"listening on {line.named}; Ctrl-C ends it")
        trouble = None
        while True:
            if opened.trouble != trouble:
                trouble = opened.trouble
                note(trouble or f"listening again on {line.named}")
            await asyncio.sleep(_AGAIN_S)


@asynccontextmanager
async def _line(
    name: str, line: KnxLine, password: str | None, say: Callable[[Heard], None] = lambda _: None
) -> AsyncIterator[Line]:
    if line.connection is Connection.routing:
        line = replace(line, individual_address=_OURS)
    opened = Line(name, line, password, say, lambda: None, lambda _: None)
    try:
        await opened.open()
        yield opened
    finally:
        await opened.close()


def _with_unit(number: str, raw: Raw) -> str:
    unit = dpt(number).unit
    return f"{decode(number, raw):g} {unit}" if "=" not in unit and "," not in unit else f"{decode(number, raw):g} ({unit})"


def _value(raw: Raw | None, known: tuple[str, str] | None) -> str:
    if raw is None:
        return ""
    try:
        return _with_unit(known[0], raw) if known else _hex(raw)
    except NotThatDpt:
        return f"{_hex(raw)} (no {known[0] if known else ''})"


def _hex(raw: Raw) -> str:
    return f"{raw:02x}" if isinstance(raw, int) else " ".join(f"{byte:02x}" for byte in raw)
