"""Builders: a room's log told as a story, folded as it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from agents.rules.fold import Addressed, LoggedEvent, Reject, fold_batch
from schemas.codecs import DEFAULT_POLICY
from schemas.commands import Command
from schemas.records import (
    Bus,
    CommandResult,
    Device,
    DeviceChanged,
    DeviceRole,
    Intent,
    IntentAction,
    Kind,
    PolicyChanged,
    Reading,
    ResultStatus,
    RoomEvent,
    Tick,
)
from schemas.rows import Actuator, AveragesRow, Room

ZURICH = ZoneInfo("Europe/Zurich")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=ZURICH).astimezone(UTC)
VALVE, BLIND, LAMP, SENSOR = 1, 5, 10, 9
LOG = "log-1"


def local(text: str) -> datetime:
    """An instant from building-local wall time, e.g. "2026-03-02 19:30"."""
    return datetime.fromisoformat(text).replace(tzinfo=ZURICH).astimezone(UTC)


def device(device_id: int, role: DeviceRole, revision: int = 1, room_id: str = "2") -> Device:
    bus = Bus.zwave if role in (DeviceRole.multisensor, DeviceRole.dimmer) else Bus.knx
    return Device(device_id, revision, f"{role} {device_id}", room_id, role, bus, f"{bus}-1")


def introductions(revision: int = 1) -> list[RoomEvent]:
    roles = {VALVE: DeviceRole.radiator_valve, BLIND: DeviceRole.blind, SENSOR: DeviceRole.multisensor, LAMP: DeviceRole.dimmer}
    return [DeviceChanged(i, revision, device(i, role, revision)) for i, role in roles.items()]


class Story:
    """One room and its log. Every method appends an event at the story's time and folds it at once."""

    def __init__(self, now: datetime = NOON, **policy: object) -> None:
        self.now = now
        self.log: list[LoggedEvent] = []
        self.rooms: dict[str, Room] = {}
        self.averages: dict[str, AveragesRow] = {}
        self.sent: list[Addressed] = []
        self.rejects: list[Reject] = []
        for event in introductions():
            self.tell(event)
        if policy:
            self.tell(PolicyChanged(replace(DEFAULT_POLICY, revision=1, **policy)))

    @property
    def room(self) -> Room:
        return self.rooms["2"]

    @property
    def commands(self) -> list[Command]:
        return [addressed.command for addressed in self.sent]

    def targets(self, device_id: int) -> list[float]:
        return [command.target_pct for command in self.commands if command.device_id == device_id]

    def actuator(self, device_id: int) -> Actuator:
        return next(a for a in self.room.actuators if a.device_id == device_id)

    def tell(self, event: RoomEvent) -> Story:
        self.log.append(LoggedEvent("2", len(self.log), self.now, event))
        out = fold_batch(self.rooms, self.averages, LOG, 0, self.log[-1:])
        self.rooms |= out.rooms
        self.averages |= out.averages
        self.sent += out.commands
        self.rejects += out.rejects
        return self

    def after(self, **span: float) -> Story:
        """Let time pass; ticks fall due on the way as the rooms role would send them."""
        end = self.now + timedelta(**span)
        while self.room.wake_at is not None and self.room.wake_at <= end:
            self.now = self.room.wake_at
            self.tell(Tick(self.room.wake_at))
        self.now = end
        return self

    def reads(self, kind: Kind, value: float, *, at: datetime | None = None, device_id: int = SENSOR) -> Story:
        return self.tell(Reading(device_id, kind, value, at or self.now))

    def motion(self, *, seen: bool = True) -> Story:
        return self.reads(Kind.motion, float(seen))

    def humidity(self, pct: float) -> Story:
        return self.reads(Kind.humidity_pct, pct)

    def light(self, lx: float) -> Story:
        return self.reads(Kind.illuminance_lx, lx)

    def temperature(self, c: float) -> Story:
        return self.reads(Kind.temperature_c, c)

    def window(self, *, open_: bool = True) -> Story:
        return self.reads(Kind.window_open, float(open_))

    def hand(self, kind: Kind, value_pct: float, **more: object) -> Story:
        return self.tell(Intent(IntentAction.set, kind, self.now, value_pct, source="api", **more))

    def lets_go(self, kind: Kind) -> Story:
        return self.tell(Intent(IntentAction.release, kind, self.now, source="api"))

    def extends(self, kind: Kind, **more: object) -> Story:
        return self.tell(Intent(IntentAction.extend, kind, self.now, source="api", **more))

    def locks(self, kind: Kind = Kind.unknown, value_pct: float | None = None) -> Story:
        return self.tell(Intent(IntentAction.lock, kind, self.now, value_pct, source="A. Meier", reason="motor is being changed"))

    def unlocks(self, kind: Kind = Kind.unknown) -> Story:
        return self.tell(Intent(IntentAction.unlock, kind, self.now, source="A. Meier"))

    def confirms(self, device_id: int, status: ResultStatus = ResultStatus.done) -> Story:
        """The gateway answers the last command to a device."""
        command = [c for c in self.commands if c.device_id == device_id][-1]
        reported = command.target_pct if status is ResultStatus.done else None
        return self.tell(
            CommandResult(command.command_id, device_id, status, self.now, reported, "" if reported is not None else "test")
        )
