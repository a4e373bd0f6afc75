"""The gateway's work on commands without Kafka: queues, decisions and the real driver, effects in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from agents.gateways.actuate import Ended, Reported, actuate
from agents.gateways.decide import Next
from agents.gateways.drivers.base import Hand, Report
from agents.gateways.drivers.knx import KnxDriver
from agents.gateways.log import utc_now
from agents.gateways.queues import Job, Queues
from agents.rules.devices import ACTUATES
from schemas.commands import Command, Effect, Proposal, command_id
from schemas.records import Bus, Device, DeviceRole, Position, Slot

LINE = "knx-test"


def valve(number: int) -> Device:
    return Device(
        device_id=number, revision=1, name="valve", room_id="1", role=DeviceRole.radiator_valve, bus=Bus.knx, line_id=LINE,
        knx_objects=f"valve=0/1/{number} valve_status=5/1/{number}",
    )  # fmt: skip


def blind(number: int) -> Device:
    return Device(
        device_id=number, revision=1, name="blind", room_id="1", role=DeviceRole.blind, bus=Bus.knx, line_id=LINE,
        knx_objects=f"position=3/1/{number} position_status=4/1/{number} up_down=1/1/{number} stop=2/1/{number}",
    )  # fmt: skip


def spec(device: Device, **more: object) -> dict[str, object]:
    """The same device for the actuators."""
    n = device.device_id
    if device.role is DeviceRole.blind:
        return {"id": n, "command": f"3/1/{n}", "status": f"4/1/{n}", "upDown": f"1/1/{n}", "stop": f"2/1/{n}"} | more
    return {"id": n, "command": f"0/1/{n}", "status": f"5/1/{n}"} | more


class Effects:
    """building.effects in memory."""

    async def put(self, effect: Effect) -> None:
        """Nothing is kept: no test here ends in mid-command."""


class Desk:
    """Takes commands as a gateway does; `ended` and `took_s` by device, what the devices said in `heard`."""

    def __init__(self, driver: KnxDriver, devices: Sequence[Device]) -> None:
        self.driver = driver
        self.ended: dict[int, Ended] = {}
        self.took_s: dict[int, float] = {}
        self.heard: list[Report] = []
        self.hands: list[Hand] = []
        self.bugs: list[BaseException] = []
        self._devices = {device.device_id: device for device in devices}
        self._reported, self._queues = Reported(), Queues(self._work, self.bugs.append)
        self._offsets = itertools.count()

    def send(self, device_id: int, target_pct: float) -> None:
        device, cause, now = self._devices[device_id], Position("test", 0, next(self._offsets)), utc_now()
        command = Command(
            command_id=command_id(cause, device_id, 0), room_id="1", device_id=device_id, kind=ACTUATES[device.role],
            target_pct=target_pct, issued_at=now, expires_at=now + timedelta(seconds=120), cause=cause, policy_revision=1,
            winner=Proposal(Slot.manual, "test", target_pct, "a test asks", now),
        )  # fmt: skip
        self.ended.pop(device_id, None)
        self._queues.put(Job(command, LINE, lambda: None))

    async def all_ended(self, *device_ids: int, within_s: float = 60) -> None:
        async with asyncio.timeout(within_s):
            while not self.ended.keys() >= set(device_ids):
                assert not self.bugs, self.bugs
                await asyncio.sleep(0.02)

    async def listen(self) -> None:
        while True:
            said = await self.driver.reports()
            if isinstance(said, Hand):
                self.hands.append(said)
            else:
                self.heard.append(said)
                await self._reported.note(said.device_id, said.kind, said.value)

    async def _work(self, job: Job, newer: asyncio.Event) -> None:
        command, began = job.command, asyncio.get_running_loop().time()
        ended = await actuate(
            command, self._devices[command.device_id], Next.begin, driver=self.driver, effects=Effects(),  # type: ignore[arg-type]
            reported=self._reported, newer=newer, as_owner=_at_once,
        )  # fmt: skip
        self.took_s[command.device_id] = asyncio.get_running_loop().time() - began
        self.ended[command.device_id] = ended


async def _at_once() -> None:
    """The line is ours."""


@asynccontextmanager
async def desk(driver: KnxDriver, devices: Sequence[Device]) -> AsyncIterator[Desk]:
    """A desk with its driver connected, once every status object has been read."""
    made = Desk(driver, devices)
    await driver.start(devices)
    listening = asyncio.create_task(made.listen())
    try:
        yield made
    finally:
        listening.cancel()
        await driver.stop()
