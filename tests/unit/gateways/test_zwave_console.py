"""A person on the network: what is asked, said and shown, and a node that becomes the building's."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents.gateways import zwave_console
from agents.gateways.drivers.base import BusUnavailable
from agents.gateways.drivers.zwave_network import Event, Set
from agents.gateways.zwave_console import (
    Answer,
    BadRequest,
    Busy,
    Console,
    Exclude,
    Heal,
    Include,
    Nodes,
    NoGateway,
    NotStopped,
    PathTooLong,
    Request,
    Seen,
    Told,
    WentAway,
    ask,
    request_of,
)  # fmt: skip
from agents.gateways.zwave_mapping import Node, Status, Value
from agents.gateways.zwave_proposal import proposal
from infra import status
from infra.editing.adopting import NotAdoptable, adopting, chosen
from infra.editing.edits import Refused
from infra.editing.store import difference
from infra.editing.tables import State
from schemas.records import DeviceRole
from streams.cli import main
from streams.commands import zwave

LINE = "zwave-1"


def value(node: int, command_class: int, name: str, endpoint: int = 0, **more: object) -> Value:
    return Value(node, endpoint, command_class, name, **more)  # type: ignore[arg-type]


def sensor(node: int) -> Node:
    return Node(
        node, Status.asleep, ready=True, listening=False, manufacturer="AEON Labs", product="ZW100", firmware="1.13",
        values=(value(node, 0x31, "Air temperature", type=1, unit="°C", number=21.5), value(node, 0x80, "level", number=90)),
    )  # fmt: skip


def dimmer(node: int) -> Node:
    told = (value(node, 0x26, "currentValue", number=0),)
    return Node(node, Status.alive, ready=True, listening=True, manufacturer="Fibar", product="ZE27", values=told)


def two_gangs(node: int) -> Node:
    told = tuple(value(node, 0x26, "currentValue", endpoint, number=0) for endpoint in (1, 2))
    return Node(node, Status.alive, ready=True, listening=True, product="Twin", values=told)


def strange(node: int) -> Node:
    return Node(node, Status.alive, ready=True, listening=True)


def unready(node: int) -> Node:
    return Node(node, Status.asleep, ready=False, listening=False, stage="2 of 6: Node info")


def seen(node: Node) -> Seen:
    return Seen(node, proposal(node))


def building(*devices: tuple[int, int, int | None, str]) -> State:
    """Rooms 2 and 10, and (id, node, endpoint, room) on the Z-Wave line."""
    return {
        "rooms": {
            key: {"room_id": key, "number": int(key), "floor": 1, "name": f"Office {key}"} for key in ("2", "10")
        },
        "devices": {
            str(key): {
                "device_id": key, "name": "old", "room_id": room, "role": "dimmer", "bus": "zwave", "line_id": LINE,
                "knx_floor": None, "knx_bloc": None, "knx_objects": None, "zwave_node": node, "zwave_endpoint": endpoint,
                "simulated": False,
            }
            for key, node, endpoint, room in devices
        },
        "beacons": {},
        "policies": {},
    }  # fmt: skip


def adopted(before: State, node: Node, room: str = "2", *, endpoint: int | None = None, role: DeviceRole | None = None,
            name: str | None = None) -> list[str]:  # fmt: skip
    change = adopting(LINE, node.node_id, chosen(node, proposal(node), endpoint, role), room, name)
    return [each.told for each in difference(before, change(before))]


def test_a_node_becomes_a_device_with_the_next_id() -> None:
    assert adopted(building((7, 3, None, "10")), sensor(5)) == [
        "+ device 8: name ZW100, room_id 2, role multisensor, bus zwave, line_id zwave-1, zwave_node 5, simulated false"
    ]


def test_a_node_of_two_gangs_becomes_two_devices_and_each_may_be_adopted_alone() -> None:
    start = "room_id 2, role dimmer, bus zwave, line_id zwave-1, zwave_node 4"
    assert adopted(building(), two_gangs(4)) == [
        f"+ device 1: name Twin 1, {start}, zwave_endpoint 1, simulated false",
        f"+ device 2: name Twin 2, {start}, zwave_endpoint 2, simulated false",
    ]
    assert adopted(building(), two_gangs(4), endpoint=2, name="desk") == [
        f"+ device 1: name desk, {start}, zwave_endpoint 2, simulated false"
    ]
    assert [line.split(",")[0] for line in adopted(building(), two_gangs(4), name="desk")] == [
        "+ device 1: name desk 1", "+ device 2: name desk 2",
    ]  # fmt: skip


def test_the_rest_of_a_node_is_adopted_beside_what_is_there() -> None:
    assert [line.split(",")[0] for line in adopted(building((1, 4, 1, "10")), two_gangs(4))] == ["+ device 2: name Twin 2"]


def test_a_node_that_is_adopted_already_is_named() -> None:
    with pytest.raises(NotAdoptable, match=r"node 3 is adopted already: device 7 \(old, room 10\)"):
        adopted(building((7, 3, None, "10")), dimmer(3))


def test_an_unknown_room_lists_the_rooms() -> None:
    with pytest.raises(Refused, match="there is no room 'attic': there are 2, 10"):
        adopted(building(), dimmer(3), "attic")


@pytest.mark.parametrize(
    ("node", "wanted", "says"),
    [
        (unready(9), {}, r"interview of node 9 is not over \(so far: 2 of 6: Node info\).*; it sleeps: wake it up"),
        (strange(9), {}, "node 9 tells nothing that the building reads"),
        (two_gangs(9), {"endpoint": 3}, "node 9 is no device at endpoint 3: it is at 1, 2"),
        (sensor(9), {"role": DeviceRole.dimmer}, "node 9 has no level at endpoint 0"),
    ],
)
def test_what_cannot_be_adopted_says_why(node: Node, wanted: dict[str, DeviceRole], says: str) -> None:
    with pytest.raises(NotAdoptable, match=says):
        adopted(building(), node, **wanted)  # type: ignore[arg-type]


def test_a_role_may_be_said() -> None:
    assert "role multisensor" in adopted(building(), dimmer(3), role=DeviceRole.multisensor)[0]


def test_nodes_are_told_with_what_they_are_or_how_to_adopt_them() -> None:
    answer = Answer(done=True, line_id=LINE, nodes=tuple(map(seen, (sensor(2), dimmer(3), two_gangs(4), strange(5), unready(6)))))
    state = building((12, 3, None, "10"), (13, 4, 1, "2"), (14, 77, None, "2"))
    assert [(row[0], row[2], *row[-2:]) for row in zwave.rows(answer, state)] == [
        ("2", "done", "temperature_c battery_pct", "atrium zwave adopt 2 ROOM"),
        ("3", "done", "level_pct", "device 12 (old, room 10)"),
        ("4", "done", "1: level_pct", "device 13 (old, room 2)"),
        ("", "", "2: level_pct", "atrium zwave adopt 4 ROOM --endpoint 2"),
        ("5", "done", "", "nothing to adopt"),
        ("6", "2 of 6: Node info", "", ""),
    ]
    assert zwave.rows(answer, state)[0][3:6] == ("AEON Labs", "ZW100", "1.13")
    assert zwave.missing(answer, state) == ["not on the network: node 77, device 14 (old, room 2)"]
    assert [each["devices"] for each in zwave.as_data(answer, state)] == [{}, {"0": 12}, {"1": 13}, {}, {}]


def test_a_product_that_nobody_knows_is_told_by_its_numbers() -> None:
    node = Node(2, Status.alive, ready=True, listening=True, manufacturer_id=0x86, product_type=2, product_id=0x64)
    assert zwave.rows(Answer(nodes=(seen(node),)), None)[0][3:6] == ("", "0x0086:0x0002:0x0064", "")


def test_without_a_database_nodes_are_told_without_the_building() -> None:
    answer = Answer(done=True, line_id=LINE, nodes=(seen(sensor(2)),))
    assert [row[-1] for row in zwave.rows(answer, None)] == [""]
    assert zwave.as_data(answer, None)[0]["devices"] is None
    assert zwave.missing(answer, None) == []


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (sensor(9), ["node 9: AEON Labs ZW100, multisensor: temperature_c, battery_pct", "adopt it: atrium zwave adopt 9 ROOM"]),
        (two_gangs(9), ["node 9: Twin, endpoint 1 dimmer: level_pct; endpoint 2 dimmer: level_pct",
                        "adopt it: atrium zwave adopt 9 ROOM"]),
        (strange(9), ["node 9: of an unknown product, tells nothing that the building reads"]),
        (unready(9), ["node 9: of an unknown product, its interview goes on (2 of 6: Node info): see `atrium zwave nodes`"]),
    ],
)  # fmt: skip
def test_a_node_that_joined_is_told_with_the_way_to_adopt_it(node: Node, said: list[str]) -> None:
    assert zwave.welcome(seen(node)) == said


def test_a_node_that_left_is_told_with_the_device_it_was() -> None:
    assert zwave.farewell(3, LINE, building((12, 3, None, "10"))) == [
        "node 3 was device 12 (old, room 10), which is still there: `atrium devices remove 12`"
    ]
    assert zwave.farewell(4, LINE, building()) == ["node 4 has left; it was no device of the building"]


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b'{"op":"nodes"}', Nodes()),
        (b'{"op":"include","pin":"34028","secure":true}', Include("34028")),
        (b'{"op":"include","secure":false}', Include(None, secure=False)),
        (b'{"op":"exclude"}', Exclude()),
        (b'{"op":"heal","node":null}', Heal()),
        (b'{"op":"heal","node":5}', Heal(5)),
    ],
)
def test_requests_are_read(line: bytes, request_: Request) -> None:
    assert request_of(line) == request_


@pytest.mark.parametrize("line", [b"", b"{}", b'{"op":"format"}', b'{"op":"heal","node":"all"}', b"\xff"])
def test_what_is_no_request_is_told(line: bytes) -> None:
    with pytest.raises(BadRequest, match="this is no request"):
        request_of(line)


class Fake:
    """A network on which nothing happens before `go` is set."""

    def __init__(self) -> None:
        self.there = {2: sensor(2), 3: dimmer(3)}
        self.go, self.closed = asyncio.Event(), asyncio.Event()
        self.trouble: str | None = None

    @property
    def nodes(self) -> dict[int, Node]:
        return self.there

    async def include(self, *, pin: str | None, secure: bool) -> AsyncIterator[str]:
        yield f"including, pin {pin}, secure {secure}"
        try:
            await self.go.wait()
            self.there = {**self.there, 9: dimmer(9)}
            yield "node 9 joined"
        finally:
            await asyncio.sleep(0)  # a real one has to tell its server
            self.closed.set()

    async def exclude(self) -> AsyncIterator[str]:
        self.there = {2: sensor(2)}
        yield "node 3 left"

    async def heal(self, node_id: int | None) -> AsyncIterator[str]:
        yield f"healing {node_id}"
        raise BusUnavailable("the Z-Wave JS server has gone")

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def events(self) -> Event:
        raise NotImplementedError

    async def set_level(self, node_id: int, endpoint: int, wire: int, transition_s: float | None) -> Set:
        raise NotImplementedError

    async def get(self, value: Value) -> Value:
        raise NotImplementedError

    async def ping(self, node_id: int) -> bool:
        raise NotImplementedError


@asynccontextmanager
async def served(network: Fake, home: Path) -> AsyncIterator[asyncio.Task[None]]:
    path = home / zwave_console.SOCKET
    serving = asyncio.ensure_future(Console(network, path, LINE, lambda: network.trouble).serve())
    while not path.exists() or path.stat().st_mode & 0o777 != 0o600:
        assert not serving.done(), serving.exception()
        await asyncio.sleep(0.01)
    try:
        yield serving
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def told(home: Path, request: Request, say: Callable[[str], None] = lambda _: None) -> Answer:
    return await asyncio.wait_for(asyncio.to_thread(ask, home, request, say), 10)


async def test_the_gateway_answers_with_its_nodes_and_says_what_happens(tmp_path: Path) -> None:
    network, said = Fake(), list[str]()
    network.go.set()
    async with served(network, tmp_path):
        assert [each.node.node_id for each in (await told(tmp_path, Nodes())).nodes] == [2, 3]
        joined = await told(tmp_path, Include("34028"), said.append)
        assert (said, joined.came, joined.went) == (["including, pin 34028, secure True", "node 9 joined"], (9,), ())
        left = await told(tmp_path, Exclude(), said.append)
        assert (said[2:], left.came, left.went) == (["node 3 left"], (), (3, 9))
    assert not (tmp_path / zwave_console.SOCKET).exists()


async def test_errors_come_with_their_reason(tmp_path: Path) -> None:
    network, said = Fake(), list[str]()
    async with served(network, tmp_path):
        with pytest.raises(Told, match="the Z-Wave JS server has gone") as gone:
            await told(tmp_path, Heal(2), said.append)
        assert (gone.value.reason, said) == ("bus_unavailable", ["healing 2"])
        with pytest.raises(Told, match="there is no node 77 on the network: there are 2, 3"):
            await told(tmp_path, Heal(77))
        network.trouble = "the Z-Wave JS server is away"
        with pytest.raises(Told, match="the Z-Wave JS server is away"):
            await told(tmp_path, Nodes())


async def test_who_hangs_up_stops_what_is_under_way_and_the_next_may_begin(tmp_path: Path) -> None:
    network = Fake()
    async with served(network, tmp_path):
        reader, writer = await asyncio.open_unix_connection(tmp_path / zwave_console.SOCKET)
        writer.write(b'{"op":"include","pin":null,"secure":false}\n')
        assert await reader.readline() == b'{"said":"including, pin None, secure False"}\n'
        with pytest.raises(Told, match="an inclusion is under way on line zwave-1") as busy:
            await told(tmp_path, Exclude())
        assert busy.value.reason == Busy.reason
        assert (await told(tmp_path, Nodes())).done
        writer.write_eof()
        assert await reader.read() == b'{"done":true,"stopped":true,"line_id":"zwave-1"}\n'
        assert network.closed.is_set()
        writer.close()
        assert (await told(tmp_path, Exclude())).went == (3,)


async def including(folder: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Somebody who lets a node join, and has been told that it has begun."""
    reader, writer = await asyncio.open_unix_connection(folder / zwave_console.SOCKET)
    writer.write(b'{"op":"include"}\n')
    await reader.readline()
    return reader, writer


