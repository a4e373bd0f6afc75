"""A person on a Z-Wave network: the gateway alone holds it, so the command line asks the gateway, over a socket in its home.

A conversation is one request and its answers, each a line of JSON; who hangs up, or sends no more, stops what is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from agents.gateways.drivers.base import BusUnavailable
from agents.gateways.drivers.zwave_network import Network
from agents.gateways.zwave_mapping import Node
from agents.gateways.zwave_proposal import Proposed, proposal
from schemas.errors import BuildingError

log = logging.getLogger(__name__)
SOCKET = "zwave.sock"
"""In the home."""
_LONGEST = 107
"""Bytes of a socket's path: sun_path of unix(7) has 108, the last is zero."""
_STOPS_WITHIN_S = 10.0


class Nodes(Struct, frozen=True, tag_field="op", tag="nodes"):
    """Tell which nodes there are."""


class Include(Struct, frozen=True, tag_field="op", tag="include"):
    """Let a node join; `pin` are the five digits on it, for S2."""

    pin: str | None = None
    secure: bool = True


class Exclude(Struct, frozen=True, tag_field="op", tag="exclude"):
    """Let a node leave."""


class Heal(Struct, frozen=True, tag_field="op", tag="heal"):
    """Rebuild the routes of a node, or of all."""

    node: int | None = None


Request = Nodes | Include | Exclude | Heal
_REQUESTS = msgspec.json.Decoder(Request)


class Seen(Struct, frozen=True):
    """A node, and the devices it could be."""

    node: Node
    proposed: tuple[Proposed, ...]


class Answer(Struct, frozen=True, omit_defaults=True):
    """What happened (`said`), or how it ended: `done`, or an error with its reason."""

    said: str = ""
    done: bool = False
    stopped: bool = False
    """It ended because the person went."""
    line_id: str = ""
    nodes: tuple[Seen, ...] = ()
    came: tuple[int, ...] = ()
    """Nodes that are on the network since."""
    went: tuple[int, ...] = ()
    error: str = ""
    reason: str = ""


class NoGateway(BuildingError):
    """No gateway serves a Z-Wave network in this home."""

    reason = "no_zwave_gateway"


class WentAway(BuildingError):
    """The gateway ended before it had answered."""

    reason = "zwave_gateway_gone"


class PathTooLong(BuildingError):
    """The home's path is longer than a socket's may be."""

    reason = "socket_path_too_long"


class Told(BuildingError):
    """An error that the gateway tells."""

    def __init__(self, says: str, reason: str) -> None:
        super().__init__(says)
        self.reason = reason


class Busy(BuildingError):
    """The controller does one thing at a time."""

    reason = "zwave_busy"


class NotStopped(BuildingError):
    """The gateway does not say that it has stopped."""

    reason = "zwave_not_stopped"


class NoSuchNode(BuildingError):
    """No node of this number on the network."""

    reason = "no_such_node"

    def __init__(self, node_id: int, there: list[int]) -> None:
        super().__init__(f"there is no node {node_id} on the network: there are {', '.join(map(str, sorted(there))) or 'none'}")


class BadRequest(BuildingError):
    """A line that is no request."""

    reason = "bad_request"


def _check(path: Path) -> None:
    if len(bytes(path)) > _LONGEST:
        raise PathTooLong(f"{path} is too long for a socket (at most {_LONGEST} bytes): give a shorter ATRIUM_HOME")


def request_of(line: bytes) -> Request:
    """What a line asks for. Raises `BadRequest`."""
    try:
        request: Request = _REQUESTS.decode(line)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"this is no request: {error}") from error
    return request


