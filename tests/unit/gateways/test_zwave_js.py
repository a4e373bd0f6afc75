"""What a Z-Wave JS server says, on the client's own nodes, with a server that a test plays: facts, outcomes, whose fault it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import InvalidURL, WSServerHandshakeError
from zwave_js_server.event import Event, EventBase
from zwave_js_server.exceptions import CannotConnect, ConnectionFailed, FailedCommand, FailedZWaveCommand, NotConnected
from zwave_js_server.model.controller.rebuild_routes import RebuildRoutesOptions
from zwave_js_server.model.node import Node as JsNode

from agents.gateways.drivers import zwave_calling_off, zwave_js, zwave_js_maintenance
from agents.gateways.drivers.base import BusUnavailable, DeviceSilent
from agents.gateways.drivers.zwave_js import ZwaveJsNetwork, facts_of
from agents.gateways.drivers.zwave_js_maintenance import exclude, heal, include
from agents.gateways.drivers.zwave_network import Lost, NodeChanged, NodeNotYet, Set, Told
from agents.gateways.zwave_mapping import Status, Value

pytestmark = pytest.mark.timeout(20)
URL = "ws://127.0.0.1:1"
SECRET = "wss://joe:word@host:3000/zwave?token=abc"
REQUEST: Any = SimpleNamespace(real_url=SECRET)
LEVEL = Value(3, 0, 0x26, "currentValue", number=5)
SUCCESS, WORKING, FAIL, UNSUPERVISED = 255, 1, 2, 254


def data(prop: str, value: Any = None, **metadata: Any) -> dict[str, Any]:
    said = {"type": "number", "readable": True, "writeable": prop == "targetValue", **metadata}
    return {"commandClass": 0x26, "endpoint": 0, "property": prop, "propertyName": prop, "metadata": said, "value": value}


def js_node(client: object = None, *, fades: bool = True, **more: Any) -> JsNode:
    options = ["transitionDuration"] if fades else []
    return JsNode(
        client or SimpleNamespace(driver=None),  # type: ignore[arg-type]
        {
            "nodeId": 3, "index": 0, "status": 4, "ready": True, "isListening": True, "isFrequentListening": False,
            "isControllerNode": False, "endpoints": [], "interviewStage": "Complete",
            "values": [data("currentValue", 5), data("targetValue", valueChangeOptions=options)], **more,
        },
    )  # fmt: skip


class Server:
    """The client as far as a node uses it: each command gets the next answer, the last one stays; its store `holds` a value."""

    driver: Any = None
    connected = True

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.holds: Any = 5

    async def async_send_command(self, message: dict[str, Any], require_schema: int | None = None) -> Any:
        self.asked.append(message)
        if message["command"] == "node.get_value":
            return {"value": self.holds}
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return await answer() if callable(answer) else answer


class Wired(ZwaveJsNetwork):
    """A network that is connected to a played server, with one node."""

    def __init__(self, *answers: Any, **node: Any) -> None:
        super().__init__(URL)
        self.server = Server(*answers)
        self.node = js_node(self.server, **node)
        self.server.driver = SimpleNamespace(controller=SimpleNamespace(nodes={3: self.node}))
        self._client = self.server  # type: ignore[assignment]
        self._listening = asyncio.ensure_future(_for_ever())
        self._follow(self.node)

    def says(self, event: str, **more: Any) -> None:
        self.node.receive_event(Event(event, {"source": "node", "event": event, "nodeId": 3, **more}))

    def shows(self, level: int, event: str = "value updated") -> None:
        """The server tells a level."""
        self.says(event, args={**data("currentValue"), "newValue": level, "prevValue": 5, "commandClassName": "Multilevel Switch"})

    async def told(self) -> list[float | None]:
        """The values that are told and have not been fetched."""
        said = []
        while not self._events.empty():
            event = await self.events()
            if isinstance(event, Told):
                said.append(event.value.number)
        return said


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def fails(error: type[Exception], words: str, call: Awaitable[object]) -> None:
    with pytest.raises(error, match=words or None) as caught:
        await call
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("said", "status", "listening"),
    [
        ({"status": 4}, Status.alive, True),
        ({"status": 3}, Status.dead, True),
        ({"status": 1, "isListening": False}, Status.asleep, False),
        ({"status": 2, "isListening": False}, Status.awake, False),
        ({"status": 4, "isListening": False, "isFrequentListening": "1000ms"}, Status.alive, True),
        ({"status": 0}, Status.unknown, True),
    ],
)
def test_a_node_is_what_the_client_says(said: dict[str, Any], status: Status, *, listening: bool) -> None:
    facts = facts_of(js_node(**said))
    assert (facts.node_id, facts.status, facts.listening, facts.ready, facts.stage) == (3, status, listening, True, "Complete")
    assert facts.values == (LEVEL,), "what a dimmer was told is no value of its own"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (FailedZWaveCommand("1", 100, "the driver failed to start"), BusUnavailable),
        (FailedZWaveCommand("1", 112, "closed unexpectedly"), BusUnavailable),
        (FailedZWaveCommand("1", 202, "Failed to send the message: serial port is not open"), BusUnavailable),
        (FailedZWaveCommand("1", 202, "the node did not acknowledge"), DeviceSilent),
        (FailedZWaveCommand("1", 204, "callback NOK"), DeviceSilent),
        (FailedZWaveCommand("1", 201, "no report in time"), DeviceSilent),
        (FailedCommand("1", "node_not_found"), DeviceSilent),
        (NotConnected(), BusUnavailable),
        (ConnectionFailed(), BusUnavailable),
        (ConnectionResetError("reset"), BusUnavailable),
        (asyncio.CancelledError(), BusUnavailable),
    ],
    ids=repr,
)
async def test_whose_fault_it_is_that_a_command_failed(answer: BaseException, error: type[Exception]) -> None:
    """A cancelled command is the client's way to say that its connection has ended."""
    network = Wired(answer)
    await fails(error, "", network.get(LEVEL))
    await fails(error, "", network.set_level(3, 0, 50, None))
    await fails(error, "", network.ping(3))