async def test_a_network_that_is_lost_meanwhile_has_lost_no_nodes(tmp_path: Path) -> None:
    network = Fake()
    async with served(network, tmp_path):
        reader, writer = await including(tmp_path)
        network.there, network.trouble = {}, "the Z-Wave JS server is away"
        writer.write_eof()
        assert await reader.read() == b'{"error":"the Z-Wave JS server is away","reason":"bus_unavailable"}\n'
        writer.close()


class Cancels(Fake):
    """Its calls are cancelled when its connection ends, as the Z-Wave JS client does."""

    async def heal(self, node_id: int | None) -> AsyncIterator[str]:
        yield f"healing {node_id}"
        raise asyncio.CancelledError


async def test_work_that_nobody_stopped_is_lost_and_not_stopped(tmp_path: Path) -> None:
    async with served(Cancels(), tmp_path):
        with pytest.raises(Told, match="a rebuilding of routes ended: the connection to the network is gone"):
            await told(tmp_path, Heal(2))


async def test_what_is_under_way_is_stopped_when_the_gateway_ends(tmp_path: Path) -> None:
    network = Fake()
    async with served(network, tmp_path):
        _, writer = await including(tmp_path)
    assert network.closed.is_set()
    writer.close()


async def test_the_socket_of_a_dead_gateway_is_replaced_and_that_of_another_one_is_left(tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / zwave_console.SOCKET))
    stale.close()
    with pytest.raises(NoGateway, match=r"no Z-Wave gateway runs in .*: start `atrium up`"):
        ask(tmp_path, Nodes())
    (tmp_path / zwave_console.SOCKET).chmod(0o700)
    async with served(Fake(), tmp_path):
        assert (await told(tmp_path, Nodes())).done
        (tmp_path / zwave_console.SOCKET).unlink()
        (tmp_path / zwave_console.SOCKET).touch()
    assert (tmp_path / zwave_console.SOCKET).exists()


