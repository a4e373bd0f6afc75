"""The rows of the tables. `Room` is the only state the fold reads; the others are projections of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from schemas.commands import Proposal
from schemas.records import Device, Kind, LeaseEnd, Policy, Position, Reading, ResultStatus


class OccupancyState(StrEnum):
    """Whether people are in a room; unknown is never treated as vacant."""

    unknown = "unknown"
    vacant = "vacant"
    occupied = "occupied"


class Plausibility(StrEnum):
    """Whether a sensor's word counts."""

    unknown = "unknown"
    plausible = "plausible"
    out_of_range = "out_of_range"
    spike = "spike"
    stuck = "stuck"


class CommandState(StrEnum):
    """A command's life: `sent`, then how it ended; `unanswered`: the gateway has not said yet."""

    unknown = "unknown"
    sent = "sent"
    done = "done"
    failed = "failed"
    expired = "expired"
    superseded = "superseded"
    refused = "refused"
    unverified = "unverified"
    unanswered = "unanswered"


class Sensed(Struct, frozen=True, gc=False):
    """The last plausible value of one kind from one device, and what was not since; flagged `stuck` it does not count itself."""

    device_id: int
    kind: Kind
    value: float
    at: datetime
    logged_at: datetime
    flag: Plausibility = Plausibility.plausible
    flagged_at: datetime | None = None
    suspect: float | None = None
    changed_at: datetime | None = None


class Parked(Struct, frozen=True):
    """A reading of a device the room does not know yet."""

    position: Position
    logged_at: datetime
    reading: Reading


class Bucket(Struct, frozen=True, gc=False):
    """Sum and count of one kind's readings in one 5-minute span of event time."""

    kind: Kind
    start_at: datetime
    total: float
    count: int


class Lease(Struct, frozen=True):
    """A person's hold on an actuator."""

    value_pct: float
    source: str
    reason: str
    since_at: datetime
    until_at: datetime
    ends: LeaseEnd = LeaseEnd.at


class Lock(Struct, frozen=True):
    """A maintenance lock: nothing but safety moves the actuator. Without a value it stays where it stands."""

    value_pct: float | None
    source: str
    reason: str
    since_at: datetime


class Sent(Struct, frozen=True):
    """One command of an actuator and what became of it."""

    command_id: str
    target_pct: float
    sent_at: datetime
    cause: Position
    event: str = ""
    policy_revision: int = 0
    attempt: int = 1
    state: CommandState = CommandState.unknown
    reason: str = ""
    ended_at: datetime | None = None


class Warmth(Struct, frozen=True, gc=False):
    """A temperature higher than all later ones of its sensor within the span in which a fall is an open window."""

    device_id: int
    at: datetime
    value_c: float


class Window(Struct, frozen=True):
    """A window taken to be open: by its contact, or by a fall of temperature."""

    contact: bool
    since_at: datetime
    until_at: datetime
    fall_k: float | None = None


class Actuator(Struct, frozen=True, gc=False):
    """One actuator as the room knows it: what it wants, what was reported, who won.

    `slots` is the priority array. `comfort` is written no more: releases up to 0.2 kept the automatic proposal there.
    """

    device_id: int
    kind: Kind
    desired_pct: float | None = None
    desired_at: datetime | None = None
    winner: Proposal | None = None
    losers: tuple[Proposal, ...] = ()
    comfort: Proposal | None = None
    lease: Lease | None = None
    auto_changed_at: datetime | None = None
    reported_pct: float | None = None
    reported_at: datetime | None = None
    pending_command_id: str | None = None
    pending_until_at: datetime | None = None
    last_status: ResultStatus = ResultStatus.unknown
    last_reason: str = ""
    slots: tuple[Proposal, ...] = ()
    lock: Lock | None = None
    attempts: int = 0
    trying_since_at: datetime | None = None
    retry_at: datetime | None = None
    astray_since_at: datetime | None = None
    fault: str = ""
    fault_since_at: datetime | None = None
    recent: tuple[Sent, ...] = ()


class Occupancy(Struct, frozen=True, gc=False):
    """People in the room, for light and for heating; `position` is the event that last changed it."""

    position: Position
    light: OccupancyState
    light_since_at: datetime
    heating: OccupancyState
    heating_since_at: datetime
    motion: bool
    motion_at: datetime | None = None
    still_since_at: datetime | None = None


class Room(Struct, frozen=True, gc=False):
    """Everything a room knows; table `rooms`. An event at or below `position` changes nothing."""

    position: Position
    now_at: datetime
    wake_at: datetime | None
    policy: Policy
    devices: tuple[Device, ...]
    departed: dict[str, int]
    sensed: tuple[Sensed, ...]
    parked: tuple[Parked, ...]
    buckets: tuple[Bucket, ...]
    occupancy: Occupancy
    day: bool | None
    humid: bool | None
    dark: bool | None
    bright: bool | None
    lamp_settling_until_at: datetime | None
    actuation_position: Position
    actuators: tuple[Actuator, ...]
    readings: int
    late: int
    rejected: int
    frost: bool | None = None
    hot: bool | None = None
    window: Window | None = None
    warmth: tuple[Warmth, ...] = ()
    suspect: int = 0


class OccupancyRow(Struct, frozen=True):
    """Table `occupancy`."""

    occupancy: Occupancy


class AveragesRow(Struct, frozen=True):
    """Table `averages`: closed buckets of the last 3 h, by start, then kind."""

    position: Position
    buckets: tuple[Bucket, ...]


class ActuationRow(Struct, frozen=True):
    """Table `actuation`: desired, reported, winner, losers and lease of each actuator."""

    position: Position
    actuators: tuple[Actuator, ...]
