"""The catalogue of topics: each with its key, records, retention and its one writer. docs/topics.md is generated from it."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from schemas import commands, records, rows


class Topic(Struct, frozen=True, kw_only=True):
    """One topic. `retention` None means compacted: the last value of each key is kept."""

    name: str
    key: str
    records: tuple[type[Struct], ...]
    writer: str
    partitions: int
    retention: timedelta | None
    stamp: str = "CreateTime"
    compaction_lag: timedelta | None = None

    @property
    def config(self) -> dict[str, str]:
        """Kafka's topic settings."""
        settings = {"message.timestamp.type": self.stamp, "max.message.bytes": "1048588"}
        if self.retention is None:
            settings["cleanup.policy"] = "compact"
        else:
            settings |= {"cleanup.policy": "delete", "retention.ms": _ms(self.retention)}
        if self.compaction_lag is not None:
            settings["min.compaction.lag.ms"] = _ms(self.compaction_lag)
        return settings


def _ms(span: timedelta) -> str:
    return str(int(span / timedelta(milliseconds=1)))


ROOM_PARTITIONS = 16
"""Partitions of the rooms' log and of its tables: the most workers that can share the fold. Growing it is a migration."""
LINE_PARTITIONS = 4

ROOM_EVENTS = Topic(
    name="building.room-events", key="room id", partitions=ROOM_PARTITIONS, retention=timedelta(days=7), stamp="LogAppendTime",
    records=(records.Reading, records.Tick, records.Intent, records.CommandResult, records.DeviceChanged, records.PolicyChanged),
    writer="gateways (readings, results), rooms (ticks), api (intents), directory (devices, policies), atrium feed (recordings)",
)  # fmt: skip
COMMANDS_KNX = Topic(
    name="building.commands.knx", key="line id", partitions=LINE_PARTITIONS, retention=timedelta(days=1),
    records=(commands.Command,), writer="rooms",
)  # fmt: skip
COMMANDS_ZWAVE = Topic(
    name="building.commands.zwave", key="line id", partitions=LINE_PARTITIONS, retention=timedelta(days=1),
    records=(commands.Command,), writer="rooms",
)  # fmt: skip
COMMANDS_RECORDED = Topic(
    name="building.commands.recorded", key="line id", partitions=LINE_PARTITIONS, retention=timedelta(days=1),
    records=(commands.Command,), writer="rooms",
)  # fmt: skip
DEVICES = Topic(
    name="building.devices", key="device id", partitions=1, retention=None, records=(records.Device,), writer="directory"
)
ROOMS = Topic(name="building.rooms", key="room id", partitions=1, retention=None, records=(records.RoomInfo,), writer="directory")
BEACONS = Topic(
    name="building.beacons", key="uuid/major/minor", partitions=1, retention=None, records=(records.Beacon,), writer="directory"
)
POLICIES = Topic(
    name="building.policies", key="room id", partitions=1, retention=None, records=(records.Policy,), writer="directory"
)
EFFECTS = Topic(
    name="building.effects",
    key="device id",
    partitions=LINE_PARTITIONS,
    retention=None,
    records=(commands.Effect,),
    writer="gateways",
)
DEAD_LETTERS = Topic(
    name="building.dead-letters", key="original key", partitions=1, retention=timedelta(days=30),
    records=(records.DeadLetter,), writer="every consumer",
)  # fmt: skip


def _table(name: str, record: type[Struct]) -> Topic:
    return Topic(
        name=f"building.tables.{name}", key="room id", records=(record,), writer="rooms",
        partitions=ROOM_PARTITIONS, retention=None, compaction_lag=timedelta(hours=1),
    )  # fmt: skip


TABLE_ROOMS = _table("rooms", rows.Room)
TABLE_OCCUPANCY = _table("occupancy", rows.OccupancyRow)
TABLE_AVERAGES = _table("averages", rows.AveragesRow)
TABLE_ACTUATION = _table("actuation", rows.ActuationRow)
TABLES = (TABLE_ROOMS, TABLE_OCCUPANCY, TABLE_AVERAGES, TABLE_ACTUATION)

CATALOGUE = (
    ROOM_EVENTS, COMMANDS_KNX, COMMANDS_ZWAVE, COMMANDS_RECORDED, DEVICES, ROOMS, BEACONS, POLICIES, EFFECTS, DEAD_LETTERS,
    *TABLES,
)  # fmt: skip
COMMANDS = {records.Bus.knx: COMMANDS_KNX, records.Bus.zwave: COMMANDS_ZWAVE, records.Bus.recorded: COMMANDS_RECORDED}
"""Where a bus's commands go. Those of recorded devices are kept for study; nobody acts on them."""