async def test_a_home_whose_path_is_too_long_says_so_on_both_sides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = tmp_path / ("x" * 100)
    with pytest.raises(PathTooLong, match="give a shorter ATRIUM_HOME"):
        ask(home, Nodes())
    await Console(Fake(), home / zwave_console.SOCKET, LINE).serve()  # ends: there is nothing to serve
    assert "at most 107 bytes" in caplog.text


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[socket.socket]:
    """A gateway that a test plays: where it listens."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / zwave_console.SOCKET))
        listening.listen()
        yield listening


def presses_ctrl_c(_: str) -> None:
    raise KeyboardInterrupt


UNDER_WAY = b'{"said":"bring the device to leave now"}\n'


def test_a_gateway_that_does_not_stop_in_time_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gateway: socket.socket
) -> None:
    monkeypatch.setattr(zwave_console, "_STOPS_WITHIN_S", 0.05)
    with ThreadPoolExecutor() as beside:
        asking = beside.submit(ask, tmp_path, Exclude(), presses_ctrl_c)
        with gateway.accept()[0] as conversation:
            conversation.sendall(UNDER_WAY)
            with pytest.raises(NotStopped, match="told to stop and has not answered"):
                asking.result(5)


def test_a_gateway_that_ends_while_it_is_to_stop_is_told(tmp_path: Path, gateway: socket.socket) -> None:
    with ThreadPoolExecutor() as beside:
        asking = beside.submit(ask, tmp_path, Exclude(), presses_ctrl_c)
        with gateway.accept()[0] as conversation:
            conversation.sendall(UNDER_WAY)
            while conversation.recv(4096):
                """Until the person has pressed Ctrl-C."""
        with pytest.raises(WentAway, match="went away: it hung up"):
            asking.result(5)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["heal"], "stopped: the routes of the other nodes are as they were"),
        (["heal", "3"], "no longer waited for: the controller goes on with node 3 by itself, once it wakes up if it sleeps"),
    ],
)
def test_ctrl_c_says_what_it_stops_of_a_healing(monkeypatch: pytest.MonkeyPatch, words: list[str], says: str) -> None:
    monkeypatch.setattr(zwave, "_asked", lambda _: Answer(done=True, stopped=True, line_id=LINE))
    done = CliRunner().invoke(main, ["zwave", *words])
    assert (done.exit_code, done.output) == (0, says + "\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nodes"], "no Z-Wave gateway runs in "),
        (["include", "--pin", "3402"], "'3402' is no PIN"),
        (["include", "--pin", "34028", "--no-security"], "give --pin or --no-security"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, words: list[str], says: str) -> None:
    done = CliRunner().invoke(main, ["zwave", *words], env={"ATRIUM_HOME": str(tmp_path)})
    assert (done.exit_code, says in done.output) == (1, True), done.output


@pytest.mark.parametrize(
    ("name", "state", "text", "says"),
    [
        ("zwave", status.State.ready, "", "the simulated nodes are reached in process: there is no network to work on"),
        ("zwave", status.State.restarting, "ended with 1: no stick", "the Z-Wave gateway is restarting: ended with 1: no stick"),
        ("knx", status.State.ready, "", "no Z-Wave network is named: set ZWAVE_SERIAL_PORT or ZWAVE_SERVER_URL"),
    ],
)
def test_a_gateway_without_a_network_says_so(tmp_path: Path, name: str, state: status.State, text: str, says: str) -> None:
    gateway = status.PartStatus(name=name, state=state, pid=None, port=None, since=0.0, restarts=0, text=text, log="")
    (tmp_path / "run").mkdir()
    status.write(status.Status(home=str(tmp_path), supervisor=1, url=None, parts=[gateway]))
    held = status.lock(tmp_path)
    try:
        done = CliRunner().invoke(main, ["zwave", "nodes"], env={"ATRIUM_HOME": str(tmp_path)})
    finally:
        os.close(held)
    assert done.output == f"Error: {says}\n"
