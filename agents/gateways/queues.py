"""Commands waiting for devices: one at a time and in order for each device, devices side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Struct

from schemas.commands import Command


class Job(Struct, frozen=True):
    """A command, the line it came for, and what to call when it is over."""

    command: Command
    line_id: str
    ack: Callable[[], object]


class DeviceQueue:
    """The jobs of one device. `newer` is set while another command waits behind the one being worked on."""

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.newer = asyncio.Event()
        self.working_on: str | None = None

    def put(self, job: Job) -> None:
        """Take a job behind the others."""
        self.jobs.append(job)
        self._look()

    def take(self) -> Job | None:
        """The next job, or None."""
        job = self.jobs.popleft() if self.jobs else None
        self.working_on = None if job is None else job.command.command_id
        self._look()
        return job

    def _look(self) -> None:
        """A repeated delivery of the same command is not newer."""
        if any(job.command.command_id != self.working_on for job in self.jobs):
            self.newer.set()
        else:
            self.newer.clear()


class Queues:
    """One queue and, while it has jobs, one worker for each device. A worker's bug goes to `on_bug`: it stops the role."""

    def __init__(self, work: Callable[[Job, asyncio.Event], Awaitable[None]], on_bug: Callable[[BaseException], None]) -> None:
        self._work, self._on_bug = work, on_bug
        self._queues: dict[int, DeviceQueue] = {}
        self._workers: dict[int, asyncio.Task[None]] = {}

    def put(self, job: Job) -> None:
        """Queue a job for its device."""
        device_id = job.command.device_id
        self._queues.setdefault(device_id, DeviceQueue()).put(job)
        if device_id not in self._workers:
            self._workers[device_id] = asyncio.create_task(self._drain(device_id))

    @property
    def waiting(self) -> int:
        """How many commands wait behind the one at their device."""
        return sum(len(queue.jobs) for queue in self._queues.values())

    def busy(self, device_id: int) -> bool:
        """Whether a command is at the device now, or waits for it."""
        return device_id in self._workers

    async def drop(self) -> None:
        """Stop every worker where it stands and forget what waits: it is not acknowledged, so Kafka has it still."""
        workers, self._workers, self._queues = list(self._workers.values()), {}, {}
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers)

    async def _drain(self, device_id: int) -> None:
        queue = self._queues[device_id]
        try:
            while job := queue.take():
                await self._work(job, queue.newer)
            del self._workers[device_id]
        except Exception as error:
            self._on_bug(error)
