"""Rooms are woken when they asked to be, once."""

from datetime import UTC, datetime, timedelta

from streams.alarms import Alarms

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def minutes(count):
    return NOON + timedelta(minutes=count)


def test_an_alarm_is_due_at_its_instant_and_given_once():
    alarms = Alarms()
    alarms.set("2", minutes(5))
    alarms.set("1", minutes(3))
    assert alarms.next_at() == minutes(3)
    assert alarms.take_due(minutes(2)) == []
    assert alarms.take_due(minutes(5)) == [("1", minutes(3)), ("2", minutes(5))]
    alarms.set("2", minutes(5))
    assert alarms.take_due(minutes(60)) == []


def test_setting_again_replaces_and_none_cancels():
    alarms = Alarms()
    alarms.set("2", minutes(5))
    alarms.set("2", minutes(9))
    alarms.set("3", minutes(5))
    alarms.set("3", None)
    assert alarms.take_due(minutes(8)) == []
    assert alarms.take_due(minutes(9)) == [("2", minutes(9))]
    assert alarms.next_at() is None


def test_an_alarm_whose_tick_could_not_be_sent_is_due_again_unless_the_room_wants_another():
    alarms = Alarms()
    for room_id in ("1", "2"):
        alarms.set(room_id, minutes(1))
    taken = alarms.take_due(minutes(1))
    alarms.set("2", minutes(7))
    for room_id, wake_at in taken:
        alarms.put_back(room_id, wake_at)
    assert alarms.take_due(minutes(2)) == [("1", minutes(1))]
    assert alarms.take_due(minutes(7)) == [("2", minutes(7))]


def test_replaced_alarms_do_not_pile_up():
    alarms = Alarms()
    for number in range(10_000):
        alarms.set("2", minutes(20) + timedelta(milliseconds=number))
    assert len(alarms._heap) < 200
    assert alarms.take_due(minutes(21)) == [("2", minutes(20) + timedelta(milliseconds=9_999))]


def test_after_a_rebalance_the_same_alarm_may_ring_again():
    alarms = Alarms()
    alarms.set("2", minutes(1))
    assert alarms.take_due(minutes(1)) == [("2", minutes(1))]
    alarms.clear()
    alarms.set("2", minutes(1))
    assert alarms.take_due(minutes(1)) == [("2", minutes(1))]
