"""python-openzwave in a process and an environment of its own; speaks JSON lines on stdin and stdout. Imports nothing of Atrium.

The library is GPL-3.0 and can abort its process. Who starts this: agents/gateways/drivers/openzwave_process.py. The first line in
is the settings: {"parent", "port", "folder", "network_key", "log"}. Then requests, {"id", "op", ...}, by `op`:
  set: node, endpoint, level, transition_s    get: node, endpoint, command_class, type    ping: node
  include: secure    exclude    heal: node    cancel    stop
  -> {"id", "ok": true, ...}  or  {"id", "error": "silent" | "busy" | "gone" | "refused", "detail"}
and events, {"event", ...}: node, removed, known (a value there is), value (one that was told), controller, ready, failed.
Numbers are the wire's own; an endpoint is OpenZWave's instance less one; `at` is this process's clock in ms.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import json
import os
import queue
import resource
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

MULTILEVEL_SWITCH, BINARY_SENSOR, MULTILEVEL_SENSOR, NOTIFICATION, BATTERY, VERSION = 0x26, 0x30, 0x31, 0x71, 0x80, 0x86
SUPERVISION = 0x6C
LEVEL, DURATION, TARGET = 0, 5, 9
"""Indices of 0x26 in OpenZWave 1.6 (ValueIDIndexesDefines.def)."""
APPLICATION_VERSION = 2
HIGHEST_TYPE = 255
"""Indices above are settings and parameters of a sensor or notification, not its value."""
OWN_DURATION_S = 7621
"""Beyond 7620 s OpenZWave sends 0xFF, "the device's own" (CommandClass::encodeDuration)."""
ANSWER_S = 4.0
"""So long a Get may take; OpenZWave's RetryTimeout too, which keeps its single queue waiting for an answer that does not come."""
PING_S = 15.0
"""A stick tries its routes and then an explorer frame before it gives a node up; that takes seconds."""
FRESH_S = 2.0
"""A node not heard of for longer is pinged before it is told or asked anything. A frame to a dead node keeps the stick busy until
it gives up; one that expects an answer keeps OpenZWave's queue waiting for ANSWER_S besides, and nobody can call it off."""
LOOK_S = 0.05
STICK_S, QUIET_S = 10.0, 10.0
GREETINGS, GREETING_S = 3, 1.6
"""A stick waits 1.5 s for the rest of a frame (INS12350, 6.2.2), such as one of a process that was killed while it wrote."""
ACK, NAK, GET_VERSION = b"\x06", b"\x15", b"\x01\x03\x00\x15\xe9"
VERSION_RESPONSE = b"\x01\x15"
OPERATIONS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "set": {"node": int, "endpoint": int, "level": int, "transition_s": (int, float, type(None))},
    "get": {"node": int, "endpoint": int, "command_class": int, "type": (int, type(None))},
    "ping": {"node": int},
    "include": {"secure": bool},
    "exclude": {},
    "heal": {"node": int},
    "cancel": {},
    "stop": {},
}
ENDED = frozenset({"Completed", "Failed", "Cancel", "Error", "NodeOK", "NodeFailed"})
"""States after which a controller command is over."""

Key = tuple[int, int, int, int]
"""Node, command class, instance, index."""


class Declined(Exception):
    """A request that comes to nothing: `error` for the program, `detail` for people."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error, self.detail = error, detail


def parse_request(line: str) -> dict[str, Any]:
    """A request with everything its operation needs. Raises `ValueError`."""
    request = json.loads(line)
    if not isinstance(request, dict) or not isinstance(request.get("id"), int):
        raise ValueError("a request is an object with an id")
    wanted = OPERATIONS.get(str(request.get("op")))
    if wanted is None:
        raise ValueError(f"no such operation: {request.get('op')!r}")
    for name, kind in wanted.items():
        if name not in request or not isinstance(request[name], kind):
            raise ValueError(f"{request['op']} needs {name}")
    return request


def key_of(value_id: int) -> Key:
    """What a value's id names (ValueID.h of OpenZWave 1.6). The library itself cuts an index down to 8 bits."""
    return value_id >> 24 & 0xFF, value_id >> 14 & 0xFF, value_id >> 4 & 0xFF, value_id >> 48 & 0xFFFF


