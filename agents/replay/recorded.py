"""A recording as the log of one recorded room with a radiator valve, a blind and a dimmer that exist only here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from agents.recordings.mapping import BUILT_IN, read_mapping
from agents.recordings.recording import Recording, read_recording
from agents.rules.fold import LoggedEvent
from schemas.codecs import DEFAULT_POLICY
from schemas.errors import BuildingError
from schemas.records import Bus, Clock, Device, DeviceChanged, DeviceRole, PolicyChanged, RoomEvent

SENSOR = 1
ROLES = {SENSOR: DeviceRole.multisensor, 2: DeviceRole.radiator_valve, 3: DeviceRole.blind, 4: DeviceRole.dimmer}
"""Devices of the room by id."""


class Overlapping(BuildingError):
    """Files of one room whose times overlap."""

    reason = "overlapping"


class NoMapping(BuildingError):
    """A mapping that cannot be read."""

    reason = "no_mapping"


def log_of(room_id: str, recordings: Iterable[Recording]) -> Iterator[LoggedEvent]:
    """The room introduced, then every reading at its own time. Raises `Overlapping`."""
    ordered = sorted(recordings, key=lambda recording: recording.rows[0].at)
    begins_at = ordered[0].rows[0].at
    zone = ordered[0].zone or DEFAULT_POLICY.time_zone
    offset = 0
    for event in _introduction(room_id, zone):
        yield LoggedEvent(room_id, offset, begins_at, event)
        offset += 1
    last_at: datetime | None = None
    for recording in ordered:
        if last_at is not None and recording.rows[0].at <= last_at:
            raise Overlapping(f"{recording.name} begins at {recording.rows[0].at}, before the file before it ends ({last_at})")
        for row in recording.rows:
            for reading in row.readings(recording.kinds, SENSOR):
                yield LoggedEvent(room_id, offset, row.at, reading)
                offset += 1
        last_at = recording.rows[-1].at


def _introduction(room_id: str, zone: str) -> Iterator[RoomEvent]:
    yield PolicyChanged(replace(DEFAULT_POLICY, revision=1, clock=Clock.recorded, time_zone=zone))
    for device_id, role in ROLES.items():
        name = role.value.replace("_", " ")
        yield DeviceChanged(device_id, 1, Device(device_id, 1, name, room_id, role, Bus.recorded, "recorded"))


def read_files(files: Iterable[Path], mapping_name: str, now: datetime) -> list[LoggedEvent]:
    """The log of recordings of one room, named `recorded`. Raises `BadRecording`, `Overlapping`."""
    mapping = BUILT_IN.get(mapping_name)
    if mapping is None:
        try:
            mapping = read_mapping(Path(mapping_name).read_text(encoding="utf-8"), mapping_name)
        except (OSError, UnicodeDecodeError) as error:
            raise NoMapping(f"mapping {mapping_name}: {error}; known data sets are {', '.join(BUILT_IN)}") from error
    return list(log_of("recorded", [read_recording(file.name, file.read_bytes(), mapping, now) for file in files]))
