"""A room decided by the fold: its readings logged, its ticks when they are due, every command done as it is sent."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from agents.replay.driven import answered
from agents.rules.room import blank
from schemas.codecs import DEFAULT_POLICY
from schemas.records import (
    Bus,
    Device,
    DeviceChanged,
    DeviceRole,
    Kind,
    Policy,
    PolicyChanged,
    Position,
    Reading,
    RoomEvent,
    Tick,
)

SENSOR, VALVE, BLIND, LAMP = 1, 2, 3, 4
_ROLES = {
    SENSOR: DeviceRole.multisensor, VALVE: DeviceRole.radiator_valve, BLIND: DeviceRole.blind, LAMP: DeviceRole.dimmer,
}  # fmt: skip


class FoldedRoom:
    """One room under a policy."""

    def __init__(self, began_at: datetime, policy: Policy = DEFAULT_POLICY) -> None:
        self._offset = 0
        self._room = blank(self._position(), began_at)
        self.events = 0
        self._fold(PolicyChanged(replace(policy, revision=1)), began_at)
        for device_id, role in _ROLES.items():
            device = Device(device_id, 1, role.value, "simulated", role, Bus.recorded, "simulated")
            self._fold(DeviceChanged(device_id, 1, device), began_at)

    def take(self, kind: Kind, value: float, at: datetime) -> list[tuple[Kind, float]]:
        """The commands that follow from a reading, and from the ticks due before it."""
        commands = []
        while self._room.wake_at is not None and self._room.wake_at <= at:
            commands += self._fold(Tick(self._room.wake_at), self._room.wake_at)
        return commands + self._fold(Reading(SENSOR, kind, value, at), at)

    def _fold(self, event: RoomEvent, at: datetime) -> list[tuple[Kind, float]]:
        commands = []
        for outcome in answered(self._room, "simulated", event, self._position, at):
            self._room = outcome.room
            self.events += 1
            commands += [(command.kind, command.target_pct) for command in outcome.commands]
        return commands

    def _position(self) -> Position:
        self._offset += 1
        return Position("simulated", 0, self._offset)
