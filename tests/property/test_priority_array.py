"""One actuator's priority array against a model that knows only the rule book: the highest live slot, and rest below manual."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from agents.rules.arbitration import DEFAULT, DWELL, Asked, Numbers, Undecided, Wish, arbitrate
from schemas.records import Kind, LeaseEnd, Slot
from schemas.rows import Actuator, Lease, Lock

BEGAN = datetime(2026, 3, 2, 12, tzinfo=UTC)
NUMBERS = Numbers(default_pct=10.0, dwell_s=60, min_on_s=180, min_off_s=0)
RULED = (Slot.safety, Slot.protection, Slot.schedule, Slot.comfort)
OFTEN = st.sampled_from([*RULED, Slot.schedule, Slot.comfort, Slot.comfort, Slot.comfort])
"""What is above hides what is below: comfort must be alone often enough."""
BELOW_MANUAL = (Slot.schedule, Slot.comfort, Slot.default)
PERCENT = st.sampled_from([0.0, 10.0, 50.0, 90.0])


class PriorityArray(RuleBasedStateMachine):
    """Wishes of two rules a slot come, go and become unknown; people hold, locks are put on, time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGAN
        self.actuator = Actuator(1, Kind.valve_pct)
        self.wishes: dict[tuple[Slot, int], float | None] = {}
        """By slot and rank; None: the rule is undecided."""
        self.stands: dict[Slot, tuple[int, float]] = {}
        """Rank and value that won each slot last, for what stays while a rule is undecided."""
        self.moved_at: datetime | None = None
        self.target: float | None = None

    @rule(slot=OFTEN, rank=st.integers(0, 1), value=PERCENT)
    def a_rule_wishes(self, slot: Slot, rank: int, value: float) -> None:
        self.wishes[slot, rank] = value
        self.decide()

    @rule(slot=st.sampled_from(RULED), rank=st.integers(0, 1))
    def a_rule_lets_go(self, slot: Slot, rank: int) -> None:
        self.wishes.pop((slot, rank), None)
        self.decide()

    @rule(slot=st.sampled_from(RULED), rank=st.integers(0, 1))
    def a_rule_knows_no_more(self, slot: Slot, rank: int) -> None:
        self.wishes[slot, rank] = None
        self.decide()

    @rule(value=PERCENT, minutes=st.integers(1, 5), ends=st.sampled_from([LeaseEnd.at, LeaseEnd.relinquished]))
    def a_hand_takes(self, value: float, minutes: int, ends: LeaseEnd) -> None:
        lease = Lease(value, "page", "", self.now, self.now + timedelta(minutes=minutes), ends)
        self.actuator = replace(self.actuator, lease=lease)
        self.decide()

    @rule()
    def a_hand_lets_go(self) -> None:
        self.actuator = replace(self.actuator, lease=None)
        self.decide()

    @rule(value=PERCENT)
    def it_is_locked(self, value: float) -> None:
        self.actuator = replace(self.actuator, lock=Lock(value, "A. Meier", "", self.now))
        self.decide()

    @rule()
    def it_is_unlocked(self) -> None:
        self.actuator = replace(self.actuator, lock=None)
        self.decide()

    @rule()
    def danger_and_work_are_over(self) -> None:
        self.wishes = {(slot, rank): wish for (slot, rank), wish in self.wishes.items() if slot in BELOW_MANUAL}
        self.actuator = replace(self.actuator, lock=None)
        self.decide()

    @rule(seconds=st.sampled_from([1, 59, 60, 120, 181, 400]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.decide()

    @rule()
    def everything_is_relinquished(self) -> None:
        self.wishes.clear()
        self.actuator = replace(self.actuator, lease=None, lock=None)
        self.now += timedelta(seconds=NUMBERS.min_on_s)
        self.decide()
        winner = self.actuator.winner
        assert winner is not None
        assert (winner.slot, winner.rule, self.target) == (Slot.default, DEFAULT, NUMBERS.default_pct)

    def decide(self) -> None:
        asked: list[Asked] = []
        for (slot, rank), value in sorted(self.wishes.items(), key=lambda wish: wish[0][1]):
            name = f"rule {rank}"
            asked.append((slot, Undecided("unknown", name) if value is None else Wish(name, value, "because")))
        slot, value = self.expected()
        unknown_only = slot is Slot.default and self.target is None and any(
            wish is None for (of, _), wish in self.wishes.items() if of is Slot.comfort
        )  # fmt: skip
        verdict = arbitrate(self.actuator, asked, NUMBERS, self.now)
        changes = self.target is not None and value != self.target
        if unknown_only:
            assert verdict.send_pct is None, "an unknown sends nothing"
        elif slot in BELOW_MANUAL and changes and self.rests():
            assert verdict.send_pct is None, "nothing below manual changes within the dwell"
            assert verdict.actuator.winner is not None
            assert verdict.actuator.winner.rule == DWELL
        else:
            assert verdict.actuator.winner is not None
            assert (verdict.actuator.winner.slot, verdict.actuator.winner.value_pct) == (slot, value)
            assert verdict.send_pct == (None if self.target == value else value)
        self.actuator = verdict.actuator
        if verdict.send_pct is not None:
            if self.target is not None and slot in BELOW_MANUAL:
                self.moved_at = self.now
            self.target = verdict.send_pct
            self.actuator = replace(self.actuator, desired_pct=self.target, auto_changed_at=self.moved_at)

    def rests(self) -> bool:
        assert self.target is not None
        rest_s = max(NUMBERS.dwell_s, NUMBERS.min_on_s if self.target > NUMBERS.default_pct else NUMBERS.min_off_s)
        return self.moved_at is not None and self.now < self.moved_at + timedelta(seconds=rest_s)

    def expected(self) -> tuple[Slot, float]:
        """Who wins by the rule book alone, and what stands in each slot from now on."""
        for slot in RULED:
            wished = [(rank, value) for rank in (0, 1) if (value := self.wishes.get((slot, rank))) is not None]
            stood = self.stands.pop(slot, None)
            if wished:
                self.stands[slot] = wished[0]
            elif stood is not None and (slot, stood[0]) in self.wishes:  # undecided: what it wanted goes on standing
                self.stands[slot] = stood
        lease, lock = self.actuator.lease, self.actuator.lock
        live: dict[Slot, float] = {slot: value for slot, (_, value) in self.stands.items()}
        if lease is not None and (lease.ends is LeaseEnd.relinquished or self.now < lease.until_at):
            live[Slot.manual] = lease.value_pct
        if lock is not None and lock.value_pct is not None:
            live[Slot.protection] = lock.value_pct
            self.stands.pop(Slot.protection, None)  # a lock takes the slot from whoever stood there
            wished = [(rank, value) for rank in (0, 1) if (value := self.wishes.get((Slot.protection, rank))) is not None]
            if wished:
                self.stands[Slot.protection] = wished[0]
        live[Slot.default] = NUMBERS.default_pct
        return next((slot, live[slot]) for slot in Slot if slot in live)

    @invariant()
    def the_array_shows_one_proposal_a_slot_highest_first_and_is_never_empty(self) -> None:
        slots = [list(Slot).index(proposal.slot) for proposal in self.actuator.slots]
        assert slots == sorted(set(slots))
        assert not self.actuator.slots or self.actuator.slots[-1].slot is Slot.default

    @invariant()
    def an_expired_lease_never_wins(self) -> None:
        winner = self.actuator.winner
        if winner is not None and winner.slot is Slot.manual and winner.until_at is not None:
            assert self.now < winner.until_at


TestPriorityArray = PriorityArray.TestCase
TestPriorityArray.settings = settings(max_examples=150, stateful_step_count=40)
