"""Running a gateway as a Faust app: the plumbing between its command topic and `Gateway`."""

from __future__ import annotations

import asyncio
from typing import Any

from agents.gateways.drivers.base import Driver
from agents.gateways.drivers.simulated import SimulatedDriver
from agents.gateways.gateway import Gateway
from schemas.records import Bus
from streams.app import App, create_app
from streams.settings import BadSetting, Settings
from streams.topics import COMMANDS


def simulated(bus: Bus, settings: Settings) -> Driver:
    """The driver of the simulated building's devices, reached in process. Raises `BadSetting`."""
    if settings.simulator_port is None:
        raise BadSetting("ATRIUM_SIMULATOR_PORT is not set: run under `atrium up`, which sets it, or give a port")
    return SimulatedDriver(bus, settings.simulator_port)


def build(bus: Bus, driver: Driver, settings: Settings) -> App:
    """The role's app: one agent on the bus's command topic, one gateway behind it."""
    app = create_app(str(bus), settings)
    app.conf.stream_wait_empty = False  # a blind on its way must not hold up a rebalance: building.effects remembers it
    crashes: set[asyncio.Task[None]] = set()

    def crash(error: BaseException) -> None:
        crashes.add(asyncio.ensure_future(app.crash(error)))

    gateway = Gateway(bus, driver, settings, lambda: app.pulse.alive, crash)

    app.read_topics.add(COMMANDS[bus].name)
    topic = app.topic(COMMANDS[bus].name, key_serializer="raw", value_serializer="raw")

    @app.agent(topic, name=f"{bus}-commands")
    async def commands(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await gateway.take(event)
            except Exception as error:  # Faust alone would start the agent again, behind the lost record
                await app.crash(error)
                raise

    async def revoked(*_: Any, **__: Any) -> None:
        await gateway.release()

    async def consuming(*_: Any, **__: Any) -> None:
        gateway.consuming(tp.partition for tp in app.consumer.assignment() if tp.topic == COMMANDS[bus].name)

    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_rebalance_complete.connect(consuming, weak=False)
    app.task(gateway.run)
    return app
