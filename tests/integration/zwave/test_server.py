"""The embedded Z-Wave JS server does what the gateway counts on, whoever asks it."""

from __future__ import annotations

import asyncio

import pytest
from zwave_js_server.exceptions import FailedZWaveCommand

from agents.gateways.drivers.zwave_js import ZwaveJsNetwork
from agents.gateways.zwave_mapping import Status
from tests.integration.zwave.mock import building, dimmer, needs_zwave_js

pytestmark = needs_zwave_js
SLEEPER = 8


async def asleep(network: ZwaveJsNetwork) -> None:
    """It is known and sleeps."""
    async with asyncio.timeout(30):
        while not (network.nodes[SLEEPER].ready and network.nodes[SLEEPER].status is Status.asleep):
            await network.events()


async def test_a_question_waits_for_a_node_that_sleeps_and_a_level_does_not() -> None:
    async with building([dimmer(3), dimmer(SLEEPER, sleeping=True)]) as built:
        network = ZwaveJsNetwork(built.url)
        await network.open()
        try:
            await built.mock.wake(SLEEPER)
            await asleep(network)
            node = network._node(SLEEPER)
            values = {value.property_: value for value in node.values.values()}
            gets = (await built.mock.counts(SLEEPER))["gets"]
            await node.async_poll_value(values["currentValue"])
            with pytest.raises(FailedZWaveCommand, match="asleep"):
                await asyncio.wait_for(node.async_set_value(values["targetValue"], 77, wait_for_result=True), 10)
            await built.mock.wake(SLEEPER)
            async with asyncio.timeout(10):
                while (await built.mock.counts(SLEEPER))["gets"] == gets:  # noqa: ASYNC110  # another process's state
                    await asyncio.sleep(0.1)
            await asleep(network)
            assert (await built.mock.counts(SLEEPER))["frames"] == 0
        finally:
            await network.close()
