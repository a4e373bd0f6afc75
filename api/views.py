"""What /v1 and the page show of a room: the shapes, and the pure functions that make them from the replica's rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from api.replica import Replica
from schemas.averages import AVERAGED, SPAN, mean
from schemas.codecs import DEFAULT_POLICY
from schemas.commands import Proposal
from schemas.records import Clock, DeviceRole, Kind, LeaseEnd, Policy, Position, ResultStatus
from schemas.rows import Actuator, Bucket, Lease, Lock, Occupancy, OccupancyState, Plausibility, Room, Sensed, Sent
from schemas.why import sentence

UNITS = {
    Kind.temperature_c: "°C", Kind.humidity_pct: "%", Kind.illuminance_lx: "lx", Kind.co2_ppm: "ppm", Kind.motion: "",
    Kind.battery_pct: "%", Kind.closed_pct: "% closed", Kind.valve_pct: "%", Kind.level_pct: "%",
    Kind.slat_pct: "%", Kind.setpoint_c: "°C", Kind.hvac_mode: "", Kind.wind_m_s: "m/s", Kind.rain: "", Kind.alarm: "",
    Kind.window_open: "", Kind.illuminance_pct: "%",
}  # fmt: skip
SHOWN = (Kind.temperature_c, Kind.humidity_pct, Kind.illuminance_lx, Kind.motion)
"""Kinds every room view names, null where nothing is known; other kinds appear once they are sensed."""
_ROLE_OF = {Kind.closed_pct: DeviceRole.blind, Kind.valve_pct: DeviceRole.radiator_valve, Kind.level_pct: DeviceRole.dimmer}


class SensorView(Struct, frozen=True):
    """The last plausible value of one sensor: `age_s` by the device's clock, `stale` by the broker's, as the rules see it.

    `flag` says what was not plausible since (`flagged_at`); a `stuck` sensor's value counts no more.
    """

    device_id: int
    name: str
    value: float
    at: datetime
    age_s: float
    stale: bool
    flag: Plausibility
    flagged_at: datetime | None


class ReadingView(Struct, frozen=True):
    """A room's value of one kind: the mean of its fresh and plausible sensors (motion: any), or of all when none is (`stale`)."""

    value: float
    unit: str
    at: datetime
    age_s: float
    stale: bool
    sensors: tuple[SensorView, ...]


class AverageView(Struct, frozen=True):
    """Mean of the readings of the last 3 h."""

    value: float
    unit: str
    readings: int


class OccupancyView(Struct, frozen=True):
    """Whether people are in the room; light and heating have vacancy timeouts of their own."""

    state: OccupancyState
    since_at: datetime
    heating: OccupancyState
    heating_since_at: datetime
    motion: bool
    motion_at: datetime | None


class PendingView(Struct, frozen=True):
    """A command sent and not yet answered."""

    command_id: str
    until_at: datetime | None


class ManualView(Struct, frozen=True):
    """A person's hold on an actuator; without `until_at` only its release ends it."""

    value_pct: float
    source: str
    reason: str
    since_at: datetime
    until_at: datetime | None
    ends: LeaseEnd


class ActuatorView(Struct, frozen=True):
    """One actuator: what the room wants of it, what it reported, who won, who lost. In percent (`closed_pct`: 100 = closed).

    `slots` is the priority array, `recent` the last commands and what became of them, `why` the sentence for people.
    """

    device_id: int
    name: str
    role: DeviceRole
    kind: Kind
    unit: str
    desired_pct: float | None
    desired_at: datetime | None
    reported_pct: float | None
    reported_at: datetime | None
    pending: PendingView | None
    last_status: ResultStatus
    last_reason: str
    winner: Proposal | None
    losers: tuple[Proposal, ...]
    manual: ManualView | None
    slots: tuple[Proposal, ...]
    lock: Lock | None
    fault: str
    fault_since_at: datetime | None
    attempts: int
    retry_at: datetime | None
    recent: tuple[Sent, ...]
    why: str


