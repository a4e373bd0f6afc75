"""The role `zwave`: the gateway of the Z-Wave lines."""

from __future__ import annotations

from agents.gateways.role import run_gateway
from schemas.records import Bus
from streams.settings import Settings


def main(settings: Settings) -> None:
    """Run the role until it is told to stop."""
    run_gateway(Bus.zwave, settings)
