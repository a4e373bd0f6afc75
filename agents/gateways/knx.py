"""The role `knx`: the gateway of the KNX lines."""

from __future__ import annotations

from agents.gateways.drivers.base import Driver
from agents.gateways.drivers.knx import KnxDriver
from agents.gateways.role import build, simulated
from schemas.records import Bus
from streams.app import run
from streams.settings import Settings


def main(settings: Settings) -> None:
    """Run the role until it is told to stop. Raises `BadSetting`."""
    run(build(Bus.knx, _driver(settings), settings))


def _driver(settings: Settings) -> Driver:
    if lines := settings.all_knx_lines:
        return KnxDriver(lines, settings.knx_keyring_password)
    return simulated(Bus.knx, settings)
