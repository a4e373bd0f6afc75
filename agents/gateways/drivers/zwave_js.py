"""A Z-Wave network through a Z-Wave JS server's WebSocket (zwave-js-server-python)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
from zwave_js_server.client import Client
from zwave_js_server.const import CommandClass, NodeStatus, SetValueStatus
from zwave_js_server.exceptions import BaseZwaveJSServerError, CannotConnect, FailedCommand, FailedZWaveCommand
from zwave_js_server.model.node import Node as JsNode

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from agents.gateways.drivers.zwave_js_maintenance import exclude, heal, include
from agents.gateways.drivers.zwave_network import Event, Lost, NodeChanged, NodeNotYet, Set, Told
from agents.gateways.log import utc_now
from agents.gateways.zwave_js_values import unread, value_of_zwave_js
from agents.gateways.zwave_mapping import Address, Node, Status, Value

T = TypeVar("T")
_CONNECT_S = 10.0
_ANSWER_S = 20.0
"""Three attempts at a node that does not acknowledge, on a slow route, and the queue before them."""
_TELLS_VALUE = ("value updated", "value added", "value notification")
_TELLS_NODE = (
    "ready", "wake up", "sleep", "dead", "alive", "interview started", "interview stage completed", "interview completed",
    "interview failed",
)  # fmt: skip
_DRIVER_GONE = range(100, 113)
"""Z-Wave JS's error codes of its driver and serial port (packages/core/src/error/ZWaveError.ts, ZWaveErrorCodes)."""
_NO_PORT = "serial port"
"""It is in the message alone (of Controller_MessageDropped) where a server has lost its stick and stays."""
_DURATION = "transitionDuration"
_STATUS = {
    NodeStatus.UNKNOWN: Status.unknown,
    NodeStatus.ASLEEP: Status.asleep,
    NodeStatus.AWAKE: Status.awake,
    NodeStatus.DEAD: Status.dead,
    NodeStatus.ALIVE: Status.alive,
}
_OUTCOME = {
    SetValueStatus.SUCCESS: Set.confirmed,
    SetValueStatus.WORKING: Set.working,
    SetValueStatus.SUCCESS_UNSUPERVISED: Set.sent,
}
_logger = logging.getLogger(__name__)


