"""Fold a run of one partition's log: the same code live, in replay and in tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from agents.rules.averages import with_closed
from agents.rules.room import blank, step
from schemas.commands import Command
from schemas.records import Bus, DeviceChanged, PolicyChanged, Position, RoomEvent
from schemas.rows import ActuationRow, AveragesRow, OccupancyRow, Room


class LoggedEvent(Struct, frozen=True, gc=False):
    """A room event as it stands in the log; `logged_at` is the broker's stamp (UTC)."""

    room_id: str
    offset: int
    logged_at: datetime
    event: RoomEvent


class Addressed(Struct, frozen=True):
    """A command and the bus line it goes to."""

    bus: Bus
    line_id: str
    command: Command


class Reject(Struct, frozen=True):
    """An event set aside: a word for machines, a sentence for people."""

    offset: int
    reason: str
    detail: str


class FoldOutcome(Struct):
    """What changed: rows to write by room id, commands in order, events set aside."""

    rooms: dict[str, Room]
    occupancy: dict[str, OccupancyRow]
    actuation: dict[str, ActuationRow]
    averages: dict[str, AveragesRow]
    commands: list[Addressed]
    rejects: list[Reject]


def fold_batch(
    rooms: Mapping[str, Room], averages: Mapping[str, AveragesRow], log_id: str, partition: int, events: Iterable[LoggedEvent]
) -> FoldOutcome:
    """Fold events of one partition, in order, over the rooms as they stand. Neither mapping is changed.

    A room begins with its first DeviceChanged or PolicyChanged; anything else for a room nobody introduced is set aside.
    """
    out = FoldOutcome({}, {}, {}, {}, [], [])
    changed = out.rooms
    for logged in events:
        room_id = logged.room_id
        room = changed.get(room_id) or rooms.get(room_id)
        position = Position(log_id, partition, logged.offset)
        if room is None:
            if not isinstance(logged.event, DeviceChanged | PolicyChanged):
                out.rejects.append(Reject(logged.offset, "unknown_room", f"nobody has introduced room {room_id!r}"))
                continue
            room = blank(position, logged.logged_at)
        outcome = step(room, room_id, logged.event, position, logged.logged_at)
        if outcome.room is room:
            continue  # the room has this event already
        changed[room_id] = outcome.room
        if outcome.refused is not None:
            out.rejects.append(Reject(logged.offset, outcome.refused.reason, outcome.refused.detail))
        if outcome.closed:
            before = out.averages.get(room_id) or averages.get(room_id)
            out.averages[room_id] = with_closed(before, outcome.closed, position)
        for command in outcome.commands:
            device = next(d for d in outcome.room.devices if d.device_id == command.device_id)
            out.commands.append(Addressed(device.bus, device.line_id, command))
    _project(rooms, out)
    return out


def _project(before: Mapping[str, Room], out: FoldOutcome) -> None:
    """The projections of the rooms whose part of the state changed."""
    for room_id, room in out.rooms.items():
        was = before.get(room_id)
        if was is None or was.occupancy is not room.occupancy:
            out.occupancy[room_id] = OccupancyRow(room.occupancy)
        if was is None or was.actuators is not room.actuators or was.actuation_position is not room.actuation_position:
            out.actuation[room_id] = ActuationRow(room.actuation_position, room.actuators)
