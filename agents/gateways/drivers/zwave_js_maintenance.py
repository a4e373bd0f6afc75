"""Nodes joining, leaving and finding their routes anew, through a Z-Wave JS server: as words for the person who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager
from typing import Any, Literal, TypeVar

import aiohttp
from zwave_js_server.client import Client
from zwave_js_server.const import ExclusionStrategy, InclusionStrategy, NodeStatus, SecurityClass
from zwave_js_server.exceptions import BaseZwaveJSServerError, NotConnected
from zwave_js_server.model.controller import Controller
from zwave_js_server.model.controller.rebuild_routes import RebuildRoutesOptions
from zwave_js_server.model.node import Node

from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from agents.gateways.drivers.zwave_calling_off import call_off
from schemas.errors import BuildingError

T = TypeVar("T")
WAIT_S = 60.0
"""So long a device may be brought to join or to leave."""
_INTERVIEW_S = 300.0
"""A large node far away is interviewed within this; one that falls asleep meanwhile goes on when it wakes up."""
_REMOVED_S = 1.0
"""Z-Wave JS tells that a node of the network left right after the exclusion has stopped; of any other node it tells no more."""
_Joining = Literal[InclusionStrategy.DEFAULT, InclusionStrategy.INSECURE]
_OCCUPIED = "the controller is busy with another inclusion or exclusion"
_GONE = "the connection to the Z-Wave JS server is gone"
_STAGES = ("ProtocolInfo", "NodeInfo", "CommandClasses", "OverwriteConfig", "Complete")
"""Z-Wave JS's InterviewStage, in their order."""