class RoomView(Struct, frozen=True):
    """A room as of `now_at`; `position` is the last event of its log it contains, null before the first.

    A room whose `clock` is `recorded` lives in the time of the file it is fed from: ages and averages count from its last event.
    `time_zone` is its policy's: what `why` tells the time by.
    """

    room_id: str
    number: int
    floor: int
    name: str
    now_at: datetime
    clock: Clock
    time_zone: str
    position: Position | None
    occupancy: OccupancyView | None
    readings: dict[str, ReadingView | None]
    averages: dict[str, AverageView | None]
    actuators: tuple[ActuatorView, ...]


class StatusView(Struct, frozen=True):
    """How current the answers are. `lag` counts events in the rooms' log not folded yet, measured against its end."""

    caught_up: bool
    lag: int | None
    stalled_s: float
    reasons: list[str]
    now_at: datetime


class BuildingView(Struct, frozen=True):
    """Every room, and how current that is."""

    status: StatusView
    rooms: tuple[RoomView, ...]


def building_view(replica: Replica, now: datetime) -> BuildingView:
    """Every room by floor and number."""
    infos = sorted(replica.infos.values(), key=lambda info: (info.floor, info.number, info.room_id))
    views = (room_view(replica, info.room_id, now) for info in infos)
    return BuildingView(status_view(replica, now), tuple(view for view in views if view is not None))


def status_view(replica: Replica, now: datetime) -> StatusView:
    """How current the replica is."""
    stalled_s = round(replica.stalled.total_seconds(), 1)
    return StatusView(replica.caught_up, replica.lag, stalled_s, replica.reasons(), now)


def room_view(replica: Replica, room_id: str, now: datetime) -> RoomView | None:
    """One room, or None where the building has no such room."""
    info = replica.infos.get(room_id)
    if info is None:
        return None
    row = replica.rooms.get(room_id)
    sensed = {
        kind: reading for kind in Kind if kind not in _ROLE_OF and (reading := reading_view(replica, row, kind, now)) is not None
    }
    return RoomView(
        room_id=room_id,
        number=info.number,
        floor=info.floor,
        name=info.name,
        now_at=now,
        clock=_policy_in(row).clock,
        time_zone=_policy_in(row).time_zone,
        position=row.position if row else None,
        occupancy=_occupancy_view(newest_occupancy(replica, room_id)),
        readings={kind.value: None for kind in SHOWN} | {kind.value: reading for kind, reading in sensed.items()},
        averages={kind.value: average(replica, room_id, kind, now) for kind in Kind if kind in AVERAGED},
        actuators=tuple(_actuator_view(replica, actuator, row, now) for actuator in newest_actuators(replica, room_id)),
    )


def is_recorded(row: Room | None) -> bool:
    """Whether a room lives in the time of its recording, which no person of today can act in."""
    return row is not None and row.policy.clock is Clock.recorded


def _now_in(row: Room | None, now: datetime) -> datetime:
    return row.now_at if row is not None and is_recorded(row) else now


def newest_occupancy(replica: Replica, room_id: str) -> Occupancy | None:
    """From the room's row or, when it is ahead of it, from the table `occupancy`, which the fold writes first."""
    row, projection = replica.rooms.get(room_id), replica.occupancy.get(room_id)
    if row is None or (projection is not None and _ahead(projection.occupancy.position, row.position)):
        return projection.occupancy if projection else None
    return row.occupancy


def newest_actuators(replica: Replica, room_id: str) -> tuple[Actuator, ...]:
    """From the room's row or, when it is ahead of it, from the table `actuation`; by role as in `_ROLE_OF`, then device."""
    row, projection = replica.rooms.get(room_id), replica.actuation.get(room_id)
    if row is None or (projection is not None and _ahead(projection.position, row.position)):
        actuators = projection.actuators if projection else ()
    else:
        actuators = row.actuators
    order = list(_ROLE_OF)
    return tuple(sorted((a for a in actuators if a.kind in _ROLE_OF), key=lambda a: (order.index(a.kind), a.device_id)))


def _ahead(one: Position, other: Position) -> bool:
    return one.log_id == other.log_id and one.offset > other.offset


