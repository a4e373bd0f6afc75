"""What a driver's own work ends with reaches its gateway, which otherwise waits for ever for a bus that says nothing."""

import asyncio
from datetime import UTC, datetime

import pytest

from agents.gateways.drivers.base import Report
from agents.gateways.drivers.outbox import Outbox
from schemas.records import Kind

REPORT = Report(2, Kind.temperature_c, 21.0, datetime(2026, 3, 2, tzinfo=UTC))


async def test_a_bug_in_a_drivers_own_work_comes_after_what_it_had_said():
    async def work():
        raise ZeroDivisionError

    outbox = Outbox()
    outbox.put(REPORT)
    outbox.watch(asyncio.create_task(work()))
    await asyncio.sleep(0.01)
    assert await outbox.get() == REPORT
    with pytest.raises(ZeroDivisionError):
        await outbox.get()
    assert outbox.trouble == "the driver has stopped: ZeroDivisionError()"


async def test_no_flood_of_reports_pushes_the_bug_out(monkeypatch):
    async def work():
        raise ZeroDivisionError

    monkeypatch.setattr("agents.gateways.drivers.outbox._MOST", 3)
    outbox = Outbox()
    outbox.watch(asyncio.create_task(work()))
    await asyncio.sleep(0.01)
    for _ in range(10):
        outbox.put(REPORT)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await outbox.get()
    assert outbox.dropped == 10


async def test_to_be_stopped_is_no_bug():
    outbox = Outbox()
    task = asyncio.create_task(asyncio.sleep(60))
    outbox.watch(task)
    task.cancel()
    await asyncio.wait([task])
    outbox.put(REPORT)
    assert await outbox.get() == REPORT
    assert outbox.trouble is None