class Console:
    """Answers at `path` about a network and works on it; one maintenance at a time. `trouble`: why it is away, if it is."""

    def __init__(self, network: Network, path: Path, line_id: str, trouble: Callable[[], str | None] = lambda: None) -> None:
        self._network, self._path, self._line_id, self._trouble = network, path, line_id, trouble
        self._running = ""
        self._conversations: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve until cancelled; what is under way then is stopped. Nobody but the user who runs the gateway may ask.

        In a home whose path is too long nobody can ask: the log says so, and the gateway goes on without.
        """
        try:
            _check(self._path)
        except PathTooLong as error:
            log.error("`atrium zwave` cannot be used: %s", error)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        self._path.chmod(0o600)  # before it listens: nobody can have connected
        ours = self._path.stat().st_ino
        server = await asyncio.start_unix_server(self._converse, sock=listener)
        try:
            await asyncio.get_running_loop().create_future()  # serve_forever, cancelled, waits for those who converse (Python 3.12)
        finally:
            server.close()
            for each in self._conversations:
                each.cancel()
            await asyncio.gather(*self._conversations, return_exceptions=True)
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_ino == ours:  # else another gateway has taken over
                    self._path.unlink()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)

        def say(answer: Answer) -> None:
            writer.write(msgspec.json.encode(answer) + b"\n")

        try:
            say(await self._answer(request_of(await reader.readuntil()), reader, say))
        except BuildingError as error:
            say(Answer(error=str(error), reason=error.reason))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.info("a person on Z-Wave line %s is gone", self._line_id)
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, say: Callable[[Answer], None]) -> Answer:
        if (why := self._trouble()) is not None:
            raise BusUnavailable(why)
        match request:
            case Nodes():
                seen = tuple(Seen(node, proposal(node)) for _, node in sorted(self._network.nodes.items()))
                return Answer(done=True, line_id=self._line_id, nodes=seen)
            case Include():
                said, name = self._network.include(pin=request.pin, secure=request.secure), "an inclusion"
            case Exclude():
                said, name = self._network.exclude(), "an exclusion"
            case Heal():
                if request.node is not None and request.node not in self._network.nodes:
                    raise NoSuchNode(request.node, list(self._network.nodes))
                said, name = self._network.heal(request.node), "a rebuilding of routes"
        if self._running:
            raise Busy(f"{self._running} is under way on line {self._line_id}: stop it first, or wait for its end")
        self._running = name
        try:
            return await self._work(said, reader, say)
        finally:
            self._running = ""

    async def _work(self, said: AsyncIterator[str], reader: asyncio.StreamReader, say: Callable[[Answer], None]) -> Answer:
        before = set(self._network.nodes)

        async def tell() -> None:
            async for line in said:  # it waits nowhere else: whenever it is cancelled, `said` can put its things in order
                say(Answer(said=line))

        telling, gone = asyncio.ensure_future(tell()), asyncio.ensure_future(reader.read())
        try:
            await asyncio.wait((telling, gone), return_when=asyncio.FIRST_COMPLETED)
            left = not telling.done()
        finally:
            gone.cancel()
            telling.cancel()
            await asyncio.wait((telling, gone))
        stopped = left and telling.cancelled()
        if not telling.cancelled():
            telling.result()
        elif not stopped:
            raise BusUnavailable(self._trouble() or f"{self._running} ended: the connection to the network is gone")
        if (why := self._trouble()) is not None:  # a network that is away tells no nodes: none of them has left
            raise BusUnavailable(why)
        now = set(self._network.nodes)
        came, went = tuple(sorted(now - before)), tuple(sorted(before - now))
        return Answer(done=True, stopped=stopped, line_id=self._line_id, came=came, went=went)


def ask(home: Path, request: Request, say: Callable[[str], None] = lambda _: None) -> Answer:
    """The gateway's last answer; `say` hears what comes before. Ctrl-C stops what is under way, and waits until it has stopped.

    Raises `NoGateway`, `WentAway`, `PathTooLong`, `NotStopped`, and `Told` with what the gateway says is wrong.
    """
    path = home / SOCKET
    _check(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        try:
            opened.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NoGateway(f"no Z-Wave gateway runs in {home}: start `atrium up`") from error
        except PermissionError as error:
            raise NoGateway(f"the Z-Wave gateway in {home} belongs to another user") from error
        heard = bytearray()
        try:
            try:
                opened.sendall(msgspec.json.encode(request) + b"\n")
                return _last(opened, heard, say)
            except KeyboardInterrupt:
                opened.shutdown(socket.SHUT_WR)
                opened.settimeout(_STOPS_WITHIN_S)
                return _last(opened, heard, say)
        except TimeoutError as error:
            raise NotStopped(
                f"the gateway was told to stop and has not answered within {_STOPS_WITHIN_S:.0f} s: it may still be under way"
            ) from error
        except OSError as error:
            raise WentAway(f"the Z-Wave gateway in {home} went away: {error}") from error


def _last(opened: socket.socket, heard: bytearray, say: Callable[[str], None]) -> Answer:
    while True:
        line, newline, rest = heard.partition(b"\n")
        if not newline:
            chunk = opened.recv(65536)
            if not chunk:
                raise ConnectionResetError("it hung up in mid-answer, its log says why")
            heard += chunk
            continue
        heard[:] = rest
        answer = msgspec.json.decode(line, type=Answer)
        if answer.error:
            raise Told(answer.error, answer.reason)
        if answer.done:
            return answer
        say(answer.said)