async def test_a_call_ends_with_the_connection() -> None:
    network = Wired(_for_ever)
    asking = asyncio.ensure_future(network.get(LEVEL))
    await asyncio.sleep(0.001)
    assert network._listening is not None
    network._listening.cancel()
    await fails(BusUnavailable, "the connection is gone", asking)
    await fails(BusUnavailable, "not connected", network.ping(3))


async def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zwave_js, "_ANSWER_S", 0.005)
    await fails(BusUnavailable, "did not answer within", Wired(_for_ever).get(LEVEL))


async def test_a_node_that_falls_asleep_over_a_call_ends_it() -> None:
    network = Wired(_for_ever, status=2, isListening=False)
    asking = asyncio.ensure_future(network.get(LEVEL))
    await asyncio.sleep(0.001)
    network.says("sleep")
    await fails(NodeNotYet, "fell asleep", asking)
    assert network.nodes[3].status is Status.asleep


async def test_a_set_that_is_refused_because_the_node_sleeps_waits_for_its_waking() -> None:
    network = Wired(None, isListening=False, status=2)

    async def refused() -> None:
        network.says("sleep")
        raise FailedZWaveCommand("1", 202, "The node is asleep")

    network.server.answers = [refused]
    await fails(NodeNotYet, "fell asleep", network.set_level(3, 0, 50, None))


async def test_a_node_that_sleeps_is_sent_nothing_that_would_wait_for_its_waking() -> None:
    network = Wired({}, status=1, isListening=False)
    await fails(NodeNotYet, "sleeps", network.set_level(3, 0, 50, None))
    await fails(NodeNotYet, "sleeps", network.get(LEVEL))
    assert not network.server.asked