def text_of(said: Any) -> str:
    """Text of the library, which gives bytes in some places."""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said or "")


def number_of(kind: str, value: Any, selection: int) -> float | None:
    """A value as a number. A list's is that of its item, such as a notification's event; a Decimal comes as a 32-bit float."""
    if kind == "List":
        return float(selection) if selection >= 0 else None
    if isinstance(value, bool | int):
        return float(value)
    return float(f"{value:.7g}") if isinstance(value, float) else None


def told(key: Key, label: str, unit: str, number: float | None) -> dict[str, Any] | None:
    """The value as a message; None for those that are no reading."""
    node, command_class, instance, index = key
    typed = command_class in (BINARY_SENSOR, MULTILEVEL_SENSOR, NOTIFICATION)
    if index > (HIGHEST_TYPE if typed else 0) or not (typed or command_class in (MULTILEVEL_SWITCH, BATTERY)):
        return None
    return {
        "node": node, "endpoint": instance - 1, "command_class": command_class, "name": label,
        "type": index if typed and index else None, "unit": unit, "number": number,
    }  # fmt: skip


def reported_level(message: bytes, target: int) -> int | None:
    """The current level in a frame with a Multilevel Switch Report of version 4, encapsulated or not; None where it holds none.

    While a dimmer is on its way OpenZWave keeps such reports to itself (Value::CheckTargetValue) and only tells the target.
    """
    for at in range(len(message) - 3):
        if message[at] == MULTILEVEL_SWITCH and message[at + 1] == 0x03 and message[at + 3] == target:
            return message[at + 2]
    return None


def is_supervision_report(message: bytes) -> bool:
    """Whether a frame (type, function, status, source, length, command class, command) is the answer to a supervised Set.

    OpenZWave takes it for a report of the level that was set, which the node did not send.
    """
    return len(message) > 6 and message[5] == SUPERVISION and message[6] == 0x02


def greeted(port: int) -> bool:
    """Ask for the stick's version until it says it; whether it does. Then stick and host are in step.

    OpenZWave asks once: when the stick takes its question for the rest of a frame that somebody began before, it waits for ever.
    """
    tty.setraw(port)
    attributes = termios.tcgetattr(port)
    attributes[4] = attributes[5] = termios.B115200
    termios.tcsetattr(port, termios.TCSANOW, attributes)
    for _ in range(GREETINGS):
        termios.tcflush(port, termios.TCIOFLUSH)
        os.write(port, NAK + GET_VERSION)
        said, until = b"", time.monotonic() + GREETING_S
        while (left_s := until - time.monotonic()) > 0:
            if select.select([port], [], [], left_s)[0]:
                said += os.read(port, 1024)
            start = said.find(VERSION_RESPONSE) - 2
            if start >= 0 and len(said) >= start + 2 + said[start + 1]:
                os.write(port, ACK)
                return True
    return False


@dataclass(frozen=True)
class Settings:
    """The first line."""

    parent: int
    port: str
    folder: str
    network_key: str | None = None
    log: bool = False


