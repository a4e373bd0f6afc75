"""The driver of real KNX lines: what the mapping says, through a `Line` each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from agents.gateways import knx_mapping
from agents.gateways.drivers.base import BusUnavailable, DeviceSilent, Hand, Report, Written
from agents.gateways.drivers.knx_line import Heard, Line
from agents.gateways.drivers.knx_reads import Reads
from agents.gateways.drivers.knx_reports import Reports
from agents.gateways.drivers.outbox import Outbox
from agents.gateways.knx_dpt import NotThatDpt, decode, encode
from agents.gateways.knx_functions import NotOnKnx, Part
from agents.gateways.knx_mapping import GroupObject
from agents.rules.arbitration import same
from agents.rules.devices import ACTUATES
from schemas.records import Device, DeviceRole, Kind
from streams.knx_lines import KnxLine

_UNDER_WAY_GRACE_S = 5.0
_STOPPED_S = 0.5
"""How long a blind takes to stand still after a stop, before its place is asked for."""
_logger = logging.getLogger(__name__)


class Served:
    """One open line with its reads, and which objects of which devices stand at which address."""

    def __init__(self, line: Line, reads: Reads) -> None:
        self.line, self.reads = line, reads
        self.objects: dict[str, list[tuple[Device, GroupObject]]] = {}
        self.buttons = frozenset(line.config.push_buttons)


class KnxDriver:
    """`drivers.base.Driver` for the KNX lines of the settings. A line is open while it has devices."""

    def __init__(self, lines: Mapping[str, KnxLine], password: str | None = None) -> None:
        self._lines, self._password = lines, password
        self._served: dict[str, Served] = {}
        self._outbox = Outbox()
        self._reports = Reports(self._outbox)
        self._faults: list[str] = []
        self._undecodable: dict[tuple[str, str], str] = {}
        self._targets: dict[tuple[int, Kind], float] = {}
        self._under_way_until: dict[int, float] = {}
        self._last: dict[tuple[int, Kind], float] = {}
        self._heard_at: dict[tuple[str, str], float] = {}
        self._stops: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def health(self) -> str | None:
        """None when every line is up and every device's addresses make sense, else what is wrong."""
        silent = [f"KNX line {name}: nobody answers on {served.line.config.named}" for name, served in self._served.items()
                  if served.reads.silent]  # fmt: skip
        troubles = [served.line.trouble for served in self._served.values() if served.line.trouble]
        refused = [served.reads.refused for served in self._served.values() if served.reads.refused]
        stopped = [self._outbox.trouble] if self._outbox.trouble else []
        return "; ".join([*stopped, *troubles, *silent, *self._faults, *refused, *self._undecodable.values()]) or None

    @property
    def metrics(self) -> Mapping[str, float]:
        """Counted over all lines."""
        lines = [served.line for served in self._served.values()]
        return {
            "telegrams_in": sum(line.telegrams_in for line in lines),
            "telegrams_out": sum(line.telegrams_out for line in lines),
            "telegrams_waiting": sum(line.waiting for line in lines),
            "reconnects": sum(line.reconnects for line in lines),
            "reports_held_back": self._reports.held_back,
            "reports_dropped": self._outbox.dropped,
        }

    async def start(self, devices: Sequence[Device]) -> None:
        """Connect the devices' lines and serve them; called again, serve these instead.

        Raises `BusUnavailable` when no line is up.
        """
        self._stopped = False
        wrong = {device.device_id: why for device, why in knx_mapping.faults(devices)}
        self._faults, self._undecodable = list(wrong.values()), {}
        of_line: dict[str, list[Device]] = defaultdict(list)
        for device in devices:
            if device.device_id not in wrong:
                of_line[device.line_id].append(device)
        for name in of_line.keys() - self._lines.keys():
            known = ", ".join(self._lines) or "none"
            self._faults.append(f"KNX line {name} is not in ATRIUM_KNX_LINES: there are {known}")
        for name in self._served.keys() - of_line.keys():
            await self._close(self._served.pop(name))
        wanted = {name: self._serve(name) for name in of_line.keys() & self._lines.keys()}
        opened = await asyncio.gather(*(served.line.open() for served in wanted.values()), return_exceptions=True)
        for (name, served), failure in zip(wanted.items(), opened, strict=True):
            if failure is not None and not isinstance(failure, BusUnavailable):
                raise failure
            self._index(served, of_line[name])
        if wanted and all(failure is not None for failure in opened):
            raise BusUnavailable(self.health or "no KNX line can be reached")

    async def stop(self) -> None:
        """Disconnect; pending calls end with `BusUnavailable`."""
        self._stopped = True
        for task in self._stops:
            task.cancel()
        for name in list(self._served):
            await self._close(self._served.pop(name))

    async def reports(self) -> Report | Hand:
        """The next value a device reported, or a person's hand; waits for one. Raises what ended the driver's own work."""
        return await self._outbox.get()

    async def reachable(self, device: Device) -> None:
        """At once: nothing sleeps."""

    async def write(self, device: Device, kind: Kind, target_pct: float) -> Written:
        """Send an absolute target once. Raises `NotOnKnx`, `BusUnavailable`."""
        told = knx_mapping.telegram(device, kind, target_pct)
        raw, served = encode(told.dpt, told.value), self._of(device)
        if served.reads.silent:
            raise BusUnavailable(f"KNX line {device.line_id}: nobody answers on {served.line.config.named}")
        key = (device.device_id, kind)
        self._targets[key] = target_pct
        travel_s = self.travel_s(device, self._last.get(key), target_pct)
        self._under_way_until[device.device_id] = time.monotonic() + travel_s + _UNDER_WAY_GRACE_S
        await served.line.write(told.address, raw)
        return Written()

    async def read(self, device: Device, kind: Kind) -> float:
        """Ask the device for its present value. Raises `NotOnKnx`, `DeviceSilent`, `BusUnavailable`."""
        found, served = knx_mapping.status(device, kind), self._of(device)
        if served.reads.silent:
            raise BusUnavailable(f"KNX line {device.line_id}: nobody answers on {served.line.config.named}")
        try:
            value = decode(found.dpt, await served.line.read(found.address))
        except DeviceSilent as error:
            if await served.reads.anybody(found.address):
                raise
            raise BusUnavailable(f"KNX line {device.line_id}: nobody answers on {served.line.config.named}") from error
        except NotThatDpt as error:
            raise DeviceSilent(f"{found.address} answers with what is no value: {error}") from error
        return knx_mapping.percent(device, found, value, self._targets.get((device.device_id, kind)))

    def travel_s(self, device: Device, from_pct: float | None, to_pct: float) -> float:
        """How long the device may take from one value to another, seconds."""
        line = self._lines.get(device.line_id, KnxLine())
        if device.role is not DeviceRole.blind:
            return line.valve_settle_s
        whole_s = knx_mapping.objects_of(device).travel_s or line.blind_travel_s
        way_pct = abs(to_pct - from_pct) if from_pct is not None else 100.0
        return line.valve_settle_s + whole_s * way_pct / 100

    def confirms(self, device: Device, kind: Kind) -> bool:
        """Whether the device has a status object of its own."""
        return knx_mapping.confirms(device, kind)

    def resend_s(self, device: Device) -> float | None:
        """Valves fall back to an emergency position when they hear nothing for long."""
        if device.role is not DeviceRole.radiator_valve or device.line_id not in self._lines:
            return None
        return self._lines[device.line_id].resend_valves_s

    def _serve(self, name: str) -> Served:
        if name not in self._served:

            def age_s(address: str) -> float:
                return time.monotonic() - self._heard_at.get((name, address), float("-inf"))

            line = Line(
                name, self._lines[name], self._password, lambda heard: self._hear(name, heard), lambda: self._read_anew(name),
                self._outbox.watch,
            )  # fmt: skip
            self._served[name] = Served(line, Reads(line, age_s, self._outbox.watch))
        return self._served[name]

    def _index(self, served: Served, devices: Iterable[Device]) -> None:
        objects: dict[str, list[tuple[Device, GroupObject]]] = defaultdict(list)
        telling: list[str] = []
        for device in devices:
            for found in knx_mapping.objects_of(device).by_name.values():
                objects[found.address].append((device, found))
            telling += [found.address for found in knx_mapping.reporting(device)]
        served.objects = dict(objects)
        served.reads.serve(telling)

    def _read_anew(self, name: str) -> None:
        if name in self._served:
            self._served[name].reads.anew()

    def _of(self, device: Device) -> Served:
        if self._stopped or (device.line_id in self._lines and device.line_id not in self._served):
            raise BusUnavailable(f"KNX line {device.line_id} is not open")
        if device.line_id not in self._served:
            raise NotOnKnx(f"KNX line {device.line_id} is not in ATRIUM_KNX_LINES: there are {', '.join(self._lines) or 'none'}")
        return self._served[device.line_id]

    def _hear(self, name: str, heard: Heard) -> None:
        """A telegram of somebody else: a value, a hand, or nothing to us."""
        served = self._served[name]
        if heard.raw is None:
            return
        self._heard_at[name, heard.address] = time.monotonic()
        served.reads.heard()
        for device, found in served.objects.get(heard.address, ()):
            try:
                value = decode(found.dpt, heard.raw)
            except NotThatDpt as error:
                self._complain(name, heard, found, error)
                continue
            self._undecodable.pop((name, heard.address), None)
            self._take(served, device, found, value, heard)

    def _take(self, served: Served, device: Device, found: GroupObject, value: float, heard: Heard) -> None:
        key, button = (device.device_id, found.kind), heard.source in served.buttons
        under_way, last = self._is_under_way(device.device_id, found, value), self._last.get(key)
        if knx_mapping.is_hand(found, write=heard.service == "write", button=button, under_way=under_way, value=value, last=last):
            self._hand(device, found, value, heard.source)
        if found.part is Part.status or (found.part is Part.command and not knx_mapping.confirms(device, found.kind)):
            self._last[key] = value
            self._reports.put(Report(device.device_id, found.kind, value, _now()))

    def _is_under_way(self, device_id: int, found: GroupObject, value: float) -> bool:
        """Whether what a device says of itself may come from our own last target."""
        target = self._targets.get((device_id, found.kind))
        here = target is not None and same(value, target)
        return here or time.monotonic() < self._under_way_until.get(device_id, 0.0)

    def _hand(self, device: Device, found: GroupObject, value: float, source: str) -> None:
        kind = ACTUATES.get(device.role)
        if found.part is Part.stop and kind is not None:
            task = asyncio.create_task(self._after_stop(device, kind, source))
            self._outbox.watch(task)
            self._stops.add(task)
            task.add_done_callback(self._stops.discard)
        elif kind is not None and found.kind is not Kind.slat_pct:
            value_pct = value * 100 if found.part is Part.move else knx_mapping.percent(device, found, value, None)
            self._under_way_until[device.device_id] = time.monotonic() + self.travel_s(device, None, value_pct)
            self._reports.put(Hand(device.device_id, kind, value_pct, _now(), f"push button {source}"))

    async def _after_stop(self, device: Device, kind: Kind, source: str) -> None:
        """A stopped blind is wanted where it stands."""
        await asyncio.sleep(_STOPPED_S)
        try:
            value_pct = await self.read(device, kind)
        except (DeviceSilent, BusUnavailable, NotOnKnx) as error:
            _logger.warning("device %d was stopped by hand, and does not tell where: %s", device.device_id, error)
            return
        self._reports.put(Hand(device.device_id, kind, value_pct, _now(), f"push button {source}"))

    def _complain(self, name: str, heard: Heard, found: GroupObject, error: NotThatDpt) -> None:
        said = f"KNX line {name}: {heard.address} from {heard.source} ({found.name} of device {found.device_id}): {error}"
        if self._undecodable.get((name, heard.address)) != said:
            self._undecodable[name, heard.address] = said
            _logger.warning("%s", said)

    async def _close(self, served: Served) -> None:
        await served.reads.stop()
        await served.line.close()


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
