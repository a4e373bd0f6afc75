"""What goes into a room's log and what the directory publishes: one frozen class per `.avsc` record, same names, same fields.

Values stand in the unit their field or `Kind` names; instants are aware UTC datetimes with whole milliseconds. `gc=False` keeps
what exists by the hundred thousand out of the cycle collector's rounds: none of these can be part of a cycle.
"""

from __future__ import annotations

from datetime import datetime, time
from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """A quantity and its unit.

    0 or 1 are motion, rain, alarm, window_open and occupancy_reference: a recording's own truth, which no rule reads. hvac_mode is
    KNX's number (DPT 20.102: 1 comfort, 2 standby, 3 economy, 4 building protection, 0 automatic). illuminance_pct is a share of a
    scale that only the sensor knows: no rule reads it, and it is never one with illuminance_lx.
    """

    unknown = "unknown"
    temperature_c = "temperature_c"
    humidity_pct = "humidity_pct"
    illuminance_lx = "illuminance_lx"
    co2_ppm = "co2_ppm"
    motion = "motion"
    battery_pct = "battery_pct"
    closed_pct = "closed_pct"
    valve_pct = "valve_pct"
    level_pct = "level_pct"
    occupancy_reference = "occupancy_reference"
    slat_pct = "slat_pct"
    setpoint_c = "setpoint_c"
    hvac_mode = "hvac_mode"
    wind_m_s = "wind_m_s"
    rain = "rain"
    alarm = "alarm"
    window_open = "window_open"
    illuminance_pct = "illuminance_pct"

    __hash__ = str.__hash__  # Enum's own is a Python call, paid several times a reading


class DeviceRole(StrEnum):
    """What a device is for."""

    unknown = "unknown"
    multisensor = "multisensor"
    radiator_valve = "radiator_valve"
    blind = "blind"
    dimmer = "dimmer"


class Bus(StrEnum):
    """The network a device hangs on; `recorded` devices stand in a file that is fed."""

    unknown = "unknown"
    knx = "knx"
    zwave = "zwave"
    recorded = "recorded"


class Slot(StrEnum):
    """Priority slots, highest first (after BACnet's priority array, ANSI/ASHRAE 135 clause 19)."""

    unknown = "unknown"
    safety = "safety"
    protection = "protection"
    manual = "manual"
    schedule = "schedule"
    comfort = "comfort"
    default = "default"


class ResultStatus(StrEnum):
    """How a command ended."""

    unknown = "unknown"
    done = "done"
    failed = "failed"
    expired = "expired"
    superseded = "superseded"
    refused = "refused"
    unverified = "unverified"


class IntentAction(StrEnum):
    """`set` takes the manual slot, `extend` moves its end, `release` gives it back; `lock` and `unlock` a maintenance lock."""

    unknown = "unknown"
    set = "set"
    release = "release"
    extend = "extend"
    lock = "lock"
    unlock = "unlock"


class LeaseEnd(StrEnum):
    """What ends a hold: an instant, the room's becoming vacant (the instant only caps it), or only its release."""

    unknown = "unknown"
    at = "at"
    vacant = "vacant"
    relinquished = "relinquished"


class Unasked(StrEnum):
    """What a value is that nobody asked for: nothing, a hand (a lease), or drift (corrected)."""

    unknown = "unknown"
    nothing = "nothing"
    hand = "hand"
    drift = "drift"


class Weekday(StrEnum):
    """A day of the week; `holiday` stands for the days named as such, `none` for no period at all."""

    unknown = "unknown"
    monday = "monday"
    tuesday = "tuesday"
    wednesday = "wednesday"
    thursday = "thursday"
    friday = "friday"
    saturday = "saturday"
    sunday = "sunday"
    holiday = "holiday"
    none = "none"


class EffectState(StrEnum):
    """How far a gateway got with a command."""

    unknown = "unknown"
    started = "started"
    done = "done"


class Clock(StrEnum):
    """Which clock is a room's `now`: the broker's stamp, or the events' own time of a room fed from a file."""

    unknown = "unknown"
    live = "live"
    recorded = "recorded"


class Position(Struct, frozen=True, gc=False):
    """Where in which log; `log_id` is Kafka's topic id, so a recreated topic is a new log."""

    log_id: str
    partition: int
    offset: int


class Reading(Struct, frozen=True, gc=False):
    """One value of one device; `at` is the device's own claim of when."""

    device_id: int
    kind: Kind
    value: float
    at: datetime


