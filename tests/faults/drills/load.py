"""The load: a process of its own that writes readings at a steady rate and notes what Kafka acknowledged.

Its first line of input is its `Order`; each later line names a manner of sending. At the end of input it waits until Kafka has
acknowledged everything, says how much that was, and ends.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Producer
from msgspec import Struct

from schemas.codecs import Codecs
from schemas.records import Reading
from streams.topics import ROOM_EVENTS
from tests.faults.drills.ledger import NOWHERE, Entry
from tests.faults.drills.plan import KINDS, Plan, instant, room_id, sensor

_TURN_S = 0.05
_HOUR_MS, _FAST_CLOCK_MS, _HELD_S = 3_600_000, 600_000, 3.0
POISON = (b"", b"garbage", b"\x00\x7f\xff\xff\xf0\x02", b"\x00")


class Order(Struct, frozen=True):
    """What to write and where. `newer` are schema ids of later versions of `Reading`, by the manner that uses them."""

    plan: Plan
    librdkafka: dict[str, str]
    reading_id: int
    newer: dict[str, int]
    ledger: str


class Due(Struct):
    """One reading to be sent at a time (seconds since 1970)."""

    number: int
    kind: int
    at_ms: int
    send_at: float = 0.0


class Load:
    """The generator: `turn` sends what is due in the manner that is set."""

    def __init__(self, order: Order) -> None:
        self._plan, self._order = order.plan, order
        self._codecs = Codecs({Reading: order.reading_id})
        self._rng = random.Random(5)
        self._held: list[Due] = []
        self._turns = 0
        self._last_ms: dict[tuple[int, int], int] = {}
        self.failed: list[str] = []
        self.acknowledged = 0
        self.manner = "plain"
        self._ledger = Path(order.ledger).open("ab", buffering=1 << 16)  # noqa: SIM115  # as long as the process
        self._producer = Producer({
            **order.librdkafka, "partitioner": "murmur2_random", "enable.idempotence": True, "acks": "all", "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000, "compression.type": "lz4", "delivery.timeout.ms": 300_000,
            "reconnect.backoff.max.ms": 1000, "topic.metadata.refresh.interval.ms": 5_000,
            "topic.metadata.propagation.max.ms": 120_000,
        })  # fmt: skip

    def run(self, ended: Callable[[], bool]) -> None:
        """Write until told to end, then wait for the last acknowledgement."""
        owed, before = 0.0, time.monotonic()
        while not ended():
            now = time.monotonic()
            owed, before = owed + (now - before) * self._plan.rate, now
            if self.manner == "pause":
                owed = 0.0
            for _ in range(int(owed)):
                self._take_turn()
            owed -= int(owed)
            self._send_held(all_of_them=self.manner != "out_of_order")
            self._producer.poll(0)
            self._ledger.flush()
            time.sleep(_TURN_S)
        self._send_held(all_of_them=True)
        self._producer.flush(300)
        self._ledger.close()

    def _take_turn(self) -> None:
        """The next reading in the round of all rooms and kinds; no two of a device and kind are of one millisecond."""
        rooms = self._plan.rooms
        number, kind = self._turns % rooms, self._turns // rooms % len(KINDS)
        self._turns += 1
        at_ms = max(int(time.time() * 1000), self._last_ms.get((number, kind), 0) + 1)
        self._last_ms[number, kind] = at_ms
        due = Due(number, kind, at_ms)
        match self.manner:
            case "late" if number % 4 == 0:
                due.at_ms -= _HOUR_MS
            case "fast_clock" if number == 0:
                due.at_ms += _FAST_CLOCK_MS
            case "out_of_order":
                due.send_at = time.time() + self._rng.uniform(0, _HELD_S)
                self._held.append(due)
                return
            case "poison" if self._turns % 20 == 0:
                self._produce(due, self._rng.choice(POISON), poison=True)
        for _ in range(3 if self.manner == "duplicates" else 1):
            self._send(due)

    def _send_held(self, *, all_of_them: bool) -> None:
        now = time.time()
        for due in sorted(self._held, key=lambda each: each.send_at):
            if all_of_them or due.send_at <= now:
                self._send(due)
                self._held.remove(due)

    def _send(self, due: Due) -> None:
        kind = KINDS[due.kind]
        value = self._plan.value(due.number, kind, due.at_ms / 1000)
        data = self._codecs.encode(Reading(sensor(due.number), kind, value, instant(due.at_ms)))
        newer = self._order.newer.get(self.manner)
        if newer is not None and due.number % 2:  # the same body and the text "new" in the field that has come since
            data = b"\x00" + newer.to_bytes(4, "big") + data[5:] + b"\x06new"
        self._produce(due, data, poison=False)

    def _produce(self, due: Due, data: bytes, *, poison: bool) -> None:
        sent_at = time.time()

        def delivered(error: Any, message: Any) -> None:
            if error is not None:
                self.failed.append(str(error))
                return
            self.acknowledged += 1
            offset = NOWHERE if message.offset() is None else message.offset()
            self._ledger.write(Entry(sent_at, message.partition(), offset, due.number, due.kind, due.at_ms, poison).packed())

        while True:
            try:
                self._producer.produce(ROOM_EVENTS.name, data, room_id(due.number), on_delivery=delivered)
                return
            except BufferError:
                self._producer.poll(0.1)


def main() -> None:
    """Read the order, obey the lines that follow."""
    load = Load(msgspec.json.decode(sys.stdin.readline(), type=Order))
    ended = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            load.manner = line.strip()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    load.run(ended.is_set)
    print(msgspec.json.encode({"acknowledged": load.acknowledged, "failed": load.failed[:3]}).decode())


if __name__ == "__main__":
    main()