class ZwaveJsNetwork:
    """`zwave_network.Network` on the Z-Wave JS server at a URL such as ws://127.0.0.1:3000."""

    def __init__(self, url: str) -> None:
        self._url, self._shown = url, _shown(url)
        self._client: Client | None = None
        self._session: aiohttp.ClientSession | None = None
        self._listening: asyncio.Task[None] | None = None
        self._nodes: dict[int, Node] = {}
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._setting: dict[tuple[int, int], int] = {}
        self._held: dict[tuple[int, int], Told] = {}
        self._untold: set[tuple[int, Address]] = set()

    @property
    def nodes(self) -> Mapping[int, Node]:
        """The nodes as they are now, without the controller itself."""
        return self._nodes

    async def open(self) -> None:
        """Connect; returns once it is known which nodes there are. Raises `BusUnavailable`."""
        await self.close()
        self._session = aiohttp.ClientSession()
        self._client = client = Client(self._url, self._session)
        ready = asyncio.Event()
        try:
            async with asyncio.timeout(_CONNECT_S):
                await client.connect()
                self._listening = asyncio.create_task(client.listen(ready))
                await _first(self._listening, ready.wait())
            if client.driver is None:
                if self._listening.done():
                    self._listening.result()  # raises why, where there is a why
                raise BusUnavailable(f"Z-Wave JS server {self._shown} closed the connection")
        except (OSError, TimeoutError, aiohttp.ClientError, BaseZwaveJSServerError) as error:
            await self.close()
            raise BusUnavailable(f"Z-Wave JS server {self._shown}: {_why(error) or 'no answer'}") from error
        except BusUnavailable:
            await self.close()
            raise
        while not self._events.empty():  # of the connection before
            self._events.get_nowait()
        controller = client.driver.controller
        for node in controller.nodes.values():
            self._follow(node)
        controller.on("node added", lambda event: self._follow(event["node"]))
        controller.on("node removed", lambda event: self._forget(event["node"]))
        self._listening.add_done_callback(self._lost)

    async def close(self) -> None:
        """Disconnect; calls under way end with `BusUnavailable`."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.remove_done_callback(self._lost)
            listening.cancel()
            await asyncio.wait([listening])
        if self._session is not None:
            await self._session.close()
        self._client = self._session = None
        self._nodes, self._setting, self._held = {}, {}, {}

    async def events(self) -> Event:
        """What happened next; waits for it."""
        return await self._events.get()

    async def set_level(self, node_id: int, endpoint: int, wire: int, transition_s: float | None) -> Set:
        """Multilevel Switch Set. Raises `DeviceSilent`, `BusUnavailable`."""
        node = self._node(node_id)
        target = next((v for v in node.values.values() if v.command_class == CommandClass.SWITCH_MULTILEVEL
                       and v.property_ == "targetValue" and (v.endpoint or 0) == endpoint), None)  # fmt: skip
        if target is None:
            return Set.refused
        fades = _DURATION in target.metadata.value_change_options  # since version 2 of its command class
        duration = {_DURATION: f"{round(transition_s)}s"} if fades and transition_s is not None else None
        key = (node_id, endpoint)
        self._setting[key] = wire
        is_its_word = True  # without an acknowledgement a server shows nothing but what the node itself has told
        try:
            result = await self._ask(node, node.async_set_value(target, wire, duration, wait_for_result=True))
            outcome = Set.refused if result is None else _OUTCOME.get(result.status, Set.refused)
            is_its_word = outcome is Set.confirmed
        finally:
            self._setting.pop(key, None)
            shown = self._held.pop(key, None)
            if is_its_word and shown is not None:
                self._events.put_nowait(shown)
        return outcome

    async def get(self, value: Value) -> Value:
        """Poll a value. Raises `DeviceSilent`, `BusUnavailable`."""
        node = self._node(value.node_id)
        found = next((v for v in node.values.values() if _is(value, node.node_id, dict(v.data))), None)
        if found is None:
            raise DeviceSilent(f"Z-Wave node {value.node_id} has no {value.name} any more")
        address = {
            "commandClass": int(found.command_class), "endpoint": found.endpoint, "property": found.property_,
            **({} if found.property_key is None else {"propertyKey": found.property_key}),
        }  # fmt: skip
        poll = node.async_send_command("poll_value", valueId=address, require_schema=1, wait_for_result=True)
        self._untold.add((value.node_id, value.address))
        answer = (await self._ask(node, poll) or {}).get("value")
        if answer is None:
            raise DeviceSilent(f"Z-Wave node {value.node_id} does not answer: {value.name}")
        # A notification's answer is words, and an answer overtakes the event that updates `found`: the server's store has it.
        held = await self._ask(node, node.async_send_command("get_value", valueId=address, wait_for_result=True)) or {}
        told = value_of_zwave_js(value.node_id, {**found.data, "value": held.get("value")})
        assert told is not None
        if (value.node_id, value.address) in self._untold:  # the server tells nothing of a notification that is idle and was
            self._events.put_nowait(Told(told, utc_now()))
        return told

    async def ping(self, node_id: int) -> bool:
        """Whether the node acknowledges."""
        node = self._node(node_id)
        return bool(await self._ask(node, node.async_ping()))

    def include(self, *, pin: str | None, secure: bool) -> AsyncIterator[str]:
        """Let a node join; says in words what happens, the interview included. Raises `BusUnavailable`."""
        return include(*self._connection(), pin=pin, secure=secure)

    def exclude(self) -> AsyncIterator[str]:
        """Let a node leave; says in words what happens. Raises `BusUnavailable`."""
        return exclude(*self._connection())

    def heal(self, node_id: int | None) -> AsyncIterator[str]:
        """Rebuild the routes of a node, or of all; says in words what happens. Raises `BusUnavailable`."""
        return heal(*self._connection(), node_id)

    def _connection(self) -> tuple[Client, asyncio.Task[None]]:
        client, listening = self._connected(), self._listening
        assert listening is not None
        return client, listening

    def _connected(self) -> Client:
        if self._client is None or self._client.driver is None or self._listening is None or self._listening.done():
            raise BusUnavailable(f"Z-Wave JS server {self._shown} is not connected")
        return self._client

    def _node(self, node_id: int) -> JsNode:
        driver = self._connected().driver
        assert driver is not None
        node = driver.controller.nodes.get(node_id)
        if node is None:
            raise DeviceSilent(f"there is no node {node_id} in the Z-Wave network")
        return node

    async def _ask(self, node: JsNode, command: Coroutine[Any, Any, T]) -> T:
        """Wait for a command's answer, as long as the connection is there and the node does not fall asleep over it."""
        assert self._listening is not None
        node_id, sleeps = node.node_id, not (node.is_listening or node.is_frequent_listening)
        if sleeps and node.status is NodeStatus.ASLEEP:  # it would lie in the server until the node wakes up, whoever wants it then
            command.close()
            raise NodeNotYet(f"Z-Wave node {node_id} sleeps")
        asked, asleep = asyncio.ensure_future(command), asyncio.ensure_future(node.status_event.wait())
        try:
            ends = {asked, self._listening, *([asleep] if sleeps else [])}
            await asyncio.wait(ends, timeout=_ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
            if asked.done() and not asked.cancelled():  # cancelled by the client, when its connection has ended
                return asked.result()
            if sleeps and asleep.done():
                raise NodeNotYet(f"Z-Wave node {node_id} fell asleep")
        except FailedZWaveCommand as error:
            if sleeps and node.status is NodeStatus.ASLEEP:
                raise NodeNotYet(f"Z-Wave node {node_id} fell asleep") from error
            if error.zwave_error_code in _DRIVER_GONE or _NO_PORT in error.zwave_error_message:
                raise BusUnavailable(f"Z-Wave JS: {error.zwave_error_message}") from error
            raise DeviceSilent(f"Z-Wave node {node_id}: {error.zwave_error_message}") from error
        except FailedCommand as error:
            raise DeviceSilent(f"Z-Wave node {node_id}: {error}") from error
        except (BaseZwaveJSServerError, aiohttp.ClientError, OSError) as error:
            raise BusUnavailable(f"Z-Wave JS server {self._shown}: {error}") from error
        finally:
            asked.cancel()
            asleep.cancel()
        if self._listening is None or self._listening.done() or asked.cancelled():
            raise BusUnavailable(f"Z-Wave JS server {self._shown}: the connection is gone")
        raise BusUnavailable(f"Z-Wave JS server {self._shown} did not answer within {_ANSWER_S:g} s")

    def _follow(self, node: JsNode) -> None:
        """Take what a node tells from now on."""
        if node.is_controller_node:
            return
        self._look(node)
        for event in _TELLS_VALUE:
            node.on(event, self._hears(node))
        for event in _TELLS_NODE:
            node.on(event, lambda _: self._look(node))

    def _hears(self, node: JsNode) -> Callable[[dict[str, Any]], None]:
        def hear(event: dict[str, Any]) -> None:
            said = event["value_notification"] if "value_notification" in event else event["value"]
            value = value_of_zwave_js(node.node_id, said.data) or unread(node.node_id, said.data)
            if value is None:
                return
            if event["event"] == "value added" or self._is_first(value):
                self._look(node)
            else:
                self._remember(value)
            self._untold.discard((value.node_id, value.address))
            told, key = Told(value, utc_now()), (value.node_id, value.endpoint)
            # A server of somebody else may show a level as reached that was only sent: whether it is, the Set's own answer says.
            if value.name == "currentValue" and self._setting.get(key) == value.number:
                self._held[key] = told
            else:
                self._events.put_nowait(told)

        return hear

    def _remember(self, value: Value) -> None:
        node = self._nodes.get(value.node_id)
        if node is not None:
            values = tuple(value if each.address == value.address else each for each in node.values)
            self._nodes[value.node_id] = msgspec.structs.replace(node, values=values)

    def _is_first(self, value: Value) -> bool:
        """Whether the node had not told this value before: which of several counts may be another from now on."""
        node = self._nodes.get(value.node_id)
        untold = () if node is None else (each for each in node.values if each.number is None)
        return value.number is not None and any(each.address == value.address for each in untold)

    def _look(self, node: JsNode) -> None:
        self._nodes[node.node_id] = facts_of(node)
        self._events.put_nowait(NodeChanged(node.node_id))

    def _forget(self, node: JsNode) -> None:
        self._nodes.pop(node.node_id, None)
        self._events.put_nowait(NodeChanged(node.node_id))

    def _lost(self, listening: asyncio.Task[None]) -> None:
        error = None if listening.cancelled() else listening.exception()
        self._events.put_nowait(Lost(f"Z-Wave JS server {self._shown}: {error or 'the connection was closed'}"))


def facts_of(node: JsNode) -> Node:
    """A node of the client as the mapping wants it."""
    config = node.device_config
    values = (value_of_zwave_js(node.node_id, dict(value.data)) for value in list(node.values.values()))
    return Node(
        node_id=node.node_id, status=_STATUS.get(node.status, Status.unknown), ready=bool(node.ready),
        listening=bool(node.is_listening or node.is_frequent_listening), stage=str(node.interview_stage or ""),
        manufacturer_id=node.manufacturer_id, product_type=node.product_type, product_id=node.product_id,
        firmware=node.firmware_version or "", manufacturer=(config.manufacturer if config else "") or "",
        product=" ".join(filter(None, (config.label, config.description))) if config else "",
        device_class=device_class.specific.label if (device_class := node.device_class) else "",
        values=tuple(value for value in values if value is not None),
    )  # fmt: skip


def _shown(url: str) -> str:
    """A URL for messages, without what may be secret: its user information and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _why(error: Exception) -> str:
    """An error's words, but where aiohttp's repeat the URL."""
    match error.error if isinstance(error, CannotConnect) else error:
        case aiohttp.WSServerHandshakeError() as refused:
            return f"{refused.status}, {refused.message}"
        case aiohttp.InvalidURL():
            return "not a URL"
    return str(error)


def _is(value: Value, node_id: int, data: Mapping[str, Any]) -> bool:
    found = value_of_zwave_js(node_id, data)
    return found is not None and found.address == value.address


async def _first(*awaitables: Any) -> None:
    """Wait for the first of them; the others go on, but for those made here, which are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each, task in zip(awaitables, tasks, strict=True):
            if task is not each:
                task.cancel()