class Tick(Struct, frozen=True, gc=False):
    """A room's own wake-up."""

    wake_at: datetime


class Intent(Struct, frozen=True, gc=False):
    """What a person wants of one actuator, or of all of a kind in the room."""

    action: IntentAction
    kind: Kind
    at: datetime
    value_pct: float | None = None
    device_id: int | None = None
    until_at: datetime | None = None
    source: str = ""
    reason: str = ""
    ends: LeaseEnd = LeaseEnd.at


class CommandResult(Struct, frozen=True, gc=False):
    """How a command to an actuator ended."""

    command_id: str
    device_id: int
    status: ResultStatus
    at: datetime
    reported_pct: float | None = None
    reason: str = ""


class Device(Struct, frozen=True):
    """A device and where it hangs."""

    device_id: int
    revision: int
    name: str
    room_id: str
    role: DeviceRole
    bus: Bus
    line_id: str
    knx_floor: int | None = None
    knx_bloc: int | None = None
    knx_objects: str | None = None
    zwave_node: int | None = None
    zwave_endpoint: int | None = None
    simulated: bool = False


class DeviceChanged(Struct, frozen=True):
    """A device enters or changes in a room, or leaves it (`device` is None)."""

    device_id: int
    revision: int
    device: Device | None = None


class SchedulePeriod(Struct, frozen=True, forbid_unknown_fields=True):
    """A span of the week in which the schedule slot holds a value for one kind of actuator; None: its setback."""

    name: str
    kind: Kind
    days: tuple[Weekday, ...]
    starts: time
    ends: time
    value_pct: float | None = None


class ScheduleException(Struct, frozen=True, forbid_unknown_fields=True):
    """Days, both named as 2026-12-24, that follow another day's periods."""

    first: str
    last: str
    follow: Weekday


class Policy(Struct, frozen=True):
    """Every number of every rule; `schemas.codecs.DEFAULT_POLICY` has the defaults of the `.avsc`, which says what each means."""

    revision: int
    clock: Clock
    time_zone: str
    day_starts: time
    day_ends: time
    valve_occupied_pct: float
    valve_vacant_pct: float
    valve_dwell_s: int
    humid_above_pct: float
    humid_clear_below_pct: float
    blind_humid_closed_pct: float
    blind_dark_closed_pct: float
    blind_default_closed_pct: float
    blind_dwell_s: int
    dark_at_most_lx: float
    bright_above_lx: float
    light_on_pct: float
    light_off_pct: float
    light_dwell_s: int
    lamp_full_lx: float
    lamp_settle_s: int
    dark_needs_occupancy: bool
    vacancy_timeout_light_s: int
    vacancy_timeout_heating_s: int
    motion_stale_s: int
    reading_stale_s: int
    manual_lease_s: int
    command_ttl_s: int
    dark_hysteresis_lx: float
    valve_min_on_s: int
    valve_min_off_s: int
    light_min_on_s: int
    light_min_off_s: int
    frost_below_c: float
    frost_hysteresis_k: float
    valve_frost_pct: float
    overheat_above_c: float
    overheat_hysteresis_k: float
    valve_overheat_pct: float
    window_fall_k: float
    window_fall_s: int
    window_hold_s: int
    valve_window_pct: float
    spike_temperature_k: float
    spike_humidity_pct: float
    spike_co2_ppm: float
    stuck_after_s: int
    lease_longest_s: int
    retry_attempts: int
    retry_first_s: int
    retry_longest_s: int
    retry_expiry_s: int
    astray_after_s: int
    valve_unasked: Unasked
    blind_unasked: Unasked
    light_unasked: Unasked
    schedule: tuple[SchedulePeriod, ...]
    schedule_exceptions: tuple[ScheduleException, ...]
    holidays: tuple[str, ...]


class PolicyChanged(Struct, frozen=True):
    """The whole policy now in force in the room."""

    policy: Policy


RoomEvent = Reading | Tick | Intent | CommandResult | DeviceChanged | PolicyChanged


class RoomInfo(Struct, frozen=True):
    """A room of the building."""

    room_id: str
    revision: int
    number: int
    floor: int
    name: str


class Beacon(Struct, frozen=True):
    """A Bluetooth beacon and the room it stands for."""

    uuid: str
    major: int
    minor: int
    room_id: str
    revision: int


class DeadLetter(Struct, frozen=True):
    """A record that could not be used, why, and its bytes."""

    reason: str
    detail: str
    topic: str
    position: Position
    at: datetime
    key: bytes | None = None
    value: bytes | None = None
