"""The role `zwave`: the gateway of the Z-Wave network."""

from __future__ import annotations

from agents.gateways.drivers.zwave import ZwaveDriver
from agents.gateways.drivers.zwave_network import Network
from agents.gateways.role import build, simulated
from agents.gateways.zwave_console import SOCKET, Console
from schemas.records import Bus
from streams.app import run
from streams.settings import Settings
from streams.zwave_settings import ZwaveDriverName


def main(settings: Settings) -> None:
    """Run the role until it is told to stop. Raises `BadSetting`."""
    network = _network(settings)
    if network is None:
        run(build(Bus.zwave, simulated(Bus.zwave, settings), settings))
        return
    driver = ZwaveDriver(network, settings.zwave_line, poll_s=settings.zwave_poll_s, transition_s=settings.zwave_transition_s)
    app = build(Bus.zwave, driver, settings)
    console = Console(network, settings.home / SOCKET, settings.zwave_line, lambda: driver.trouble)
    app.task(console.serve)
    run(app)


def _network(settings: Settings) -> Network | None:
    """The network the settings ask for; None: the simulated nodes are reached in process."""
    if settings.zwave_driver is ZwaveDriverName.openzwave and settings.zwave_serial_port is not None:
        from agents.gateways.drivers.openzwave import OpenZwaveNetwork

        return OpenZwaveNetwork(
            settings.zwave_serial_port,
            packages=settings.packages,
            state=settings.home / "openzwave",
            key=settings.zwave_keys.by_variable.get("ZWAVE_S0_KEY"),
        )
    if settings.zwave_driver is ZwaveDriverName.zwave_js and (url := settings.zwave_url) is not None:
        from agents.gateways.drivers.zwave_js import ZwaveJsNetwork  # here: half a second of imports that only this one needs

        return ZwaveJsNetwork(url)
    return None
