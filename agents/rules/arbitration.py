"""Who decides over an actuator: of its priority array the highest occupied slot wins; the losers are kept for the record.

After BACnet's priority array (ANSI/ASHRAE 135, clause 19.2): each slot holds one proposal or nothing, the lowest is the relinquish
default and never empty. Within a slot the rank of the rules decides, which is their order in `agents.rules.rulebook`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from schemas.commands import Input, Proposal
from schemas.records import LeaseEnd, Slot
from schemas.rows import Actuator

SAME_PCT = 1.0
"""A reported value this near the desired one is the same: one byte on KNX is 0.4 %, 99 levels on Z-Wave are 1 %."""
DEFAULT, DWELL, LOCK = "relinquish default", "dwell", "maintenance lock"
"""Who proposes where no rule does."""
AUTOMATIC = frozenset({Slot.schedule, Slot.comfort, Slot.default})
"""Slots that dwell and minimum on and off times bind."""
_SLOTS = (Slot.safety, Slot.protection, Slot.manual, Slot.schedule, Slot.comfort, Slot.default)
_MANUAL, _PROTECTION, _DEFAULT = Slot.manual, Slot.protection, Slot.default


class Wish(Struct, frozen=True):
    """What a rule wants of an actuator now. `inputs` are looked up only for a wish that was not there before."""

    rule: str
    value_pct: float
    reason: str
    inputs: Callable[[], tuple[Input, ...]] = tuple


class Undecided(Struct, frozen=True):
    """A rule whose inputs are unknown: it neither asks nor lets go, so what stood in its slot goes on standing.

    `rule` names the one wish it keeps; None: whatever stood there.
    """

    reason: str
    rule: str | None = None


Opinion = Wish | Undecided | None
"""None: the rule has its inputs and wants nothing."""
Asked = tuple[Slot, Opinion]


class Numbers(Struct, frozen=True):
    """The policy's numbers for one kind of actuator."""

    default_pct: float
    dwell_s: int
    min_on_s: int = 0
    min_off_s: int = 0


class Verdict(Struct, frozen=True):
    """The actuator after arbitration; `send_pct` is the target to command, None when nothing changes."""

    actuator: Actuator
    send_pct: float | None


def arbitrate(actuator: Actuator, asked: Sequence[Asked], numbers: Numbers, now: datetime) -> Verdict:
    """Fill the priority array, pick the winner, and say whether the target changes. `asked` are the rules' opinions by rank."""
    lease = actuator.lease
    if lease is not None and lease.ends is not LeaseEnd.relinquished and now >= lease.until_at:
        lease = None
    if lease is not actuator.lease:
        actuator = replace(actuator, lease=lease)
    array, outranked = _array(actuator, asked, numbers.default_pct, now)
    winner = array[0]
    losers = tuple(sorted((*array[1:], *outranked), key=_priority)) if outranked else array[1:]
    if winner.slot is Slot.default and actuator.desired_pct is None and _any_unknown(asked):
        return Verdict(_settled(actuator, array, None, ()), None)  # an unknown sends nothing
    if stays(actuator, winner):
        return Verdict(_settled(actuator, array, winner, losers), None)
    if winner.slot in AUTOMATIC and _dwelling(actuator, winner, numbers, now):
        return Verdict(_settled(actuator, array, _held(actuator, numbers, now), (winner, *losers)), None)
    changed = actuator.desired_pct is None or actuator.desired_pct != winner.value_pct
    return Verdict(_settled(actuator, array, winner, losers), winner.value_pct if changed else None)


def _settled(
    actuator: Actuator, array: tuple[Proposal, ...], winner: Proposal | None, losers: tuple[Proposal, ...]
) -> Actuator:  # fmt: skip
    """The actuator after arbitration; the very same object where nothing changed, which is by far the most frequent."""
    if actuator.slots == array and actuator.losers == losers and actuator.winner == winner and actuator.comfort is None:
        return actuator
    return replace(actuator, slots=array, comfort=None, winner=winner, losers=losers)


def standing(actuator: Actuator, slot: Slot) -> Proposal | None:
    """The proposal in a slot. A row of a release up to 0.2 has no array, only the automatic proposal."""
    if not actuator.slots:
        return actuator.comfort if slot is Slot.comfort else None
    return next((proposal for proposal in actuator.slots if proposal.slot is slot), None)


def held_for_s(actuator: Actuator, numbers: Numbers) -> int:
    """For how long automation keeps the present target from its last change."""
    on = actuator.desired_pct is not None and actuator.desired_pct > numbers.default_pct
    return max(numbers.dwell_s, numbers.min_on_s if on else numbers.min_off_s)


def dwell_ends_at(actuator: Actuator, numbers: Numbers, now: datetime) -> datetime | None:
    """When automation may change this actuator again; None when it may now."""
    if actuator.auto_changed_at is None:
        return None
    ends_at = actuator.auto_changed_at + timedelta(seconds=held_for_s(actuator, numbers))
    return ends_at if ends_at > now else None


