"""A worker that does nothing though there is work ends, and its supervisor starts it anew.

Faust's recovery and its joining of a group have waits without an end. An outage that falls into one of them can leave a worker that
lives, is a member of its group, and folds nothing more. Whatever hangs, a new process goes on: all that a role does bears a kill.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from faust.types import TP
from msgspec import Struct

from schemas.errors import BuildingError
from streams.settings import Settings

EVERY_S: Final = 10.0
LOOKS: Final = 6
"""Looks in a row at which nothing has moved since the one before: a minute. Looks, not seconds: a process that was stopped by a
signal, or with its machine, has all the time behind it and nothing to be blamed for."""
_ANSWER_S: Final = 5.0


class Stalled(BuildingError):
    """The worker has left records lying for a minute without any reason that it knows of."""

    reason = "stalled"


class Look(Struct, frozen=True):
    """A worker at one moment, while Kafka answers."""

    member: bool
    """Whether the group's coordinator has confirmed it within its session."""
    idle: Mapping[TP, Hashable]
    """Its partitions with records that its group has not done and nothing in hand: what it last saved of each."""
    records: int
    """How many those are."""
    busy: bool
    """Whether it has rows in hand, or prepares its partitions: whoever waits there says so itself."""
    held: bool
    """Whether its consumer waits for a batch in hand, and that maybe for PostgreSQL: what lies meanwhile is not stuck."""
    moved: Hashable
    """Changes with every assignment, and with the rows read in a recovery."""


class Stall:
    """Counts the looks at which a worker had something to do and did nothing."""

    def __init__(self, looks: int = LOOKS) -> None:
        self._looks = looks
        self._moved: Hashable = None
        self._outside = 0
        self._idle: dict[TP, tuple[Hashable, int]] = {}

    def after(self, look: Look | None) -> str | None:
        """What to end the worker for, if this look is one too many. None is a look that Kafka did not answer."""
        if look is None or look.busy or look.moved != self._moved:
            self._moved = look.moved if look is not None else None
            self._outside, self._idle = 0, {}
            return None
        self._outside = 0 if look.member else self._outside + 1
        if self._outside >= self._looks:
            return f"not a member of its group at {self._outside} looks, one each {EVERY_S:.0f} s, though Kafka answers"
        if look.held:
            return None  # nor anew: a worker under load is held at many a look, and one partition of it may hang all the same
        before, self._idle = self._idle, {}
        for tp, saved in look.idle.items():
            held, still = before.get(tp, (saved, -1))
            self._idle[tp] = saved, still + 1 if held == saved else 0
        stuck = [tp for tp, (_, still) in self._idle.items() if still >= self._looks]
        if not stuck:
            return None
        told = f"{look.records} records wait, and {len(stuck)} partitions have not moved"
        return f"{told} at {self._looks} looks, one each {EVERY_S:.0f} s"


async def watch_for_stalls(
    look: Callable[[], Awaitable[Look | None]], crash: Callable[[BaseException], Awaitable[None]], *, every_s: float = EVERY_S
) -> None:
    """Look again and again; `crash` with `Stalled` once the worker stalls."""
    stall = Stall()
    while True:
        await asyncio.sleep(every_s)
        told = stall.after(await look())
        if told is not None:
            await crash(Stalled(told))
            return


class Meter:
    """Kafka's own books of a group, asked beside the consumer, which may be what hangs, by a client that joins nothing.

    Not by an `AdminClient`: one whose `list_offsets` is under way as the broker goes takes the process with it (librdkafka 2.16).
    """

    def __init__(self, settings: Settings, group: str) -> None:
        self._config = {**settings.librdkafka, "group.id": group, "enable.auto.commit": False, "log_level": "2"}
        self._client: Consumer | None = None

    def waiting(self, tps: Collection[TP]) -> dict[TP, int]:
        """How many records of each the group has not committed and the log still has. Blocks. Raises `KafkaException`."""
        if self._client is None:
            self._client = Consumer(self._config)
        waiting = {}
        for place in self._client.committed([TopicPartition(tp.topic, tp.partition) for tp in tps], timeout=_ANSWER_S):
            if place.error is not None:
                raise KafkaException(place.error)
            begin, end = self._client.get_watermark_offsets(place, timeout=_ANSWER_S)
            waiting[TP(place.topic, place.partition)] = max(0, end - max(begin, place.offset))
        return waiting
