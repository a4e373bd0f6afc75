"""The yardstick: a plain confluent-kafka loop that decodes readings with fastavro into a dict. Prints its two rates.

python -m tests.benchmarks.plain BOOTSTRAP TOTAL HEADER_HEX
"""

from __future__ import annotations

import io
import json
import sys
import time

import fastavro
from confluent_kafka import Consumer, TopicPartition

from schemas.codecs import schema_text
from streams.topics import ROOM_EVENTS


def main(bootstrap: str, total: int, header: bytes) -> None:
    """Poll a batch, decode, keep per room and sensor the sum, the count and the last value; from the first record to the last."""
    schema = fastavro.parse_schema(json.loads(schema_text("atrium.Reading")))
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-plain", "enable.auto.commit": False})
    consumer.assign([TopicPartition(ROOM_EVENTS.name, p, 0) for p in range(ROOM_EVENTS.partitions)])
    rooms: dict[bytes, dict[tuple[int, str], list[float]]] = {}
    messages = [consumer.poll(30)]
    seen, started, cpu = 0, time.monotonic(), time.process_time()
    while True:
        for message in messages:
            seen += 1
            value = message.value()
            if value[:5] != header:
                continue
            source = io.BytesIO(value)
            source.seek(5)
            reading = fastavro.schemaless_reader(source, schema, None)
            sums = rooms.setdefault(message.key(), {}).setdefault((reading["device_id"], reading["kind"]), [0.0, 0.0, 0.0])
            sums[0] += reading["value"]
            sums[1] += 1
            sums[2] = reading["value"]
        if seen >= total:
            break
        messages = consumer.consume(10_000, timeout=1.0)
    print(seen / (time.monotonic() - started), seen / (time.process_time() - cpu))
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3]))