def stays(actuator: Actuator, winner: Proposal) -> bool:
    """Whether a lock without a value has won: nothing is sent, it stays where it stands."""
    return winner.rule == LOCK and actuator.lock is not None and actuator.lock.value_pct is None


def same(one_pct: float, other_pct: float) -> bool:
    """Whether two values are one as far as an actuator can tell."""
    return abs(one_pct - other_pct) <= SAME_PCT


_ORDER = {slot: number for number, slot in enumerate(_SLOTS)}


def _priority(proposal: Proposal) -> int:
    return _ORDER[proposal.slot]


def _array(
    actuator: Actuator, asked: Sequence[Asked], default_pct: float, now: datetime
) -> tuple[tuple[Proposal, ...], list[Proposal]]:
    """The occupied slots, highest first, and the wishes that a higher rank keeps out of their slot."""
    array: list[Proposal] = []
    outranked: list[Proposal] = []
    opinions: dict[Slot, list[Opinion]] = {}
    for slot, opinion in asked:
        if opinion is not None:
            opinions.setdefault(slot, []).append(opinion)
    for slot in _SLOTS:
        if slot is _MANUAL:
            candidates = _manual(actuator)
        elif slot is _DEFAULT:
            candidates = [_kept(actuator, Wish(DEFAULT, default_pct, "no rule asks for anything else"), slot, now)]
        else:
            candidates = _from_rules(actuator, slot, opinions[slot], now) if slot in opinions else []
        if slot is _PROTECTION and actuator.lock is not None:
            candidates = [_locked(actuator, default_pct), *candidates]
        array += candidates[:1]
        outranked += candidates[1:]
    return tuple(array), outranked


def _from_rules(actuator: Actuator, slot: Slot, opinions: Iterable[Opinion], now: datetime) -> list[Proposal]:
    """The slot's wishes by rank. While a rule is undecided and none wishes, what a rule left standing there goes on standing."""
    wishes: list[Proposal] = []
    unknown: list[Undecided] = []
    for opinion in opinions:
        if isinstance(opinion, Wish):
            wishes.append(_kept(actuator, opinion, slot, now))
        elif opinion is not None:
            unknown.append(opinion)
    if wishes or not unknown:
        return wishes
    was = standing(actuator, slot)
    stands = was is not None and was.rule != LOCK and any(each.rule in (None, was.rule) for each in unknown)
    return [was] if was is not None and stands else []


def _kept(actuator: Actuator, wish: Wish, slot: Slot, now: datetime) -> Proposal:
    """The wish as a proposal; one that says the same as before keeps its `since` and its inputs."""
    for was in actuator.slots:
        if was.slot is slot and was.rule == wish.rule and was.value_pct == wish.value_pct:
            return was
    old = actuator.comfort
    if old is not None and (old.slot, old.rule, old.value_pct) == (slot, wish.rule, wish.value_pct):
        return old
    for stood in (*actuator.losers, actuator.winner):
        if stood is not None and (stood.slot, stood.rule, stood.value_pct) == (slot, wish.rule, wish.value_pct):
            return stood
    return Proposal(slot, wish.rule, wish.value_pct, wish.reason, now, None, wish.inputs())


def _manual(actuator: Actuator) -> list[Proposal]:
    lease = actuator.lease
    if lease is None:
        return []
    reason = lease.reason or f"set by hand ({lease.source})"
    until = None if lease.ends is LeaseEnd.relinquished else lease.until_at
    return [Proposal(Slot.manual, lease.source, lease.value_pct, reason, lease.since_at, until)]


def _locked(actuator: Actuator, default_pct: float) -> Proposal:
    lock = actuator.lock
    assert lock is not None
    known = (lock.value_pct, actuator.reported_pct, actuator.desired_pct, default_pct)
    value = next(each for each in known if each is not None)
    return Proposal(Slot.protection, LOCK, value, f"locked by {lock.source}: {lock.reason}", lock.since_at)


def _any_unknown(asked: Iterable[Asked]) -> bool:
    return any(isinstance(opinion, Undecided) for slot, opinion in asked if slot is Slot.comfort)


def _dwelling(actuator: Actuator, winner: Proposal, numbers: Numbers, now: datetime) -> bool:
    changes = actuator.desired_pct is not None and actuator.desired_pct != winner.value_pct
    return changes and dwell_ends_at(actuator, numbers, now) is not None


def _held(actuator: Actuator, numbers: Numbers, now: datetime) -> Proposal | None:
    if actuator.desired_pct is None or (actuator.winner is not None and actuator.winner.rule == DWELL):
        return actuator.winner
    reason = f"moved less than {held_for_s(actuator, numbers)} s ago"
    return Proposal(Slot.comfort, DWELL, actuator.desired_pct, reason, now, dwell_ends_at(actuator, numbers, now))