class Child:
    """OpenZWave's one network. Its driver thread calls `_heard`; requests are done one after the other by a thread of their own."""

    def __init__(self, library: Any, settings: Settings, out: int) -> None:
        self._library, self._settings, self._out = library, settings, out
        self._manager = library.PyManager()
        self._home = 0
        self._changed = threading.Condition()
        self._counts: Counter[tuple[Any, ...]] = Counter()
        self._ids: dict[Key, int] = {}
        self._numbers: dict[Key, float | None] = {}
        self._nodes: set[int] = set()
        self._dead: set[int] = set()
        self._heard_at: dict[int, float] = {}
        self._resting: dict[int, Callable[[], bool]] = {}
        self._controller = 0
        self._maintenance = False
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Callable[[], dict[str, Any] | None]] = queue.SimpleQueue()
        self._writing = threading.Lock()
        self._driver_ready, self._queried = threading.Event(), threading.Event()
        self._work: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "set": self._set, "get": self._get, "ping": self._ping, "include": self._include, "exclude": self._exclude,
            "heal": self._heal,
        }  # fmt: skip

    def run(self) -> None:
        """Serve until told to stop, or until stdin ends."""
        guard = self._guarded_port()
        self._manager.create()
        self._manager.addWatcher(self._heard)
        for work in (self._tell, self._serve, lambda: self._watch(guard)):
            threading.Thread(target=work, daemon=True).start()
        self._manager.addDriver(self._settings.port)
        for line in sys.stdin:
            try:
                request = parse_request(line)
            except ValueError as error:
                self._write({"error": "refused", "detail": str(error)})
                continue
            self._take(request)
        self._end()

    def _take(self, request: dict[str, Any]) -> None:
        """Answer what needs no radio at once; the rest waits for its turn."""
        op, answer = request["op"], {"id": request["id"], "ok": True}
        if op == "stop":
            self._write(answer)
            self._end()
        if op == "cancel":
            self._manager.cancelControllerCommand(self._home)
            self._write(answer)
            return
        try:
            if op in ("set", "get"):
                self._reach(request["node"])
        except Declined as declined:
            self._write({"id": request["id"], "error": declined.error, "detail": declined.detail})
            return
        self._requests.put(request)

    def _serve(self) -> None:
        """Say that the network is ready, once its queue is empty: then do what is asked."""
        if not self._driver_ready.wait(STICK_S):
            self._fail(f"the stick on {self._settings.port} answers, but OpenZWave does not get on with it")
        self._queried.wait()
        until = time.monotonic() + QUIET_S
        while self._manager.getSendQueueCount(self._home) and time.monotonic() < until:
            time.sleep(LOOK_S)
        self._events.put(lambda: {"event": "ready"})
        while True:
            request = self._requests.get()
            try:
                answer = {"ok": True, **self._work[request["op"]](request)}
            except Declined as declined:
                answer = {"error": declined.error, "detail": declined.detail}
            self._write({"id": request["id"], **answer})

    def _reach(self, node: int) -> None:
        if node not in self._nodes:
            raise Declined("gone", f"there is no node {node} in the Z-Wave network")
        if self._maintenance:
            raise Declined("busy", "the Z-Wave stick is busy with a node that joins, leaves or looks for routes")
        if self._asleep(node):
            raise Declined("silent", f"Z-Wave node {node} sleeps")  # OpenZWave would send it at the next wake-up, however late
        if node in self._dead or self._manager.isNodeFailed(self._home, node):
            raise Declined("silent", f"Z-Wave node {node} is believed dead: only a ping is sent to it")

    def _set(self, request: dict[str, Any]) -> dict[str, Any]:
        node, instance = request["node"], request["endpoint"] + 1
        level = self._known((node, MULTILEVEL_SWITCH, instance, LEVEL))
        self._fresh(node)
        duration = self._ids.get((node, MULTILEVEL_SWITCH, instance, DURATION))
        if duration is not None:  # always: each report leaves its own duration there, and the next Set would take it
            transition_s = request["transition_s"]
            self._manager.setValue(duration, OWN_DURATION_S if transition_s is None else round(transition_s))
        self._rest(node)
        asked = self._asked_after_a_set(node)
        self._exchange(node, ("complete", node), lambda: self._manager.setValue(level, request["level"]))
        self._resting[node] = asked
        return {}

    def _asked_after_a_set(self, node: int) -> Callable[[], bool]:
        """Whether OpenZWave is through with asking for the level, as it does after the next Set; of some products it does not."""
        answered, unanswered = self._after(("complete", node), times=2), self._after(("timeout", node))
        failed, sent = self._failed(node), self._sent(node)

        def over() -> bool:
            asks = self._manager.getSendQueueCount(self._home) > 0 or self._sent(node) > sent + 1
            return answered() or unanswered() or self._failed(node) > failed or not asks

        return over

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        key = (request["node"], request["command_class"], request["endpoint"] + 1, request["type"] or 0)
        value = self._known(key)
        self._fresh(request["node"])
        self._exchange(request["node"], ("told", key), lambda: self._manager.refreshValue(value))
        return {"number": self._numbers[key], "unit": text_of(self._manager.getValueUnits(value))}

    def _ping(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["node"] not in self._nodes:
            raise Declined("gone", f"there is no node {request['node']} in the Z-Wave network")
        return {"acknowledged": self._acknowledges(request["node"])}

    def _known(self, key: Key) -> int:
        self._reach(key[0])
        value = self._ids.get(key)
        if value is None:
            raise Declined("refused", f"Z-Wave node {key[0]} has nothing of command class {key[1]:#04x} at endpoint {key[2] - 1}")
        return value

    def _fresh(self, node: int) -> None:
        if time.monotonic() - self._heard_at.get(node, 0.0) > FRESH_S and not self._acknowledges(node):
            raise Declined("silent", f"Z-Wave node {node} does not acknowledge")

    def _acknowledges(self, node: int) -> bool:
        """Ping it (No Operation, which expects no answer but the radio's acknowledgement)."""
        self._rest(node)
        failed, happens = self._failed(node), self._after(("ping", node), ("complete", node))
        self._manager.testNetworkNode(self._home, node, 1)
        with self._changed:
            happened = self._changed.wait_for(happens, PING_S)
        if happened and self._failed(node) == failed:
            self._alive(node)
            return True
        self._give_up(node)
        return False

    def _exchange(self, node: int, done: tuple[Any, ...], send: Callable[[], Any]) -> None:
        """Send, and wait until it is `done` and off the radio. Raises `Declined` where nobody acknowledges, or answers."""
        self._rest(node)
        failed, until = self._failed(node), time.monotonic() + ANSWER_S
        happens, timeouts = self._after(done, ("complete", node)), self._counts["timeout", node]
        send()
        while True:
            with self._changed:
                happened = self._changed.wait_for(happens, LOOK_S)
            if self._failed(node) > failed:
                self._give_up(node)
                raise Declined("silent", f"Z-Wave node {node} does not acknowledge")
            if happened:
                self._alive(node)
                return
            if self._counts["timeout", node] > timeouts or time.monotonic() >= until:
                raise Declined("silent", f"Z-Wave node {node} does not answer within {ANSWER_S:.0f} s")

    def _after(self, *what: tuple[Any, ...], times: int = 1) -> Callable[[], bool]:
        """Whether each of these has happened so often since now."""
        due = {each: self._counts[each] + times for each in what}
        return lambda: all(self._counts[each] >= count for each, count in due.items())

    def _rest(self, node: int) -> None:
        """Wait until OpenZWave is through with the node, whose end would be taken for that of the next message."""
        over, until = self._resting.pop(node, None), time.monotonic() + ANSWER_S
        while over is not None and not over() and time.monotonic() < until:
            with self._changed:
                self._changed.wait(LOOK_S)

    def _include(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._command(lambda: self._manager.addNode(self._home, request["secure"]))

    def _exclude(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._command(lambda: self._manager.removeNode(self._home))

    def _heal(self, request: dict[str, Any]) -> dict[str, Any]:
        node = request["node"]
        self._reach(node)
        return self._command(lambda: self._manager.requestNodeNeighborUpdate(self._home, node))

    def _command(self, begin: Callable[[], Any]) -> dict[str, Any]:
        if self._maintenance:
            raise Declined("busy", "the Z-Wave stick is busy with a node that joins, leaves or looks for routes")
        self._maintenance = True
        if not begin():
            self._maintenance = False
            raise Declined("refused", "OpenZWave does not begin it")
        return {}

    def _failed(self, node: int) -> int:
        return int(self._manager.getNodeStatistics(self._home, node)["sentFailed"])

    def _sent(self, node: int) -> int:
        return int(self._manager.getNodeStatistics(self._home, node)["sentCnt"])

    def _asleep(self, node: int) -> bool:
        manager, home = self._manager, self._home
        awake = manager.isNodeListeningDevice(home, node) or manager.isNodeFrequentListeningDevice(home, node)
        return not (awake or manager.isNodeAwake(home, node))

    def _alive(self, node: int) -> None:
        self._heard_at[node] = time.monotonic()
        if node in self._dead:
            self._dead.discard(node)
            self._events.put(lambda: self._node(node))

    def _give_up(self, node: int) -> None:
        """Dead until it says something or acknowledges a ping. OpenZWave itself would wait for a third failure."""
        if not self._asleep(node):
            self._dead.add(node)
        self._events.put(lambda: self._node(node))

    def _heard(self, notice: Mapping[str, Any]) -> None:
        """Called by OpenZWave, between two frames."""
        at_ms, kind, node = round(time.time() * 1000), str(notice["notificationType"]), int(notice["nodeId"])
        match kind:
            case "DriverReady":
                self._home, self._controller = notice["homeId"], node
                self._driver_ready.set()
            case "DriverFailed":
                self._events.put(lambda: self._fail(f"no Z-Wave stick that OpenZWave knows answers on {self._settings.port}"))
            case "AwakeNodesQueried" | "AllNodesQueried" | "AllNodesQueriedSomeDead":
                self._queried.set()
            case "ValueAdded" | "ValueChanged" | "ValueRefreshed" if notice.get("valueId") and node != self._controller:
                self._value(notice["valueId"], at_ms, kind == "ValueAdded")
            case "Notification":
                self._happened(node, str(self._library.PyNotificationCodes[notice["notificationCode"]]))
            case "ControllerCommand":
                self._command_state(node, str(notice["controllerState"]), str(notice["controllerError"]))
            case "NodeRemoved" | "NodeReset":
                self._nodes.discard(node)
                self._ids = {key: value for key, value in self._ids.items() if key[0] != node}
                self._events.put(lambda: {"event": "removed", "node": node})
            case "NodeAdded" | "NodeProtocolInfo" | "NodeNaming" | "EssentialNodeQueriesComplete" | "NodeQueriesComplete":
                if node != self._controller:
                    self._nodes.add(node)
                    self._events.put(lambda: self._node(node))

    def _happened(self, node: int, what: str) -> None:
        count = {"MsgComplete": "complete", "Timeout": "timeout", "NoOperation": "ping"}.get(what)
        if count is not None:
            self._count((count, node))
        elif node in self._nodes:
            self._events.put(lambda: self._node(node))
            if what in ("Alive", "Awake"):
                self._dead.discard(node)

    def _value(self, value: Mapping[str, Any], at_ms: int, added: bool) -> None:
        key = key_of(value["id"])
        command_class = key[1]
        self._ids[key] = value["id"]
        selection = self._manager.getValueListSelectionNum(value["id"]) if value["type"] == "List" else -1
        number = number_of(str(value["type"]), value["value"], selection)
        if not added and command_class == MULTILEVEL_SWITCH:
            frame = bytes(self._manager.getNodeStatistics(self._home, key[0])["lastReceivedMessage"])
            if key[3] == TARGET and number is not None:
                level = reported_level(frame, int(number))
                if level is None or level == number:
                    return
                key, number = (*key[:3], LEVEL), float(level)  # on its way
            elif is_supervision_report(frame):
                return
        label, unit = ("Level", "") if key[3] == LEVEL and command_class == MULTILEVEL_SWITCH else (value["label"], value["units"])
        message = told(key, text_of(label), text_of(unit), None if added else number)
        if message is None:
            return
        if added:
            self._events.put(lambda: {"event": "known", **message})
            return
        self._alive(key[0])
        self._events.put(lambda: {"event": "value", **message, "at": at_ms})
        self._numbers[key] = number
        self._count(("told", key))

    def _count(self, what: tuple[Any, ...]) -> None:
        with self._changed:
            self._counts[what] += 1
            self._changed.notify_all()

    def _command_state(self, node: int, state: str, error: str) -> None:
        if state in ENDED:
            self._maintenance = False
        self._events.put(lambda: {"event": "controller", "state": state, "error": error, "node": node})

    def _node(self, node: int) -> dict[str, Any] | None:
        """What OpenZWave knows of a node."""
        if node not in self._nodes:
            return None
        manager, home = self._manager, self._home
        always = manager.isNodeListeningDevice(home, node) or manager.isNodeFrequentListeningDevice(home, node)
        stage = text_of(manager.getNodeQueryStage(home, node))
        if node in self._dead or manager.isNodeFailed(home, node):
            status = "dead"
        elif stage in ("None", "ProtocolInfo", "Probe"):
            status = "unknown"
        else:
            status = "alive" if always else "asleep" if self._asleep(node) else "awake"
        version = self._ids.get((node, VERSION, 1, APPLICATION_VERSION))
        return {
            "event": "node", "node": node, "status": status, "ready": stage == "Complete", "listening": bool(always),
            "stage": stage,
            "manufacturer_id": _hex(manager.getNodeManufacturerId(home, node)),
            "product_type": _hex(manager.getNodeProductType(home, node)), "product_id": _hex(manager.getNodeProductId(home, node)),
            "firmware": "" if version is None else text_of(manager.getValueAsString(version)),
            "manufacturer": name_of(manager.getNodeManufacturerName(home, node)),
            "product": name_of(manager.getNodeProductName(home, node)), "device_class": name_of(manager.getNodeType(home, node)),
        }  # fmt: skip

    def _tell(self) -> None:
        while True:
            event = self._events.get()()
            if event is not None:
                self._write(event)

    def _write(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._writing:
            while data:
                data = data[os.write(self._out, data) :]

    def _guarded_port(self) -> int:
        """The port, opened once more: OpenZWave does not notice when a stick is pulled out, and goes on reading nothing."""
        port = self._settings.port
        try:
            guard = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._fail(f"serial port {port} of the Z-Wave stick: {error.strerror}")
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._fail(f"serial port {port} of the Z-Wave stick is used by another program")
        try:
            if not greeted(guard):
                self._fail(f"nothing on {port} answers as a Z-Wave stick")
        except OSError as error:
            self._fail(f"serial port {port} of the Z-Wave stick: {error.strerror}")
        fcntl.flock(guard, fcntl.LOCK_UN)
        return guard

    def _watch(self, guard: int) -> None:
        poll = select.poll()
        poll.register(guard, 0)
        poll.poll()  # only a hang-up or an error ends it
        self._fail(f"the Z-Wave stick at {self._settings.port} is gone")

    def _fail(self, why: str) -> NoReturn:
        self._write({"event": "failed", "why": why})
        os._exit(1)

    def _end(self) -> NoReturn:
        """Keep what is known of the nodes, and go at once: the library's own way to stop can abort the process."""
        if self._home:
            self._manager.writeConfig(self._home)
        os._exit(0)


def name_of(said: Any) -> str:
    """A name that OpenZWave has; empty where it says "Unknown: id=ffff" or "Unknown Type (0x0000)"."""
    name = text_of(said)
    return "" if name.startswith("Unknown") else name


def _hex(said: Any) -> int | None:
    try:
        return int(text_of(said), 16)
    except ValueError:
        return None


def configure(library: Any, settings: Settings) -> None:
    """Set OpenZWave's options by the file in its folder, which it reads last, after the distribution's; but for the key."""
    folder = Path(settings.folder)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {
        "Logging": settings.log, "SaveLogLevel": 8, "ConsoleOutput": False, "NotifyTransactions": True,
        "SuppressValueRefresh": False, "IncludeInstanceLabel": False,
        "RetryTimeout": round(ANSWER_S * 1000), "DriverMaxAttempts": 1,
        "AutoUpdateConfigFile": False,  # it would ask name servers for news
    }  # fmt: skip
    rows = "".join(f'  <Option name="{name}" value="{str(value).lower()}" />\n' for name, value in chosen.items())
    (folder / "options.xml").write_text(f"<Options xmlns='https://github.com/OpenZWave/open-zwave'>\n{rows}</Options>\n")
    options = library.PyOptions(user_path=f"{folder}/", cmd_line="")
    if settings.network_key:
        key = bytes.fromhex(settings.network_key)
        options.addOptionString("NetworkKey", ", ".join(f"0x{byte:02X}" for byte in key), False)
    options.lock()


def main() -> None:
    """Run until told to stop, until stdin ends, or until the stick is gone."""
    out = os.dup(1)
    os.dup2(2, 1)  # what the library prints is no message
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    settings = Settings(**json.loads(sys.stdin.readline()))
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != settings.parent:
        sys.exit("the process that started this one has ended")
    library = importlib.import_module("libopenzwave")
    configure(library, settings)
    Child(library, settings, out).run()


if __name__ == "__main__":
    main()
