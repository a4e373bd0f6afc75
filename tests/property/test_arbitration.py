"""Arbitration lived through: a room told anything, in any order, by a machine that knows only what must hold."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from agents.rules.fold import fold_batch
from schemas.codecs import DEFAULT_POLICY, PUBLIC, Codecs
from schemas.records import (
    Intent,
    IntentAction,
    Kind,
    LeaseEnd,
    PolicyChanged,
    Reading,
    ResultStatus,
    SchedulePeriod,
    Slot,
    Weekday,
)
from schemas.rows import Actuator
from tests.stories import BLIND, LAMP, LOG, SENSOR, VALVE, Story

CODECS = Codecs({cls: number for number, cls in enumerate(PUBLIC, start=1)})
ORDER = list(Slot)
DWELLS = {VALVE: 60, BLIND: 300, LAMP: 0}
KINDS = {VALVE: Kind.valve_pct, BLIND: Kind.closed_pct, LAMP: Kind.level_pct}
AUTOMATIC = (Slot.schedule, Slot.comfort, Slot.default)
OFFICE = SchedulePeriod("office", Kind.valve_pct, tuple(Weekday)[1:8], DEFAULT_POLICY.day_starts, DEFAULT_POLICY.day_ends, 60.0)
DEVICES = st.sampled_from([VALVE, BLIND, LAMP])
LEVELS = {
    Kind.humidity_pct: (30, 46, 52, 70), Kind.temperature_c: (4, 7.5, 21, 32), Kind.illuminance_lx: (0, 25, 80, 400),
    Kind.motion: (0, 1, 0, 1), Kind.window_open: (0, 1, 0, 0),
}  # fmt: skip
PERCENT = st.sampled_from([0.0, 25.0, 60.0, 100.0])


class Arbitration(RuleBasedStateMachine):
    """A story told at random; after every event the invariants of the priority array are held against the room."""

    @initialize()
    def begin(self) -> None:
        self.story = Story()
        self.seen = 0
        self.automatic_at: dict[int, datetime] = {}
        self.target: dict[int, float] = {}

    @rule(minutes=st.sampled_from([0.1, 1, 4, 16, 31, 125]))
    def time_passes(self, minutes: float) -> None:
        self.story.after(minutes=minutes)

    @rule(
        kind=st.sampled_from(list(LEVELS)),
        level=st.integers(0, 3),
    )
    def a_sensor_reports(self, kind: Kind, level: int) -> None:
        self.story.tell(Reading(SENSOR, kind, float(LEVELS[kind][level]), self.story.now))

    @rule(
        device=DEVICES,
        value=PERCENT,
        ends=st.sampled_from([LeaseEnd.at, LeaseEnd.vacant, LeaseEnd.relinquished]),
        minutes=st.integers(1, 90),
    )
    def a_hand_takes(self, device: int, value: float, ends: LeaseEnd, minutes: int) -> None:
        until = self.story.now + timedelta(minutes=minutes) if ends is LeaseEnd.at else None
        self.story.tell(Intent(IntentAction.set, KINDS[device], self.story.now, value, device, until, "wall button 3", "", ends))

    @rule(
        device=DEVICES, action=st.sampled_from([IntentAction.release, IntentAction.lock, IntentAction.unlock, IntentAction.extend])
    )
    def a_person_acts(self, device: int, action: IntentAction) -> None:
        self.story.tell(Intent(action, KINDS[device], self.story.now, device_id=device, source="A. Meier"))

    @rule(device=DEVICES, status=st.sampled_from([ResultStatus.done, ResultStatus.done, ResultStatus.failed, ResultStatus.expired]))
    def the_gateway_answers(self, device: int, status: ResultStatus) -> None:
        if any(command.device_id == device for command in self.story.commands):
            self.story.confirms(device, status)

    @rule(device=DEVICES, value=PERCENT)
    def an_actuator_reports(self, device: int, value: float) -> None:
        self.story.tell(Reading(device, KINDS[device], value, self.story.now))

    @rule(scheduled=st.booleans())
    def a_schedule_comes_or_goes(self, scheduled: bool) -> None:
        revision = self.story.room.policy.revision + 1
        schedule = (OFFICE,) if scheduled else ()
        self.story.tell(PolicyChanged(replace(DEFAULT_POLICY, revision=revision, schedule=schedule)))

    @invariant()
    def the_winner_is_the_highest_live_slot(self) -> None:
        for actuator in self.actuators():
            slots = [ORDER.index(proposal.slot) for proposal in actuator.slots]
            assert slots == sorted(set(slots)), "one proposal a slot, highest first"
            if not actuator.slots:
                continue
            assert actuator.slots[-1].slot is Slot.default, "never empty"
            if actuator.winner is not None and actuator.winner.rule != "dwell":
                assert actuator.winner == actuator.slots[0]
            for loser in actuator.losers:
                assert actuator.winner is not None
                assert ORDER.index(loser.slot) >= ORDER.index(actuator.slots[0].slot)

    @invariant()
    def an_ended_lease_never_wins(self) -> None:
        for actuator in self.actuators():
            lease = actuator.lease
            if lease is not None:
                assert lease.ends is LeaseEnd.relinquished or lease.until_at > self.story.room.now_at
            elif actuator.slots:
                assert all(proposal.slot is not Slot.manual for proposal in actuator.slots)

    @invariant()
    def a_locked_actuator_moves_for_safety_only(self) -> None:
        for command in self.story.commands[self.seen :]:
            if self.story.actuator(command.device_id).lock is not None and command.cause.offset == self.story.room.position.offset:
                assert command.winner.slot is Slot.safety

    @invariant()
    def nothing_below_manual_changes_within_the_dwell(self) -> None:
        for command in self.story.commands[self.seen :]:
            device, now = command.device_id, command.issued_at
            changes = device in self.target and self.target[device] != command.target_pct
            if changes and command.winner.slot in AUTOMATIC:
                last = self.automatic_at.get(device)
                assert last is None or now - last >= timedelta(seconds=DWELLS[device]), (last, command)
                self.automatic_at[device] = now
            self.target[device] = command.target_pct
        self.seen = len(self.story.commands)
        for actuator in self.actuators():  # a hand at the device moves the target without a command
            if actuator.desired_pct is not None:
                self.target[actuator.device_id] = actuator.desired_pct

    @invariant()
    def every_command_names_its_cause(self) -> None:
        for command in self.story.commands[-3:]:
            assert command.event in ("Reading", "Tick", "Intent", "CommandResult", "DeviceChanged", "PolicyChanged")
            assert (command.cause.log_id, command.winner.value_pct) == (LOG, command.target_pct)
            assert 1 <= command.attempt <= DEFAULT_POLICY.retry_attempts + 2

    @invariant()
    def the_row_stays_small_and_whole(self) -> None:
        data = CODECS.encode(self.story.room)
        assert len(data) < 16_000
        assert CODECS.decode(data) == self.story.room

    def actuators(self) -> list[Actuator]:
        return [self.story.actuator(device) for device in KINDS]

    def teardown(self) -> None:
        """Replayed, redelivered, split otherwise: the same commands with the same ids."""
        if hasattr(self, "story"):
            self.replay()

    def replay(self) -> None:
        log, ids = self.story.log, [command.command_id for command in self.story.commands]
        assert len(set(ids)) == len(ids), "an id is one command's"
        for step in (1, 7, len(log)):
            rooms, sent = {}, []
            for start in range(0, len(log), step):
                for batch in (log[start : start + step], log[max(0, start - 3) : start + step]):  # and delivered again
                    out = fold_batch(rooms, {}, LOG, 0, batch)
                    rooms |= out.rooms
                    sent += [each.command.command_id for each in out.commands]
            assert sent == ids
            assert CODECS.encode(rooms["2"]) == CODECS.encode(self.story.rooms["2"])


TestArbitration = Arbitration.TestCase
TestArbitration.settings = settings(max_examples=60, stateful_step_count=30)
