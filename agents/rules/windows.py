"""An open window: told by its contact, or by a fall of temperature that no building cools down by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from schemas.records import Kind
from schemas.rows import Room, Sensed, Warmth, Window

_MOST = 32
"""Temperatures kept to measure a fall from; with more the oldest, highest ones tell enough."""
_OPEN = 0.5
"""A contact's reading at or above this is open."""


def is_open(window: Window, now: datetime) -> bool:
    """Whether heating gives way to it: for `window_hold_s` at most, whatever a contact says after that."""
    return now < window.until_at


def after_temperature(room: Room, entry: Sensed, now: datetime) -> Room:
    """The room after a temperature: how far it fell within the span, and whether that is a window."""
    policy = room.policy
    if policy.window_fall_k <= 0:
        return room
    device_id, at, value = entry.device_id, entry.at, entry.value
    warmth = room.warmth
    if len(warmth) == 1 and warmth[0].device_id == device_id and value >= warmth[0].value_c:  # by far the most frequent
        return replace(room, warmth=(Warmth(device_id, at, value),))
    span = timedelta(seconds=policy.window_fall_s)
    kept = [w for w in warmth if w.device_id != device_id or (w.value_c > value and at - w.at <= span)]
    fall = max((w.value_c - value for w in kept if w.device_id == device_id), default=0.0)
    if fall > policy.window_fall_k and room.window is None:
        window = Window(False, now, now + timedelta(seconds=policy.window_hold_s), round(fall, 2))
        return replace(room, window=window, warmth=(Warmth(device_id, at, value),))  # the same fall tells of one window
    return replace(room, warmth=(*kept[: _MOST - 1], Warmth(device_id, at, value)))


def after_contact(room: Room, now: datetime) -> Room:
    """The room after a contact's reading: open from its first word of it until the last open contact closes."""
    contact_open = any(s.kind is Kind.window_open and s.value >= _OPEN for s in room.sensed)
    if not contact_open:
        return room if room.window is None else replace(room, window=None)
    if room.window is not None and room.window.contact:
        return room
    return replace(room, window=Window(True, now, now + timedelta(seconds=room.policy.window_hold_s)))


def on_time(window: Window | None, now: datetime) -> Window | None:
    """What time leaves of it: a fall is over with its span, a contact goes on saying open until it closes."""
    return None if window is not None and not window.contact and not is_open(window, now) else window