async def test_a_node_is_listed_with_what_it_told_last() -> None:
    network = Wired({})
    network.shows(50)
    assert [value.number for value in network.nodes[3].values] == [50]


async def test_an_answer_is_new_though_it_comes_before_its_event() -> None:
    network = Wired({"value": 50})
    network.server.holds = 50
    assert (await network.get(LEVEL)).number == 50
    assert network.server.asked[1]["valueId"] == network.server.asked[0]["valueId"]
    assert await network.told() == [50]


async def test_an_answer_is_told_once_where_its_event_comes_first() -> None:
    network = Wired(None)

    async def shown() -> dict[str, Any]:
        network.shows(50)
        return {"value": 50}

    network.server.answers, network.server.holds = [shown], 50
    assert (await network.get(LEVEL)).number == 50
    assert await network.told() == [50]


async def test_who_is_not_there_is_silent() -> None:
    network = Wired({})
    await fails(DeviceSilent, "no node 9", network.ping(9))
    await fails(DeviceSilent, "has no level any more", network.get(Value(3, 0, 0x80, "level")))
    await fails(DeviceSilent, "does not answer", network.get(LEVEL))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(SUCCESS, Set.confirmed), (WORKING, Set.working), (UNSUPERVISED, Set.sent), (FAIL, Set.refused), (0, Set.refused)],
)
async def test_what_became_of_a_set(status: int, outcome: Set) -> None:
    assert await Wired({"result": {"status": status}}).set_level(3, 0, 50, None) is outcome


async def test_an_endpoint_without_a_level_refuses_it_unasked() -> None:
    network = Wired({})
    assert await network.set_level(3, 2, 50, None) is Set.refused
    assert network.server.asked == []


@pytest.mark.parametrize(("fades", "options"), [(True, {"transitionDuration": "2s"}), (False, None)])
async def test_a_transition_is_asked_of_those_that_can(*, fades: bool, options: dict[str, str] | None) -> None:
    network = Wired({"result": {"status": SUCCESS}}, fades=fades)
    assert await network.set_level(3, 0, 50, 2.2) is Set.confirmed
    assert network.server.asked[0].get("options") == options


@pytest.mark.parametrize(("status", "told"), [(SUCCESS, [7, 50]), (UNSUPERVISED, [7]), (FAIL, [7])])
async def test_a_level_the_server_shows_as_reached_counts_once_the_node_says_so(status: int, told: list[float]) -> None:
    network = Wired(None)

    async def shown() -> dict[str, Any]:
        network.shows(7)
        network.shows(50)
        return {"result": {"status": status}}

    network.server.answers = [shown]
    await network.set_level(3, 0, 50, None)
    assert await network.told() == told


async def test_a_level_the_node_tells_is_heard_though_nobody_acknowledged_the_set() -> None:
    network = Wired(None)

    async def told_and_lost() -> None:
        network.shows(50)
        raise FailedZWaveCommand("1", 204, "callback NOK")

    network.server.answers = [told_and_lost]
    await fails(DeviceSilent, "callback NOK", network.set_level(3, 0, 50, None))
    assert await network.told() == [50]


async def test_a_level_after_the_set_is_told() -> None:
    network = Wired({"result": {"status": UNSUPERVISED}})
    await network.set_level(3, 0, 50, None)
    network.shows(50)
    assert await network.told() == [50]


async def test_a_value_told_for_the_first_time_is_among_what_the_node_has_told() -> None:
    """Of several values that tell a kind, one that was told counts before one that never was."""
    network = Wired({}, values=[data("currentValue")])
    assert network.nodes[3].values[0].number is None
    network.shows(50)
    assert network.nodes[3].values[0].number == 50


async def test_a_node_that_changes_is_followed() -> None:
    network = Wired({})
    await network.events()
    network.says("dead")
    assert await network.events() == NodeChanged(3)
    assert network.nodes[3].status is Status.dead


# The connection


