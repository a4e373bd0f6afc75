"""The seeded building in memory: its log folded by the real rules as it is told, its replica fed by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from agents.rules.fold import Addressed, FoldOutcome, LoggedEvent, fold_batch
from api.intents import NotAcknowledged
from api.replica import Change, LogState, Replica
from infra.building_plan import BEACONS, DEVICES, ROOMS
from schemas.records import CommandResult, DeviceChanged, Intent, Kind, Position, Reading, ResultStatus, RoomEvent, Tick
from schemas.rows import AveragesRow, Room
from streams import topics
from streams.keys import partition_of

NOON = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
LOG = "log-1"
UUID = "b9407f30-f5f8-466e-aff9-25556b57fe6d"
ROOM_2 = {"uuid": UUID, "major": "17644", "minor": "31456"}
BLIND_2, VALVE_2, LAMP_2, SENSOR_2 = 6, 2, 11, 12


class Building:
    """Rooms, log, replica and clock in one hand. Also the intent sink: what is appended is folded unless `hold` is set."""

    def __init__(self) -> None:
        self.now = NOON
        self.replica = Replica()
        self.rooms: dict[str, Room] = {}
        self.averages: dict[str, AveragesRow] = {}
        self.sent: list[Addressed] = []
        self.intents: list[tuple[str, Intent]] = []
        self.kafka_answers = True
        self.hold = False
        self._ends: dict[int, int] = {}

    def clock(self) -> datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def introduce(self) -> None:
        """Fill the directory and the rooms' logs, and be caught up."""
        known: list[tuple[topics.Topic, str, msgspec.Struct]] = [(topics.ROOMS, room.room_id, room) for room in ROOMS]
        known += [(topics.DEVICES, str(device.device_id), device) for device in DEVICES]
        known += [(topics.BEACONS, f"{one.uuid}/{one.major}/{one.minor}", one) for one in BEACONS]
        self.replica.apply(Change(topic.name, key, record) for topic, key, record in known)
        for device in DEVICES:
            self.tell(device.room_id, DeviceChanged(device.device_id, device.revision, device))
        self.replica.partitions_left = 0

    def tell(self, room_id: str, event: RoomEvent) -> Position:
        """Append an event to a room's log, fold it, show it to the replica."""
        position, outcome = self.fold(room_id, event)
        self.show(outcome)
        return position

    def fold(self, room_id: str, event: RoomEvent) -> tuple[Position, FoldOutcome]:
        partition = partition_of(room_id, topics.ROOM_PARTITIONS)
        position = Position(LOG, partition, self._ends.get(partition, 0))
        self._ends[partition] = position.offset + 1
        logged = LoggedEvent(room_id, position.offset, self.now, event)
        outcome = fold_batch(self.rooms, self.averages, LOG, partition, [logged])
        self.rooms |= outcome.rooms
        self.averages |= outcome.averages
        self.sent += outcome.commands
        return position, outcome

    def show(self, outcome: FoldOutcome) -> None:
        tables = ((topics.TABLE_OCCUPANCY, outcome.occupancy), (topics.TABLE_ACTUATION, outcome.actuation),
                  (topics.TABLE_AVERAGES, outcome.averages), (topics.TABLE_ROOMS, outcome.rooms))  # fmt: skip
        self.replica.apply(Change(table.name, key, row) for table, rows in tables for key, row in rows.items())

    def wake(self, room_id: str) -> None:
        """The room's own tick, if it is due."""
        wake_at = self.rooms[room_id].wake_at
        while wake_at is not None and wake_at <= self.now:
            self.tell(room_id, Tick(wake_at))
            wake_at = self.rooms[room_id].wake_at

    def sense(self, kind: Kind, value: float, device_id: int = SENSOR_2, room_id: str = "2") -> Position:
        return self.tell(room_id, Reading(device_id, kind, value, self.now))

    def warm(self, readings: int, room_id: str = "2") -> list[Room]:
        """So many readings of temperature, and the room's row after each."""
        rows = []
        for value in range(readings):
            self.sense(Kind.temperature_c, float(value), room_id=room_id)
            rows.append(self.rooms[room_id])
        return rows

    def answer(self, device_id: int, reported_pct: float | None = None, room_id: str = "2") -> None:
        """The gateway's answer to the newest command of a device: done, and there, unless told otherwise."""
        command = [one.command for one in self.sent if one.command.device_id == device_id][-1]
        reported = command.target_pct if reported_pct is None else reported_pct
        status = ResultStatus.done if reported == command.target_pct else ResultStatus.failed
        self.tell(
            room_id,
            CommandResult(command.command_id, device_id, status, self.now, reported, "" if reported_pct is None else "stuck"),
        )

    def log_state(self) -> LogState:
        return LogState(begins={}, ends=dict(self._ends), committed={}, log_id=LOG)

    async def append(self, room_id: str, intent: Intent) -> Position:
        if not self.kafka_answers:
            raise NotAcknowledged("no broker")
        self.intents.append((room_id, intent))
        if self.hold:
            partition = partition_of(room_id, topics.ROOM_PARTITIONS)
            return Position(LOG, partition, self._ends[partition])
        return self.tell(room_id, intent)
