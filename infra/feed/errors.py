"""Why a feed does not begin, or ends before its end."""

from __future__ import annotations

from schemas.errors import BuildingError


class TimeRunsBack(BuildingError):
    """The room's time has passed the recording's."""

    reason = "time_runs_back"


class Doubled(BuildingError):
    """The room's log has a reading of the recording twice."""

    reason = "doubled"


class RowsMissing(BuildingError):
    """The room's log lacks rows that were sent."""

    reason = "rows_missing"


class TraceLost(BuildingError):
    """Nobody can tell any more how far a recording came."""

    reason = "trace_lost"


class FeedBroken(BuildingError):
    """A feed ended before its end; how far it came will be read from the log."""

    reason = "feed_broken"