class PlayedClient(Server):
    """`zwave_js_server.client.Client`, listening until `ends`."""

    made: list[PlayedClient]

    def __init__(self, *_: object) -> None:
        super().__init__({})
        self.ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.made.append(self)
        self.refuses: BaseException | None = self.refusing

    refusing: BaseException | None = None

    async def connect(self) -> None:
        """At once."""

    async def listen(self, ready: asyncio.Event) -> None:
        if self.refuses:
            raise self.refuses
        controller = EventBase()
        controller.nodes = {3: js_node(self)}  # type: ignore[attr-defined]
        self.driver = SimpleNamespace(controller=controller)
        ready.set()
        await self.ends


@pytest.fixture
async def network(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ZwaveJsNetwork]:
    monkeypatch.setattr(PlayedClient, "made", [], raising=False)
    monkeypatch.setattr(zwave_js, "Client", PlayedClient)
    made = ZwaveJsNetwork(URL)
    yield made
    await made.close()


async def test_the_nodes_are_known_once_it_is_open_and_the_end_of_the_connection_is_told(network: ZwaveJsNetwork) -> None:
    await network.open()
    assert set(network.nodes) == {3}
    assert await network.events() == NodeChanged(3)
    PlayedClient.made[0].ends.set_result(None)
    assert await network.events() == Lost(f"Z-Wave JS server {URL}: the connection was closed")


async def test_whoever_waits_for_what_happens_hears_it_of_the_next_connection(network: ZwaveJsNetwork) -> None:
    waiting = asyncio.ensure_future(network.events())
    await asyncio.sleep(0)
    await network.open()
    assert await asyncio.wait_for(waiting, 1) == NodeChanged(3)


async def test_of_the_old_connection_nothing_is_told_any_more(network: ZwaveJsNetwork) -> None:
    await network.open()
    PlayedClient.made[0].ends.set_result(None)
    await network.open()
    assert await network.events() == NodeChanged(3)
    assert network._events.empty()


