"""Who decides over an actuator: the highest occupied priority slot wins, the losers are kept for the record."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from schemas.commands import Proposal
from schemas.records import Slot
from schemas.rows import Actuator

SAME_PCT = 1.0
"""A reported value this near the desired one is the same: one byte on KNX is 0.4 %, 99 levels on Z-Wave are 1 %."""


class Wish(Struct, frozen=True):
    """What a rule wants of an actuator now."""

    rule: str
    value_pct: float
    reason: str


class Undecided(Struct, frozen=True):
    """A rule whose inputs are unknown: it neither asks nor lets go, so what stood goes on standing."""

    reason: str


Opinion = Wish | Undecided | None
"""None: the rule has its inputs and wants nothing."""


class Verdict(Struct, frozen=True):
    """The actuator after arbitration; `send_pct` is the target to command, None when nothing changes."""

    actuator: Actuator
    send_pct: float | None


def arbitrate(actuator: Actuator, opinion: Opinion, default_pct: float, dwell_s: int, now: datetime) -> Verdict:
    """Fill the slots, pick the winner, and say whether the target changes. An ended lease is let go here."""
    lease = actuator.lease if actuator.lease and now < actuator.lease.until_at else None
    comfort = _standing(actuator.comfort, opinion, now)
    default = _kept(actuator, Proposal(Slot.default, "relinquish default", default_pct, "no rule asks for anything else", now))
    manual = None
    if lease is not None:
        reason = lease.reason or f"set by hand ({lease.source})"
        manual = Proposal(Slot.manual, lease.source, lease.value_pct, reason, lease.since_at, lease.until_at)
    winner, *losers = [proposal for proposal in (manual, comfort, default) if proposal is not None]
    actuator = replace(actuator, lease=lease, comfort=comfort)
    if winner.slot is Slot.default and isinstance(opinion, Undecided) and actuator.desired_pct is None:
        return Verdict(replace(actuator, winner=None, losers=()), None)  # an unknown sends nothing
    if winner.slot is not Slot.manual and _dwelling(actuator, winner, dwell_s, now):
        return Verdict(replace(actuator, winner=_held(actuator, dwell_s, now), losers=(winner, *losers)), None)
    changed = actuator.desired_pct is None or actuator.desired_pct != winner.value_pct
    return Verdict(replace(actuator, winner=winner, losers=tuple(losers)), winner.value_pct if changed else None)


def dwell_ends_at(actuator: Actuator, dwell_s: int, now: datetime) -> datetime | None:
    """When automation may change this actuator again; None when it may now."""
    if actuator.auto_changed_at is None:
        return None
    ends_at = actuator.auto_changed_at + timedelta(seconds=dwell_s)
    return ends_at if ends_at > now else None


def _standing(was: Proposal | None, opinion: Opinion, now: datetime) -> Proposal | None:
    """The comfort slot: a wish that says the same as before keeps its `since`; an undecided rule leaves what stood."""
    if isinstance(opinion, Undecided):
        return was
    if opinion is None:
        return None
    if was is not None and (was.rule, was.value_pct) == (opinion.rule, opinion.value_pct):
        return was
    return Proposal(Slot.comfort, opinion.rule, opinion.value_pct, opinion.reason, now)


def _kept(actuator: Actuator, default: Proposal) -> Proposal:
    """The default as it stood before, if it is the same, so that its `since` tells the truth."""
    for was in (actuator.winner, *actuator.losers):
        if was is not None and was.slot is Slot.default and was.value_pct == default.value_pct:
            return was
    return default


def _dwelling(actuator: Actuator, winner: Proposal, dwell_s: int, now: datetime) -> bool:
    changes = actuator.desired_pct is not None and actuator.desired_pct != winner.value_pct
    return changes and dwell_ends_at(actuator, dwell_s, now) is not None


def _held(actuator: Actuator, dwell_s: int, now: datetime) -> Proposal | None:
    if actuator.desired_pct is None or (actuator.winner is not None and actuator.winner.rule == "dwell"):
        return actuator.winner
    return Proposal(
        Slot.comfort, "dwell", actuator.desired_pct, f"moved less than {dwell_s} s ago", now, dwell_ends_at(actuator, dwell_s, now)
    )


def strayed(actuator: Actuator) -> bool:
    """Whether the actuator stands elsewhere than it should with nothing under way."""
    if actuator.pending_command_id is not None or actuator.reported_pct is None or actuator.desired_pct is None:
        return False
    return abs(actuator.reported_pct - actuator.desired_pct) > SAME_PCT