class _Said:
    """What is to be said, and the end of it, from callbacks to an iterator; the end of `listening`, the connection, is one."""

    def __init__(self, on: ExitStack, listening: asyncio.Future[None]) -> None:
        self._queue: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self._on = on
        self._tasks: set[asyncio.Task[None]] = set()
        listening.add_done_callback(self._gone)
        on.callback(listening.remove_done_callback, self._gone)
        on.callback(self._leave_off)

    def say(self, words: str) -> None:
        self._queue.put_nowait(words)

    def end(self, error: Exception | None = None) -> None:
        self._queue.put_nowait(error)

    def listen(self, source: Controller | Node, event: str, callback: Callable[[dict[str, Any]], None]) -> None:
        """Call back on an event, until the stack closes."""
        self._on.callback(source.on(event, callback))

    def do(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something in the background until the stack closes; its failure is the end."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def next(self, within_s: float) -> str | None:
        """The next words, None at the end. Raises `TimeoutError`, and what the end was given."""
        async with asyncio.timeout(within_s):
            said = await self._queue.get()
        if isinstance(said, Exception):
            raise said
        return said

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end(BusUnavailable(str(error)))

    def _gone(self, _: asyncio.Future[None]) -> None:
        self.end(BusUnavailable(_GONE))

    def _leave_off(self) -> None:
        for task in self._tasks:
            task.cancel()


async def _asked(call: Coroutine[Any, Any, T], listening: asyncio.Future[None]) -> T:
    """The server's answer. Raises `BusUnavailable` where it refuses, or where the connection ends first."""
    asked = asyncio.ensure_future(call)
    try:
        ends: set[asyncio.Future[Any]] = {asked, listening}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if asked.done() and not asked.cancelled():  # cancelled by the client, when its connection has ended
            return asked.result()
    except NotConnected as error:
        raise BusUnavailable(_GONE) from error
    except (BaseZwaveJSServerError, aiohttp.ClientError, OSError) as error:
        raise BusUnavailable(f"Z-Wave JS: {error}") from error
    finally:
        asked.cancel()
    raise BusUnavailable(_GONE)


@asynccontextmanager
async def _under_way(
    what: str, begin: Coroutine[Any, Any, bool], refused: BuildingError, stop: Callable[[], Coroutine[Any, Any, object]],
    over: Callable[[], bool], listening: asyncio.Future[None],
) -> AsyncIterator[None]:  # fmt: skip
    """Begin it, and end it again unless it is `over`. Raises `refused` where the controller does not begin, `BusUnavailable`.

    Also where whoever waits goes before the controller has answered: it begins all the same.
    """
    begun = asyncio.ensure_future(_asked(begin, listening))

    async def end() -> None:
        if await begun:
            await _asked(stop(), listening)

    try:
        if not await asyncio.shield(begun):
            raise refused
        yield
    finally:
        if not over():
            await call_off(what, end())


def _controller(client: Client) -> Controller:
    if client.driver is None:
        raise BusUnavailable("the Z-Wave JS server is not connected")
    return client.driver.controller


async def include(client: Client, listening: asyncio.Future[None], *, pin: str | None, secure: bool) -> AsyncIterator[str]:
    """Let a node join, until it has been interviewed. Raises `BusUnavailable`, `DeviceSilent` where none comes or it fails.

    `listening`: done once the client's connection is gone.
    """
    controller = _controller(client)
    with ExitStack() as on:
        said, joined, found = _Said(on, listening), False, 0

        def found_one(event: dict[str, Any]) -> None:
            nonlocal found
            found = event["node"]["nodeId"]
            said.say(f"node {found} was found")

        def given_up(_: dict[str, Any]) -> None:
            nonlocal found
            found = 0
            said.end(DeviceSilent("the controller could not let a node join"))

        async def stop() -> None:
            if not await controller.async_stop_inclusion() and found:
                raise BusUnavailable(f"node {found} was found already and goes on joining: `exclude` it if it is not wanted")

        def added(event: dict[str, Any]) -> None:
            nonlocal joined
            joined = True
            node: Node = event["node"]
            clear = node.highest_security_class in (None, SecurityClass.NONE)
            said.say(f"node {node.node_id} joined{' without encryption' if clear else ''}; its interview begins")
            said.listen(node, "interview stage completed", lambda event: said.say(_stage(node, event["stageName"])))
            said.listen(node, "interview failed", lambda event: failed(node, event))
            said.listen(node, "ready", lambda _: over(node))

        def failed(node: Node, event: dict[str, Any]) -> None:
            args = event.get("args", {})
            again = "; it is tried again" if not args.get("isFinal", True) else ""
            said.say(f"node {node.node_id}: interview failed: {args.get('errorMessage', 'no reason given')}{again}")
            if args.get("isFinal", True):
                said.end(DeviceSilent(f"node {node.node_id} joined, but could not be interviewed: wake it up, or exclude it"))

        def over(node: Node) -> None:
            said.say(f"node {node.node_id} is known: {_named(node)}")
            said.end()

        def asked_for_pin(event: dict[str, Any]) -> None:
            if pin is None:
                said.say(f"the device asks for its PIN (key ...{event['dsk']}): exclude it, then include it with --pin")
            said.do(controller.async_validate_dsk_and_enter_pin(pin if pin is not None else ""))

        said.listen(controller, "inclusion started", lambda _: said.say(f"bring the device to join now: {WAIT_S:.0f} s"))
        said.listen(controller, "inclusion failed", given_up)
        said.listen(controller, "node found", found_one)
        said.listen(controller, "node added", added)
        said.listen(
            controller, "grant security classes",
            lambda event: said.do(controller.async_grant_security_classes(event["requested_grant"])),
        )  # fmt: skip
        said.listen(controller, "validate dsk and enter pin", asked_for_pin)
        strategy: _Joining = InclusionStrategy.DEFAULT if secure else InclusionStrategy.INSECURE
        async with _under_way(
            "the inclusion", controller.async_begin_inclusion(strategy), BusUnavailable(_OCCUPIED), stop, lambda: joined, listening
        ):
            while True:
                try:
                    words = await said.next(_INTERVIEW_S if joined else WAIT_S)
                except TimeoutError:
                    if joined:
                        raise DeviceSilent(f"its interview is not over after {_INTERVIEW_S:.0f} s: wake it up") from None
                    raise DeviceSilent(f"no device came within {WAIT_S:.0f} s") from None
                if words is None:
                    return
                yield words


async def exclude(client: Client, listening: asyncio.Future[None]) -> AsyncIterator[str]:
    """Let a node leave its network, this or another. Raises `BusUnavailable`, `DeviceSilent` where none comes."""
    controller = _controller(client)
    with ExitStack() as on:
        said, over = _Said(on, listening), False

        def removed(event: dict[str, Any]) -> None:
            said.say(f"node {event['node'].node_id} has left")
            said.end()

        def stopped(_: dict[str, Any]) -> None:
            nonlocal over
            over = True
            said.do(none_of_ours())

        async def none_of_ours() -> None:
            await asyncio.sleep(_REMOVED_S)
            said.say("the exclusion has ended, no node of this network left: a device that was in another one can join now")
            said.end()

        said.listen(controller, "exclusion started", lambda _: said.say(f"bring the device to leave now: {WAIT_S:.0f} s"))
        said.listen(controller, "exclusion failed", lambda _: said.end(DeviceSilent("the controller could not let a node leave")))
        said.listen(controller, "exclusion stopped", stopped)
        said.listen(controller, "node removed", removed)
        async with _under_way(
            "the exclusion", controller.async_begin_exclusion(ExclusionStrategy.EXCLUDE_ONLY), BusUnavailable(_OCCUPIED),
            controller.async_stop_exclusion, lambda: over, listening,
        ):  # fmt: skip
            try:
                while (words := await said.next(WAIT_S)) is not None:
                    yield words
            except TimeoutError:
                raise DeviceSilent(f"no device left within {WAIT_S:.0f} s") from None


async def heal(client: Client, listening: asyncio.Future[None], node_id: int | None) -> AsyncIterator[str]:
    """Rebuild routes, of all nodes without those that sleep. Raises `BusUnavailable`, `DeviceSilent` where it cannot be done.

    Those of one node cannot be stopped: the controller goes on when the iterator is closed.
    """
    controller = _controller(client)
    if node_id is not None:
        node = controller.nodes.get(node_id)
        if node is None:
            raise DeviceSilent(f"there is no node {node_id} in the Z-Wave network")
        asleep = node.status is NodeStatus.ASLEEP
        yield f"node {node_id}{' sleeps: its routes are found once it wakes up' if asleep else ': finding its routes anew'}"
        if not await _asked(controller.async_rebuild_node_routes(node), listening):
            raise DeviceSilent(f"node {node_id}: its routes could not be rebuilt: does it answer, and has it neighbours?")
        yield f"node {node_id}: done"
        return
    with ExitStack() as on:
        said, over = _Said(on, listening), False
        told: dict[int, str] = {}

        def progress(states: dict[Node, Any]) -> None:
            for node, state in states.items():
                if told.get(node.node_id) != str(state.value):
                    told[node.node_id] = str(state.value)
                    said.say(f"node {node.node_id}: {state.value}")

        def done(_: dict[str, Any]) -> None:
            nonlocal over
            over = True
            progress(controller.last_rebuild_routes_result or {})
            said.end()

        said.listen(controller, "rebuild routes progress", lambda _: progress(dict(controller.rebuild_routes_progress or {})))
        said.listen(controller, "rebuild routes done", done)
        refused = DeviceSilent("the controller does not rebuild routes now: it does so already, or has no nodes")
        awake = RebuildRoutesOptions(include_sleeping=False)  # one that sleeps would be waited for, for hours
        async with _under_way(
            "rebuilding routes", controller.async_begin_rebuilding_routes(awake), refused,
            controller.async_stop_rebuilding_routes, lambda: over, listening,
        ):  # fmt: skip
            try:
                while (words := await said.next(_INTERVIEW_S)) is not None:
                    yield words
            except TimeoutError:
                raise DeviceSilent(f"nothing more was told within {_INTERVIEW_S:.0f} s") from None


def _stage(node: Node, stage: str) -> str:
    number = _STAGES.index(stage) + 1 if stage in _STAGES else 0
    return f"node {node.node_id}: interview {number} of {len(_STAGES)}: {stage}" if number else f"node {node.node_id}: {stage}"


def _named(node: Node) -> str:
    config = node.device_config
    said = (config.manufacturer, config.label, config.description) if config else ()
    return " ".join(filter(None, said)) or "a product Z-Wave JS has no name for"
