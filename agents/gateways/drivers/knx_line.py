"""One KNX line over IP: a connection that is kept up, telegrams at the line's pace, answers to reads. All through xknx."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from xknx import XKNX
from xknx.core.connection_state import XknxConnectionState
from xknx.dpt.payload import DPTArray, DPTBinary
from xknx.exceptions import ConfirmationError, XKNXException
from xknx.io import ConnectionConfig, ConnectionType, SecureConfig
from xknx.telegram import GroupAddress, Telegram
from xknx.telegram.apci import GroupValueRead, GroupValueResponse, GroupValueWrite

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from agents.gateways.knx_dpt import Raw
from streams.knx_lines import Connection, KnxLine

ANSWER_S = 2.0
"""A device answers a read within this; a busy TP1 line carries about 40 telegrams/s, and answers stand in its queue."""
_READS = 2
_CONNECT_S, _STOP_S = 10.0, 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_TYPES = {
    Connection.tunnelling: ConnectionType.TUNNELING,
    Connection.tunnelling_tcp: ConnectionType.TUNNELING_TCP,
    Connection.secure_tunnelling: ConnectionType.TUNNELING_TCP_SECURE,
    Connection.routing: ConnectionType.ROUTING,
}
_SERVICES: dict[type, str] = {GroupValueWrite: "write", GroupValueResponse: "response", GroupValueRead: "read"}
_logger = logging.getLogger(__name__)


class Urgency(IntEnum):
    """Which telegram goes first when several wait for the line."""

    command = 0
    confirm = 1
    fill = 2
    """Periodic and initial reads."""


class Heard(NamedTuple):
    """A group telegram of somebody else."""

    source: str
    address: str
    service: str
    """write, response or read."""
    raw: Raw | None


class Line:
    """One line. `heard` is called for each telegram, `connected` after each connection; `trouble` is None or what is wrong.

    `watch` is told of the tasks that keep it: one that ends by itself is a bug.
    """

    def __init__(
        self, name: str, config: KnxLine, password: str | None, heard: Callable[[Heard], None], connected: Callable[[], None],
        watch: Callable[[asyncio.Task[None]], None],
    ) -> None:  # fmt: skip
        self.name, self.config = name, config
        self.trouble: str | None = "not started"
        self.telegrams_in = self.telegrams_out = self.reconnects = 0
        self._password = password
        self._heard, self._connected, self._watch = heard, connected, watch
        self._xknx: XKNX | None = None
        self._lost, self._connecting = asyncio.Event(), asyncio.Lock()
        self._waiting: asyncio.PriorityQueue[tuple[int, int, Telegram, asyncio.Future[None]]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._answers: dict[str, set[asyncio.Future[Raw]]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """How many telegrams wait for their turn."""
        return self._waiting.qsize()

    async def open(self) -> None:
        """Connect, and from now on keep trying and keep connected. Raises `BusUnavailable` when it is not to be had now."""
        try:
            await self._connect()
        except BusUnavailable:
            self._lost.set()
            raise
        finally:
            if not self._tasks:
                self._tasks = [asyncio.create_task(self._keep()), asyncio.create_task(self._send_waiting())]
                for task in self._tasks:
                    self._watch(task)

    async def close(self) -> None:
        """Disconnect; what waits ends with `BusUnavailable`."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []
        await self._drop("stopped")

    async def write(self, address: str, raw: Raw, urgency: Urgency = Urgency.command) -> None:
        """Send a GroupValueWrite; returns when the interface has confirmed it. Raises `BusUnavailable`."""
        await self._send(address, GroupValueWrite(DPTBinary(raw) if isinstance(raw, int) else DPTArray(raw)), urgency)

    async def read(self, address: str, urgency: Urgency = Urgency.confirm) -> Raw:
        """Ask for the value at an address. Raises `DeviceSilent` after two questions, `BusUnavailable`."""
        for _ in range(_READS):
            answer: asyncio.Future[Raw] = asyncio.get_running_loop().create_future()
            self._answers[address].add(answer)
            try:
                await self._send(address, GroupValueRead(), urgency)
                async with asyncio.timeout(ANSWER_S):
                    return await answer
            except TimeoutError:
                continue
            finally:
                self._answers[address].discard(answer)
        raise DeviceSilent(f"nobody answers on {address} of KNX line {self.name}, asked {_READS} times")

    async def _send(self, address: str, payload: GroupValueWrite | GroupValueRead, urgency: Urgency) -> None:
        if self._xknx is None:
            raise BusUnavailable(self.trouble or "not connected")
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((urgency, next(self._order), Telegram(GroupAddress(address), payload=payload), sent))
        await sent

    async def _send_waiting(self) -> None:
        """One telegram after the other, no faster than the line's rate."""
        loop = asyncio.get_running_loop()
        free_at = 0.0
        while True:
            _, _, telegram, sent = await self._waiting.get()
            if sent.done():
                continue
            await asyncio.sleep(max(0.0, free_at - loop.time()))
            free_at = loop.time() + 1 / self.config.rate_limit
            try:
                await self._transmit(telegram)
            except BusUnavailable as error:
                if not sent.done():
                    sent.set_exception(error)
            else:
                if not sent.done():
                    sent.set_result(None)

    async def _transmit(self, telegram: Telegram) -> None:
        xknx = self._xknx
        if xknx is None or xknx.connection_manager.state is not XknxConnectionState.CONNECTED:
            raise BusUnavailable(self.trouble or f"KNX line {self.name}: not connected")
        try:
            await xknx.cemi_handler.send_telegram(telegram)  # not xknx's queue: it keeps a failure to itself
        except ConfirmationError as error:
            self.trouble = f"KNX line {self.name}: {self.config.named} does not confirm telegrams: is the bus connected to it?"
            self._lost.set()  # over TCP this is also how an interface that has forgotten our tunnel shows
            raise BusUnavailable(self.trouble) from error
        except (XKNXException, OSError) as error:
            self._lost.set()
            raise BusUnavailable(f"KNX line {self.name}: {self.config.named}: {error}") from error
        self.telegrams_out += 1
        self.trouble = None

    async def _keep(self) -> None:
        """Whenever the connection is lost, connect again, with growing pauses."""
        while True:
            await self._lost.wait()
            if self._xknx is not None:
                await self._drop(self.trouble or f"KNX line {self.name}: {self.config.named} has gone")
            pause_s = _FIRST_PAUSE_S
            while self._xknx is None:
                try:
                    await self._connect()
                except BusUnavailable as error:
                    _logger.warning("%s", error)
                    await asyncio.sleep(pause_s)
                    pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            self.reconnects += 1

    async def _connect(self) -> None:
        """Connect unless we are, be it by somebody who asked a moment earlier."""
        async with self._connecting:
            if self._xknx is None:
                await self._connect_now()

    async def _connect_now(self) -> None:
        self._lost.clear()
        xknx = XKNX(connection_config=self._connection(), telegram_received_cb=self._hear)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await xknx.start()
        except (XKNXException, OSError) as error:  # TimeoutError is an OSError
            await _stop(xknx)
            why = str(error.__cause__ or error) or f"no answer within {_CONNECT_S:g} s"
            self.trouble = f"KNX line {self.name}: {self.config.named} cannot be reached: {why}"
            raise BusUnavailable(self.trouble) from error
        except asyncio.CancelledError:
            await _stop(xknx)
            raise
        xknx.connection_manager.register_connection_state_changed_cb(self._changed)
        self._xknx, self.trouble = xknx, None
        self._changed(xknx.connection_manager.state)  # it may be gone already
        _logger.info("KNX line %s: connected by %s as %s", self.name, self.config.named, xknx.current_address)
        self._connected()

    def _changed(self, state: XknxConnectionState) -> None:
        if state is XknxConnectionState.DISCONNECTED:
            self._lost.set()

    async def _drop(self, why: str) -> None:
        xknx, self._xknx, self.trouble = self._xknx, None, why
        while not self._waiting.empty():
            *_, sent = self._waiting.get_nowait()
            if not sent.done():
                sent.set_exception(BusUnavailable(why))
        for answer in [answer for answers in self._answers.values() for answer in answers]:
            if not answer.done():
                answer.set_exception(BusUnavailable(why))
        if xknx is not None:
            await _stop(xknx)

    def _hear(self, telegram: Telegram) -> None:
        payload, raw = telegram.payload, None
        if isinstance(payload, GroupValueWrite | GroupValueResponse):
            raw = payload.value.value
        elif not isinstance(payload, GroupValueRead):
            return
        service = _SERVICES[type(payload)]
        self.telegrams_in += 1
        address = str(telegram.destination_address)
        if service == "response" and raw is not None:
            for answer in self._answers.get(address, ()):
                if not answer.done():
                    answer.set_result(raw)
        self._heard(Heard(str(telegram.source_address), address, service, raw))

    def _connection(self) -> ConnectionConfig:
        config = self.config
        secure = None
        if config.connection is Connection.secure_tunnelling:
            secure = SecureConfig(knxkeys_file_path=config.keyring, knxkeys_password=self._password)
        return ConnectionConfig(
            connection_type=_TYPES[config.connection],
            gateway_ip=config.gateway,
            gateway_port=config.port,
            local_ip=config.local_ip,
            individual_address=config.individual_address,
            multicast_group=config.multicast_group,
            multicast_port=config.port,
            auto_reconnect=False,  # `_keep` does it: a write must fail now, not wait without an end for a gateway that is away
            secure_config=secure,
        )


async def _stop(xknx: XKNX) -> None:
    """End a connection that may be dead already, and that must not hold anything up."""
    with contextlib.suppress(XKNXException, OSError):
        async with asyncio.timeout(_STOP_S):
            if xknx.started.is_set():
                await xknx.stop()
            else:
                xknx.task_registry.stop()
                await xknx.knxip_interface.stop()
    xknx.started.clear()
