"""Whether this worker is still a member of its group: what tells an owner from a zombie."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from schemas.errors import BuildingError

SESSION_S: Final = 10.0
"""Kafka gives a member's partitions away when it has not heard of it for this long."""

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_clock() -> float:
    """Seconds on a clock that goes on while the process, or the machine, is stopped."""
    return time.clock_gettime(_CLOCK)


class Fenced(BuildingError):
    """Not sent: the group's coordinator has not confirmed this worker within the session; another may own its partitions."""

    reason = "fenced"


class Pulse:
    """The last time the group's coordinator confirmed this worker's membership."""

    def __init__(self, session_s: float = SESSION_S, clock: Callable[[], float] = boot_clock) -> None:
        self._session_s = session_s
        self._clock = clock
        self._confirmed_at = -math.inf

    def now(self) -> float:
        """Take this before asking the coordinator, for `confirmed`."""
        return self._clock()

    def confirmed(self, asked_at: float) -> None:
        """The coordinator said yes to a question asked at `asked_at`: its own count began no earlier."""
        self._confirmed_at = max(self._confirmed_at, asked_at)

    def lost(self) -> None:
        """The coordinator said no."""
        self._confirmed_at = -math.inf

    @property
    def alive(self) -> bool:
        """Whether nobody else can own our partitions yet."""
        return self._clock() - self._confirmed_at < self._session_s
