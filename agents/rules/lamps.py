"""The lamps' share in what the light sensor sees, and when its word counts."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from agents.rules import following
from agents.rules.lighting import daylight_lx
from schemas.records import Kind, Position
from schemas.rows import Room, Sensed


def daylight_flags(room: Room, illuminance_lx: float | None, now: datetime) -> Room:
    """Dark and bright after a light reading; while a lamp is settling the reading decides nothing. None: unknown."""
    if illuminance_lx is None:
        return replace(room, dark=None, bright=None)
    if room.lamp_settling_until_at is not None and now < room.lamp_settling_until_at:
        return room
    daylight = daylight_lx(illuminance_lx, room.actuators, room.policy)
    policy = room.policy
    dark = daylight <= policy.dark_at_most_lx + (policy.dark_hysteresis_lx if room.dark else 0.0)
    bright = daylight > policy.bright_above_lx
    return room if (dark, bright) == (room.dark, room.bright) else replace(room, dark=dark, bright=bright)


def after_report(room: Room, entry: Sensed, position: Position, now: datetime) -> Room:
    """An actuator said where it stands. A lamp that changed lets the light settle first."""
    actuators = tuple(
        following.reported(a, entry.value, now) if a.device_id == entry.device_id and a.kind is entry.kind else a
        for a in room.actuators
    )
    moved = any(was.reported_pct != a.reported_pct for was, a in zip(room.actuators, actuators, strict=True))
    settling = room.lamp_settling_until_at
    if entry.kind is Kind.level_pct and moved:
        settling = now + timedelta(seconds=room.policy.lamp_settle_s)
    wake_at = room.wake_at
    for was, actuator in zip(room.actuators, actuators, strict=True):
        if actuator.astray_since_at is not None and was.astray_since_at is None:
            due = actuator.astray_since_at + timedelta(seconds=room.policy.astray_after_s)
            wake_at = due if wake_at is None else min(wake_at, due)
    return replace(room, actuators=actuators, lamp_settling_until_at=settling, actuation_position=position, wake_at=wake_at)