async def test_a_server_that_refuses_says_why(network: ZwaveJsNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlayedClient, "refusing", FailedCommand("1", "schema_incompatible", "too old"))
    await fails(BusUnavailable, "too old", network.open())


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NotConnected("no"), "no"),
        (CannotConnect(WSServerHandshakeError(REQUEST, (), status=401, message="refused")), "401, refused"),
        (CannotConnect(InvalidURL(SECRET)), "not a URL"),
    ],
)
async def test_no_message_shows_what_is_secret_of_a_url(
    network: ZwaveJsNetwork, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    network = ZwaveJsNetwork(SECRET)
    monkeypatch.setattr(PlayedClient, "refusing", error)
    await fails(BusUnavailable, f"^Z-Wave JS server wss://host:3000/zwave: {says}$", network.open())
    await fails(BusUnavailable, "^Z-Wave JS server wss://host:3000/zwave is not connected$", network.ping(3))


# A person on the network


class Busy(EventBase):
    """A controller that begins nothing; notes what was stopped."""

    nodes: dict[int, object]

    def __init__(self) -> None:
        super().__init__()
        self.stopped: list[str] = []

    async def _not_now(self, *_: object) -> bool:
        return False

    async_begin_inclusion = async_begin_exclusion = async_begin_rebuilding_routes = _not_now

    async def async_stop_inclusion(self) -> None:
        self.stopped.append("inclusion")

    async def async_stop_exclusion(self) -> None:
        self.stopped.append("exclusion")

    async def async_stop_rebuilding_routes(self) -> None:
        self.stopped.append("rebuilding")


@pytest.mark.parametrize(
    ("begin", "error"),
    [
        (lambda client, listening: include(client, listening, pin=None, secure=True), BusUnavailable),
        (exclude, BusUnavailable),
        (lambda client, listening: heal(client, listening, None), DeviceSilent),
    ],
)
async def test_what_somebody_else_has_begun_is_not_ended(
    begin: Callable[[Any, Any], AsyncIterator[str]], error: type[Exception]
) -> None:
    controller = Busy()
    client = SimpleNamespace(driver=SimpleNamespace(controller=controller))
    with pytest.raises(error):
        await anext(begin(client, asyncio.get_running_loop().create_future()))
    assert controller.stopped == []


class Willing(EventBase):
    """A controller that begins whatever it is asked for at its `turn`; `stops` is what becomes of telling it to stop."""

    def __init__(self, *nodes: JsNode, stops: Any = None) -> None:
        super().__init__()
        self.nodes = {each.node_id: each for each in nodes}
        self.begun: list[tuple[object, ...]] = []
        self.stopped = 0
        self.turn = asyncio.Event()
        self.turn.set()
        self.too_late = False
        self._stops = stops

    async def _begin(self, *how: object) -> bool:
        self.begun.append(how)
        await self.turn.wait()
        return True

    async def _stop(self) -> bool:
        self.stopped += 1
        if isinstance(self._stops, Exception):
            raise self._stops
        if self._stops is not None:
            await self._stops()
        return not self.too_late

    async def async_rebuild_node_routes(self, _: JsNode) -> bool:
        await _for_ever()
        return True

    async_begin_inclusion = async_begin_exclusion = async_begin_rebuilding_routes = _begin
    async_stop_inclusion = async_stop_exclusion = async_stop_rebuilding_routes = _stop


class Working:
    """Somebody who works on a network: what has been said, until it ends."""

    def __init__(self, controller: Willing, begin: Callable[..., AsyncIterator[str]], *args: Any, **more: Any) -> None:
        client = SimpleNamespace(driver=SimpleNamespace(controller=controller))
        self.said: list[str] = []
        self.listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task = asyncio.ensure_future(self._hear(begin(client, self.listening, *args, **more)))

    async def _hear(self, words: AsyncIterator[str]) -> None:
        async for each in words:
            self.said.append(each)


MAINTENANCE = [
    pytest.param(lambda at: Working(at, include, pin=None, secure=True), id="include"),
    pytest.param(lambda at: Working(at, exclude), id="exclude"),
    pytest.param(lambda at: Working(at, heal, None), id="heal all"),
]
Begins = Callable[[Willing], Working]


async def _begun() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("begins", [*MAINTENANCE, pytest.param(lambda at: Working(at, heal, 3), id="heal one")])
async def test_who_works_on_a_network_hears_at_once_that_its_server_is_gone(begins: Begins) -> None:
    working = begins(Willing(js_node(), stops=NotConnected()))
    await _begun()
    working.listening.set_result(None)
    await fails(BusUnavailable, "the connection to the Z-Wave JS server is gone", asyncio.wait_for(working.task, 1))


@pytest.mark.parametrize("begins", MAINTENANCE)
async def test_who_goes_ends_what_was_begun(begins: Begins) -> None:
    controller = Willing(js_node())
    working = begins(controller)
    await _begun()
    working.task.cancel()
    await asyncio.wait([working.task])
    assert (working.task.cancelled(), controller.stopped) == (True, 1)


@pytest.mark.parametrize("begins", MAINTENANCE)
@pytest.mark.parametrize(
    ("stops", "says"), [(FailedZWaveCommand("1", 202, "the stick jams"), "the stick jams"), (_for_ever, "told to stop")]
)
async def test_what_cannot_be_stopped_is_told_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, begins: Begins, stops: Any, says: str
) -> None:
    monkeypatch.setattr(zwave_calling_off, "STOP_S", 0.005)
    working = begins(Willing(js_node(), stops=stops))
    await _begun()
    working.task.cancel()
    await fails(BusUnavailable, says, asyncio.wait_for(working.task, 1))


