"""The driver of a Z-Wave network, whoever holds the stick: what the mapping says, node by node, through a `Network`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import TypeVar

from agents.gateways import zwave_levels, zwave_mapping
from agents.gateways.drivers.base import BusUnavailable, DeviceSilent, Hand, NothingSent, Report, Written
from agents.gateways.drivers.outbox import Outbox
from agents.gateways.drivers.zwave_faults import faults
from agents.gateways.drivers.zwave_network import Lost, Network, NodeChanged, NodeNotYet, Set, Told
from agents.gateways.drivers.zwave_peers import Peer
from agents.gateways.drivers.zwave_polls import Polls
from agents.gateways.zwave_mapping import Ignored, Node, NotOnZwave, Reason, Status
from schemas.records import Device, DeviceRole, Kind

T = TypeVar("T")
LOOK_S = 0.25
"""A dimmer that does not confirm by Supervision is asked so long after its Set, or after the transition it was told."""
SET_TRIES = 3
"""A Set that nobody acknowledges is tried again; in between, other nodes have their turn on the radio."""
RAMP_S = 5.0
"""Dimmers ramp by themselves where no transition is asked for: factory settings go up to about 3 s."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_LATENCIES = 1000
_logger = logging.getLogger(__name__)


class ZwaveDriver:
    """`drivers.base.Driver` for one Z-Wave network, which is one line. `poll_s`: how old a value may get before it is asked for."""

    def __init__(self, network: Network, line_id: str, *, poll_s: float = 300.0, transition_s: float | None = None) -> None:
        self._network, self._line_id, self._transition_s = network, line_id, transition_s
        self._devices: dict[int, list[Device]] = {}
        self._peers: dict[int, Peer] = {}
        self._polls = Polls(poll_s)
        self._outbox = Outbox()
        self._tasks: list[asyncio.Task[None]] = []
        self._faults: list[str] = []
        self._trouble: str | None = "not started"
        self._no_stick: str | None = None
        self._counts: Counter[str] = Counter()
        self._complained: set[str] = set()
        self._radio_s: deque[float] = deque(maxlen=_LATENCIES)

    @property
    def health(self) -> str | None:
        """None when the network is up and every device's node is there and answers, else what is wrong."""
        if trouble := self.trouble or self._no_stick:
            return trouble
        nodes = self._network.nodes
        said = [
            why
            for node_id, devices in self._devices.items()
            for why in faults(node_id, nodes.get(node_id), devices, silent=self._peer(node_id).breaker.shut_out)
        ]
        return "; ".join([*self._faults, *said]) or None

    @property
    def trouble(self) -> str | None:
        """Why the network is away; None when it is up, however its nodes are."""
        return self._outbox.trouble or self._trouble

    @property
    def metrics(self) -> Mapping[str, float]:
        """Counted since the process began; `radio_median_s` is of the last thousand calls that were answered."""
        nodes = self._network.nodes.values()
        left_alone = sum(peer.breaker.shut_out for peer in self._peers.values())
        ignored = {f"ignored_{reason}": self._counts[f"ignored_{reason}"] for reason in Reason}
        return {
            "nodes": len(nodes), "nodes_asleep": sum(node.status is Status.asleep for node in nodes), "nodes_silent": left_alone,
            "readings": self._counts["readings"], "reports_dropped": self._outbox.dropped, "polls": self._polls.made,
            "reconnects": self._counts["reconnects"], **ignored,
            **({"radio_median_s": round(median(self._radio_s), 4)} if self._radio_s else {}),
        }  # fmt: skip

    async def start(self, devices: Sequence[Device]) -> None:
        """Connect and serve these devices; called again, serve these instead. Raises `BusUnavailable`."""
        by_node: dict[int, list[Device]] = defaultdict(list)
        before = {device.device_id: device for devices in self._devices.values() for device in devices}
        self._faults = []
        for device in devices:
            if device.line_id == self._line_id and device.zwave_node is not None:
                by_node[device.zwave_node].append(device)
            else:
                self._faults.append(f"device {device.device_id}: line {device.line_id} is not this network, {self._line_id}")
        self._devices = dict(by_node)
        if not self._tasks:
            await self._open()
            self._tasks = [asyncio.create_task(self._keep()), asyncio.create_task(self._polls.run(self._next_poll))]
            for task in self._tasks:
                self._outbox.watch(task)
        elif self.trouble is not None:
            raise BusUnavailable(self.trouble)
        for device in devices:
            if before.get(device.device_id) != device:
                self._polls.forget(device.device_id)

    async def stop(self) -> None:
        """Disconnect; pending calls end with `BusUnavailable`."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._trouble = "stopped"
        await self._network.close()

    async def reports(self) -> Report | Hand:
        """The next value a device reported; waits for one. A level nobody asked for is the room's to judge (`light_unasked`).

        Raises what ended the driver's own work, which is a bug.
        """
        return await self._outbox.get()

    async def reachable(self, device: Device) -> None:
        """Return at once, but for a node that sleeps: when it wakes up."""
        if device.zwave_node is not None and self.trouble is None:
            await self._peer(device.zwave_node).awake()

    async def write(self, device: Device, kind: Kind, target_pct: float) -> Written:
        """Send a level once. Raises `NotOnZwave`, `DeviceSilent`, `BusUnavailable`."""
        node, peer = self._reach(device)
        if zwave_mapping.TAKES.get(device.role) is not kind:
            raise NotOnZwave(f"device {device.device_id} ({device.role}) takes no {kind} on Z-Wave")
        level = zwave_mapping.gettable(node, zwave_mapping.endpoint_of(device), kind)
        if level is None:
            raise NotOnZwave(f"Z-Wave node {node.node_id} takes no level at endpoint {zwave_mapping.endpoint_of(device)}")
        endpoint, wire = level.endpoint, zwave_levels.to_wire(target_pct)

        async def send() -> Set:
            return await self._network.set_level(node.node_id, endpoint, wire, self._transition_s)

        match await self._timed(peer.call(send, SET_TRIES)):
            case Set.refused:
                why = f"refuses the level at endpoint {endpoint}: it cannot do it now, or takes none"
                raise NotOnZwave(f"Z-Wave node {node.node_id} {why}")
            case Set.confirmed:
                return Written(confirmed_pct=zwave_levels.from_wire(wire))
            case _:
                return Written(look_after_s=LOOK_S + (self._transition_s or 0.0))

    async def read(self, device: Device, kind: Kind) -> float:
        """Ask the device for its present value. Raises `NotOnZwave`, `DeviceSilent`, `BusUnavailable`."""
        node, peer = self._reach(device)
        value = zwave_mapping.gettable(node, zwave_mapping.endpoint_of(device), kind)
        if value is None:
            raise NotOnZwave(f"Z-Wave node {node.node_id} has no {kind} at endpoint {zwave_mapping.endpoint_of(device)}")
        found = zwave_mapping.meaning(await self._timed(peer.answer(value, lambda: self._network.get(value))), node)
        if isinstance(found, Ignored):
            raise DeviceSilent(f"Z-Wave node {node.node_id} answers, but not with a {kind}: {found.detail}")
        return found.value

    def travel_s(self, device: Device, from_pct: float | None, to_pct: float) -> float:
        """How long a dimmer may take from one level to another, seconds: its way's length does not matter."""
        return RAMP_S + (self._transition_s or 0.0)

    def confirms(self, device: Device, kind: Kind) -> bool:
        """Always: a node answers for itself."""
        return True

    def resend_s(self, device: Device) -> float | None:
        """Never: dimmers keep their level."""
        return None

    async def _timed(self, call: Awaitable[T]) -> T:
        began = time.monotonic()
        try:
            result = await call
        except NodeNotYet:
            raise
        except BusUnavailable as error:
            self._no_stick = str(error)
            raise
        self._no_stick = None
        self._radio_s.append(time.monotonic() - began)
        return result

    def _peer(self, node_id: int) -> Peer:
        return self._peers.setdefault(node_id, Peer(node_id))

    def _reach(self, device: Device) -> tuple[Node, Peer]:
        if self.trouble is not None:
            raise NothingSent(self.trouble)
        if device.zwave_node is None or device.line_id != self._line_id:
            raise NotOnZwave(f"device {device.device_id} is on line {device.line_id}, not in this network, {self._line_id}")
        node = self._network.nodes.get(device.zwave_node)
        if node is None:
            raise DeviceSilent(f"there is no node {device.zwave_node} in the Z-Wave network")
        peer = self._peer(node.node_id)
        if not node.ready:
            if peer.breaker.shut_out:  # dead when the server started, so never interviewed: not to be waited for
                raise peer.silence()
            raise NothingSent(f"Z-Wave node {node.node_id} is not known yet: {_stage(node)}")
        if peer.asleep:
            raise NothingSent(f"Z-Wave node {node.node_id} sleeps: it is told when it wakes up")
        return node, peer

    async def _open(self) -> None:
        try:
            await self._network.open()
        except BusUnavailable as error:
            self._trouble = str(error)
            raise
        self._trouble = self._no_stick = None
        nodes = self._network.nodes
        for node_id in {*nodes, *self._peers}:  # never others: commands wait for the waking of those there are
            self._peer(node_id).start_anew(nodes.get(node_id))
        self._polls.anew()

    async def _keep(self) -> None:
        """Take what happens for ever; when the network is gone, open it again."""
        while True:
            match await self._network.events():
                case Told() as told:
                    self._hear(told)
                case NodeChanged(node_id):
                    self._peer(node_id).follow(self._network.nodes.get(node_id))
                    self._polls.look()
                case Lost(why):
                    _logger.warning("%s", why)
                    self._trouble = why
                    await self._open_again()

    async def _open_again(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while self._trouble is not None:
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            try:
                await self._open()
            except BusUnavailable as error:
                _logger.info("not back yet: %s", error)
        self._counts["reconnects"] += 1
        _logger.info("the Z-Wave network is back")

    def _hear(self, told: Told) -> None:
        value, node = told.value, self._network.nodes.get(told.value.node_id)
        if node is None:
            return
        self._no_stick = None
        self._peer(node.node_id).hear(value)
        found, devices = zwave_mapping.meaning(value, node), self._devices.get(node.node_id, ())
        if isinstance(found, Ignored):
            if devices:
                self._ignore(found)
            return
        for device in devices:
            if _tells(device, found.kind) and zwave_mapping.accepted(value, node, zwave_mapping.endpoint_of(device)):
                self._counts["readings"] += 1
                self._report(device, found.kind, found.value, told.at)

    def _ignore(self, found: Ignored) -> None:
        self._counts[f"ignored_{found.reason}"] += 1
        if found.reason is not Reason.not_an_event and found.detail not in self._complained:
            self._complained.add(found.detail)
            _logger.warning("ignored from now on: %s", found.detail)

    def _report(self, device: Device, kind: Kind, value: float, at: datetime) -> None:
        self._polls.heard(device.device_id, kind)
        self._outbox.put(Report(device.device_id, kind, value, at))

    async def _next_poll(self) -> bool:
        """Ping one silent node, or ask one node for one value that is old; whether there was any to do."""
        if self._trouble is not None:
            return False
        for peer in self._peers.values():
            if peer.breaker.came_back():
                for device in self._devices.get(peer.node_id, ()):
                    self._polls.forget(device.device_id)
            if peer.breaker.probe_due(time.monotonic()):
                await peer.probe(lambda peer=peer: self._network.ping(peer.node_id))  # type: ignore[misc]
                return True
        due = self._polls.oldest(self._pollable(listening=False)) or self._polls.oldest(self._pollable(listening=True))
        if due is None:
            return False
        device, kind = due
        self._polls.heard(device.device_id, kind)  # asked: not again before its time, whatever it answers
        try:
            await self.read(device, kind)
        except BusUnavailable:
            self._polls.not_asked(device.device_id, kind)
            raise
        return True

    def _pollable(self, *, listening: bool) -> Iterable[tuple[Device, Kind]]:
        """What can be asked for now; of nodes that sleep it is now or in hours."""
        nodes = self._network.nodes
        for node_id, devices in self._devices.items():
            node, peer = nodes.get(node_id), self._peer(node_id)
            if node is None or node.listening is not listening or not node.ready or peer.asleep or peer.breaker.shut_out:
                continue
            for device in devices:
                for kind in zwave_mapping.device_kinds(node, zwave_mapping.endpoint_of(device)):
                    if _tells(device, kind):
                        yield device, kind


def _tells(device: Device, kind: Kind) -> bool:
    """A level is a dimmer's; whatever else its node measures, a device tells."""
    return kind is not Kind.level_pct or device.role is DeviceRole.dimmer


def _stage(node: Node) -> str:
    return f"its interview is at {node.stage}" if node.stage else "its interview has not begun"
