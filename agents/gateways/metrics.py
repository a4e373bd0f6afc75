"""What a gateway counts of its commands; with the driver's own counts they stand in `atrium status --json`."""

from __future__ import annotations

from collections import deque
from statistics import median

from agents.gateways.actuate import Ended
from schemas.records import ResultStatus

_LAST = 1000


class Metrics:
    """Counted since the process began; latencies of the last thousand confirmed commands."""

    def __init__(self) -> None:
        self._confirmed_s: deque[float] = deque(maxlen=_LAST)
        self._confirmed = self._unconfirmed = 0

    def count(self, ended: Ended) -> None:
        """A command that was written has ended."""
        if ended.confirmed_s is not None:
            self._confirmed += 1
            self._confirmed_s.append(ended.confirmed_s)
        elif ended.status in (ResultStatus.failed, ResultStatus.unverified):
            self._unconfirmed += 1

    def told(self, waiting: int) -> dict[str, float]:
        """By name; `waiting` is how many commands wait for their device. `..._s` run from the telegram to the read-back."""
        latencies = {}
        if self._confirmed_s:
            latencies = {
                "confirm_median_s": round(median(self._confirmed_s), 3),
                "confirm_longest_s": round(max(self._confirmed_s), 3),
            }
        return {"commands_waiting": waiting, "confirmed": self._confirmed, "unconfirmed": self._unconfirmed, **latencies}
