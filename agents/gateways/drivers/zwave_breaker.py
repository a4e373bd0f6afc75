"""A node that does not answer holds up the radio for all: it is left alone, and tried by a ping at growing intervals. Pure."""

from __future__ import annotations

FAILURES = 2
"""So many calls in a row without an answer, and the node is left alone. A node its network calls dead is at once."""
FIRST_PROBE_S, LONGEST_PROBE_S = 5.0, 300.0


class Breaker:
    """Whether one node may be spoken to. Instants are seconds of any clock that never goes back."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause_s = FIRST_PROBE_S
        self.shut_out = False
        """Whether the node is left alone."""
        self._probe_at = 0.0
        self._came_back = False

    def well(self) -> None:
        """The node has said or acknowledged something."""
        self._came_back |= self.shut_out
        self._failures, self._pause_s, self.shut_out = 0, FIRST_PROBE_S, False

    def came_back(self) -> bool:
        """Whether it has answered after it was left alone; told once."""
        was, self._came_back = self._came_back, False
        return was

    def failed(self, now_s: float) -> None:
        """A call got no answer."""
        self._failures += 1
        if self._failures >= FAILURES:
            self.dead(now_s)

    def dead(self, now_s: float) -> None:
        """Its network has given it up, or a probe got no answer."""
        if not self.shut_out:
            self.shut_out = True
        elif now_s < self._probe_at:
            return  # said twice: by the call that failed and by the network
        else:
            self._pause_s = min(LONGEST_PROBE_S, self._pause_s * 2)
        self._probe_at = now_s + self._pause_s

    def probe_due(self, now_s: float) -> bool:
        """Whether it is time for a ping."""
        return self.shut_out and now_s >= self._probe_at

    def next_probe_s(self, now_s: float) -> float:
        """How long until the next ping."""
        return max(0.0, self._probe_at - now_s)
