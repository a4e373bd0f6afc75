"""Devices enter, change in, and leave a room."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from agents.rules import occupancy
from schemas.records import Device, DeviceChanged, DeviceRole, Kind, Position
from schemas.rows import Actuator, Room

ACTUATES = {DeviceRole.radiator_valve: Kind.valve_pct, DeviceRole.blind: Kind.closed_pct, DeviceRole.dimmer: Kind.level_pct}
"""What each actuating role is set to."""


def change_device(room: Room, change: DeviceChanged, position: Position, now: datetime) -> Room:
    """The room after a device came, changed or left. A revision not above the known one changes nothing."""
    known = max(
        (d.revision for d in room.devices if d.device_id == change.device_id), default=room.departed.get(str(change.device_id), -1)
    )
    if change.revision <= known:
        return room
    if change.device is None:
        return _without(room, change, position, now)
    return _with(room, change.device, position)


def _with(room: Room, device: Device, position: Position) -> Room:
    others = [d for d in room.devices if d.device_id != device.device_id]
    departed = {key: revision for key, revision in room.departed.items() if key != str(device.device_id)}
    room = replace(room, devices=tuple(sorted([*others, device], key=lambda d: d.device_id)), departed=departed)
    kind = ACTUATES.get(device.role)
    if any(a.device_id == device.device_id and a.kind is kind for a in room.actuators):
        return room
    actuators = [a for a in room.actuators if a.device_id != device.device_id]
    if kind is not None:
        actuators.append(Actuator(device.device_id, kind))
    return replace(room, actuators=tuple(sorted(actuators, key=lambda a: a.device_id)), actuation_position=position)


def _without(room: Room, change: DeviceChanged, position: Position, now: datetime) -> Room:
    """Everything the device said leaves with it; what only it knew becomes unknown."""
    gone = change.device_id
    sensed = tuple(s for s in room.sensed if s.device_id != gone)
    kinds = {s.kind for s in sensed}
    moved = any(s.device_id == gone and s.kind is Kind.motion for s in room.sensed)
    return replace(
        room,
        devices=tuple(d for d in room.devices if d.device_id != gone),
        departed=dict(sorted({**room.departed, str(gone): change.revision}.items())),
        sensed=sensed,
        humid=room.humid if Kind.humidity_pct in kinds else None,
        dark=room.dark if Kind.illuminance_lx in kinds else None,
        bright=room.bright if Kind.illuminance_lx in kinds else None,
        frost=room.frost if Kind.temperature_c in kinds else None,
        hot=room.hot if Kind.temperature_c in kinds else None,
        window=None if room.window is not None and room.window.contact and Kind.window_open not in kinds else room.window,
        warmth=tuple(w for w in room.warmth if w.device_id != gone),
        occupancy=occupancy.on_motion(room.occupancy, sensed, room.policy, position, now) if moved else room.occupancy,
        actuators=tuple(a for a in room.actuators if a.device_id != gone),
        actuation_position=position,
    )
