"""What a stall is: records wait, none is in hand, and nothing of their partition moves, at look after look, while Kafka answers."""

import pytest
from faust.types import TP
from msgspec.structs import replace

from streams.stall_watch import Look, Stall

ONE, OTHER = TP("a-topic", 1), TP("a-topic", 2)
STILL = Look(member=True, idle={ONE: (4, 17)}, records=983, busy=False, held=False, moved=(4, 0))
OUTSIDE = Look(member=False, idle={}, records=0, busy=False, held=False, moved=(4, 0))


def told(*looks):
    """What a stall of three looks says after each."""
    stall = Stall(looks=3)
    return [stall.after(look) for look in looks]


def test_a_worker_that_leaves_its_log_lying_is_ended_and_says_how_much_lies():
    *before, last = told(STILL, STILL, STILL, STILL, STILL)
    assert before == [None] * 4, "the first look has nothing to compare with, nor has the first one of a partition"
    assert "983 records wait, and 1 partitions" in last


def test_one_partition_that_lies_is_seen_though_the_others_move():
    looks = [replace(STILL, idle={ONE: (4, 17), OTHER: (4, number)}) for number in range(5)]
    assert "1 partitions" in told(*looks)[-1]


def test_a_worker_that_its_group_does_not_know_is_ended_though_nothing_waits():
    assert "not a member" in told(OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE)[-1]


@pytest.mark.parametrize("still", [STILL, OUTSIDE])
@pytest.mark.parametrize("reason", [None, {"busy": True}, {"moved": (5, 0)}, {"moved": (4, 900)}])
def test_a_reason_begins_the_count_anew(still, reason):
    between = None if reason is None else replace(still, **reason)
    assert told(still, still, still, between, still, still) == [None] * 6


@pytest.mark.parametrize("idle", [{}, {ONE: (4, 18)}, {OTHER: (4, 17)}])
def test_a_partition_that_is_done_or_in_hand_or_has_moved_begins_its_count_anew(idle):
    between = replace(STILL, idle=idle)
    assert told(STILL, STILL, STILL, STILL, between, STILL, STILL, STILL) == [None] * 8


def test_what_lies_behind_a_batch_that_waits_for_postgresql_is_not_stuck():
    assert told(*[replace(STILL, held=True)] * 9) == [None] * 9


def test_one_partition_that_hangs_is_seen_though_the_worker_is_held_now_and_then():
    held = replace(STILL, held=True)
    assert "983 records wait" in told(*[STILL, held] * 4, STILL)[-1]


def test_who_is_held_and_not_known_to_its_group_is_ended():
    assert "not a member" in told(*[replace(OUTSIDE, held=True)] * 4)[-1]


def test_who_is_back_in_the_group_begins_anew():
    assert told(OUTSIDE, OUTSIDE, OUTSIDE, replace(OUTSIDE, member=True), OUTSIDE, OUTSIDE) == [None] * 6