def reading_view(replica: Replica, row: Room | None, kind: Kind, now: datetime) -> ReadingView | None:
    """The room's present value of a kind, or None before the first reading."""
    last = [one for one in row.sensed if one.kind is kind] if row else []
    if row is None or not last:
        return None
    now = _now_in(row, now)
    sensors = tuple(_sensor_view(replica, one, row.policy.reading_stale_s, now) for one in last)
    fresh = [sensor for sensor in sensors if not sensor.stale and sensor.flag is not Plausibility.stuck] or list(sensors)
    values = [sensor.value for sensor in fresh]
    newest = max(fresh, key=lambda sensor: sensor.at)
    return ReadingView(
        value=max(values) if kind is Kind.motion else sum(values) / len(values),
        unit=UNITS.get(kind, ""),
        at=newest.at,
        age_s=newest.age_s,
        stale=newest.stale,
        sensors=sensors,
    )


def _sensor_view(replica: Replica, one: Sensed, stale_s: int, now: datetime) -> SensorView:
    age_s = max(0.0, (now - one.at).total_seconds())
    stale = now - one.logged_at >= timedelta(seconds=stale_s)
    name = device_name(replica, one.device_id)
    return SensorView(one.device_id, name, one.value, one.at, round(age_s, 3), stale, one.flag, one.flagged_at)


def average(replica: Replica, room_id: str, kind: Kind, now: datetime) -> AverageView | None:
    """Mean of the readings of the last 3 h: the closed 5-minute buckets and the room's open ones; None without any."""
    buckets: dict[datetime, Bucket] = {}
    room, closed = replica.rooms.get(room_id), replica.averages.get(room_id)
    now = _now_in(room, now)
    for bucket in (*(room.buckets if room else ()), *(closed.buckets if closed else ())):  # a closed bucket is the whole one
        if bucket.kind is kind and bucket.start_at > now - SPAN:
            buckets[bucket.start_at] = bucket
    value = mean(buckets.values(), kind, now)
    return None if value is None else AverageView(value, UNITS[kind], sum(bucket.count for bucket in buckets.values()))


def _occupancy_view(occupancy: Occupancy | None) -> OccupancyView | None:
    if occupancy is None:
        return None
    return OccupancyView(
        state=occupancy.light,
        since_at=occupancy.light_since_at,
        heating=occupancy.heating,
        heating_since_at=occupancy.heating_since_at,
        motion=occupancy.motion,
        motion_at=occupancy.motion_at,
    )


def why_of(replica: Replica, actuator: Actuator, row: Room | None, now: datetime) -> str:
    """Why an actuator is as it is, in a sentence."""
    return sentence(device_name(replica, actuator.device_id), actuator, _policy_in(row), _now_in(row, now))


def _policy_in(row: Room | None) -> Policy:
    return row.policy if row else DEFAULT_POLICY


def _actuator_view(replica: Replica, actuator: Actuator, row: Room | None, now: datetime) -> ActuatorView:
    lease = actuator.lease
    return ActuatorView(
        device_id=actuator.device_id,
        name=device_name(replica, actuator.device_id),
        role=_ROLE_OF[actuator.kind],
        kind=actuator.kind,
        unit=UNITS[actuator.kind],
        desired_pct=actuator.desired_pct,
        desired_at=actuator.desired_at,
        reported_pct=actuator.reported_pct,
        reported_at=actuator.reported_at,
        pending=PendingView(actuator.pending_command_id, actuator.pending_until_at) if actuator.pending_command_id else None,
        last_status=actuator.last_status,
        last_reason=actuator.last_reason,
        winner=actuator.winner,
        losers=actuator.losers,
        manual=_manual_view(lease) if lease else None,
        slots=actuator.slots,
        lock=actuator.lock,
        fault=actuator.fault,
        fault_since_at=actuator.fault_since_at,
        attempts=actuator.attempts,
        retry_at=actuator.retry_at,
        recent=actuator.recent,
        why=why_of(replica, actuator, row, now),
    )


def _manual_view(lease: Lease) -> ManualView:
    until = None if lease.ends is LeaseEnd.relinquished else lease.until_at
    return ManualView(lease.value_pct, lease.source, lease.reason, lease.since_at, until, lease.ends)


def device_name(replica: Replica, device_id: int) -> str:
    """What people call a device."""
    device = replica.devices.get(device_id)
    return device.name if device else f"device {device_id}"