@pytest.mark.parametrize("begins", MAINTENANCE)
async def test_who_goes_before_it_has_begun_ends_it_when_it_does(begins: Begins) -> None:
    controller = Willing(js_node())
    controller.turn.clear()
    working = begins(controller)
    await _begun()
    working.task.cancel()
    await _begun()
    assert (working.task.done(), controller.stopped) == (False, 0)
    controller.turn.set()
    await asyncio.wait([working.task])
    assert (working.task.cancelled(), controller.stopped) == (True, 1)


@pytest.mark.parametrize("begins", MAINTENANCE)
async def test_who_goes_does_not_wait_for_ever_and_it_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch, begins: Begins
) -> None:
    monkeypatch.setattr(zwave_calling_off, "STOP_S", 0.005)
    controller = Willing(js_node())
    controller.turn.clear()
    working = begins(controller)
    await _begun()
    working.task.cancel()
    await fails(BusUnavailable, "was told to stop", asyncio.wait_for(working.task, 1))
    controller.turn.set()
    await _begun()
    assert controller.stopped == 1


@pytest.mark.parametrize(("fails_then", "says"), [(False, "node 9 was found already and goes on joining"), (True, "could not let")])
async def test_a_node_that_was_found_joins_whoever_goes(fails_then: bool, says: str) -> None:
    controller = Willing()
    controller.too_late = True
    working = Working(controller, include, pin=None, secure=True)
    await _begun()
    controller.emit("node found", {"node": {"nodeId": 9}})
    await _begun()
    if fails_then:
        controller.emit("inclusion failed", {})
        await fails(DeviceSilent, says, asyncio.wait_for(working.task, 1))
    else:
        working.task.cancel()
        await fails(BusUnavailable, says, asyncio.wait_for(working.task, 1))


async def test_a_node_of_another_network_may_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zwave_js_maintenance, "_REMOVED_S", 0.005)
    controller = Willing(js_node())
    working = Working(controller, exclude)
    await _begun()
    controller.emit("exclusion stopped", {})
    await asyncio.wait_for(working.task, 1)
    assert working.said == ["the exclusion has ended, no node of this network left: a device that was in another one can join now"]
    assert controller.stopped == 0, "it has ended by itself"


async def test_a_node_of_this_network_that_leaves_is_named() -> None:
    controller = Willing(js_node())
    working = Working(controller, exclude)
    await _begun()
    controller.emit("exclusion stopped", {})
    controller.emit("node removed", {"node": js_node()})
    await asyncio.wait_for(working.task, 0.5)
    assert working.said == ["node 3 has left"]


@pytest.mark.parametrize(
    ("granted", "says"), [(None, " without encryption"), (-1, " without encryption"), (7, ""), (0, ""), (1, ""), (2, "")]
)
async def test_a_node_that_joins_in_clear_is_said_to(granted: int | None, says: str) -> None:
    """One that knows S0 alone does, and Z-Wave JS does not call that a low security."""
    controller = Willing()
    working = Working(controller, include, pin=None, secure=True)
    await _begun()
    node = js_node(highestSecurityClass=granted)
    controller.emit("node added", {"node": node, "result": {"lowSecurity": False}})
    node.emit("ready", {})
    await asyncio.wait_for(working.task, 1)
    assert working.said[0] == f"node 3 joined{says}; its interview begins"


async def test_the_routes_of_all_are_rebuilt_without_waiting_for_those_that_sleep() -> None:
    controller = Willing(js_node(status=1, isListening=False))
    working = Working(controller, heal, None)
    await _begun()
    working.task.cancel()
    assert controller.begun == [(RebuildRoutesOptions(include_sleeping=False),)]


@pytest.mark.parametrize(
    ("status", "says"), [(4, ": finding its routes anew"), (1, " sleeps: its routes are found once it wakes up")]
)
async def test_the_routes_of_a_node_that_sleeps_wait_for_its_waking(status: int, says: str) -> None:
    working = Working(Willing(js_node(status=status)), heal, 3)
    await _begun()
    working.task.cancel()
    assert working.said == [f"node 3{says}"]
