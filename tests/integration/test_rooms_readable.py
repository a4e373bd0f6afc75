"""Somebody who has only the registry reads everything the building writes: Confluent's own AvroDeserializer."""

from datetime import UTC, datetime, timedelta

from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas.records import Kind, Reading
from streams.compacted import read_to_end
from streams.topics import (
    COMMANDS_KNX,
    COMMANDS_ZWAVE,
    DEAD_LETTERS,
    ROOM_EVENTS,
    TABLE_ACTUATION,
    TABLE_AVERAGES,
    TABLE_OCCUPANCY,
    TABLE_ROOMS,
)
from tests.folding import Load, assert_live_equals_offline, codecs_of, stamped_by_writer, wait_caught_up
from tests.processes import role


def test_an_independent_reader_reads_events_commands_dead_letters_and_every_changelog(stack):
    codecs = codecs_of(stack)
    load = Load(stack, codecs, rooms=3, seed=8)
    load.introduce()
    earlier = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=40)
    with stamped_by_writer(stack, load):
        load = Load(stack, codecs, rooms=3, seed=9)
        load.introduce(earlier)
        for minutes in (0, 6, 12, 18):
            at = earlier + timedelta(minutes=minutes)
            for number, room_id in enumerate(load.room_ids):
                load.write(room_id, Reading(10_000 + 4 * number, Kind.temperature_c, 21.5, at), at)
        load.flush()
    load.read(200)
    bad = b"\x00" + b"\xff" * 20
    load.write(load.room_ids[0], bad)
    with role("rooms", stack):
        load.flush()
        wait_caught_up(stack)

    registry = SchemaRegistryClient({"url": stack.registry, "timeout": 10})
    read = AvroDeserializer(registry, conf={"subject.name.strategy": record_subject_name_strategy})

    def records(topic):
        context = SerializationContext(topic.name, MessageField.VALUE)
        return [
            (message.key().decode(), read(message.value(), context))
            for message in read_to_end(stack, topic)
            if message.value() != bad and (message.key() or b"").decode(errors="replace") in ours
        ]

    ours = {*load.room_ids, "knx-load", "zwave-load"}
    events = [fields for _, fields in records(ROOM_EVENTS)]
    assert {"device_id": 10_000, "kind": "temperature_c", "value": 21.5, "at": earlier} in events
    commands = [fields for topic in (COMMANDS_KNX, COMMANDS_ZWAVE) for _, fields in records(topic)]
    assert {each["kind"] for each in commands} >= {"valve_pct"}
    assert all(len(each["command_id"]) == 32 for each in commands)
    letters = [fields for _, fields in records(DEAD_LETTERS)]
    assert bad in [each["value"] for each in letters]
    for topic in (TABLE_ROOMS, TABLE_OCCUPANCY, TABLE_ACTUATION):
        assert {room_id for room_id, _ in records(topic)} >= set(load.room_ids), topic.name
    assert all(each["position"]["log_id"] for _, each in records(TABLE_ROOMS))
    assert {room_id for room_id, _ in records(TABLE_AVERAGES)} == set(load.room_ids)
    assert records(TABLE_AVERAGES)[-1][1]["buckets"][0]["total"] == 21.5
    assert_live_equals_offline(stack)
