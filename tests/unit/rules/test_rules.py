"""The default policy as a table: one row a case of the specification."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time as clock

import pytest

from schemas.records import Kind
from tests.stories import BLIND, LAMP, VALVE, ZURICH, Story, local

DAY, NIGHT = "2026-03-02 12:00", "2026-03-02 22:00"
Happens = Callable[[Story], object]


def motion(s: Story) -> Story:
    return s.motion()


def lit(s: Story) -> Story:
    """Occupied and dark by day: the lamp is on, confirmed, and the light has settled."""
    return s.light(5).motion().after(seconds=2).confirms(LAMP).after(seconds=11)


CASES: list[tuple[str, str, dict[str, object], Happens, int, list[float]]] = [
    # what, local time, policy, what happens, actuator, targets commanded in order
    ("occupied heats", DAY, {}, motion, VALVE, [90]),
    ("unknown occupancy sends nothing to the valve", DAY, {}, lambda s: s.humidity(40).light(300), VALVE, []),
    ("unknown occupancy sends nothing to the lamp", NIGHT, {}, lambda s: s.light(0), LAMP, []),
    ("29 min still is not vacant for heating", DAY, {},
     lambda s: s.motion().after(minutes=2).motion(seen=False).after(minutes=29), VALVE, [90]),
    ("30 min still sets back", DAY, {},
     lambda s: s.motion().after(minutes=2).motion(seen=False).after(minutes=30), VALVE, [90, 10]),
    ("stillness alone becomes vacant", DAY, {}, lambda s: s.motion(seen=False).after(minutes=30), VALVE, [10]),
    ("motion again within the timeout changes nothing", DAY, {},
     lambda s: s.motion().motion(seen=False).after(minutes=25).motion().motion(seen=False).after(minutes=25), VALVE, [90]),
    ("motion unrefreshed for 60 min is unknown, not vacant", DAY, {}, lambda s: s.motion().after(hours=3), VALVE, [90]),
    ("valve numbers are policy", DAY, {"valve_occupied_pct": 75.0}, motion, VALVE, [75]),
    ("the vacancy timeout is policy", DAY, {"vacancy_timeout_heating_s": 60},
     lambda s: s.motion().after(minutes=2).motion(seen=False).after(minutes=1), VALVE, [90, 10]),
    ("humid closes", DAY, {}, lambda s: s.humidity(50.1), BLIND, [100]),
    ("50 % is not humid", DAY, {}, lambda s: s.humidity(50), BLIND, [0]),
    ("humid holds down to 45 %", DAY, {}, lambda s: s.humidity(55).after(minutes=10).humidity(45), BLIND, [100]),
    ("below 45 % opens again", DAY, {}, lambda s: s.humidity(55).after(minutes=10).humidity(44.9), BLIND, [100, 0]),
    ("the blind rests between automatic changes", DAY, {},
     lambda s: s.humidity(40).humidity(55).after(minutes=1).humidity(40).after(minutes=3), BLIND, [0, 100]),
    ("and moves when the rest is over", DAY, {},
     lambda s: s.humidity(40).humidity(55).after(minutes=1).humidity(40).after(minutes=4), BLIND, [0, 100, 0]),
    ("humid and dark together: humid wins", DAY, {}, lambda s: s.humidity(55).light(5).motion(), BLIND, [100]),
    ("dark and occupied by day opens", DAY, {"blind_default_closed_pct": 60.0},
     lambda s: s.humidity(40).light(20).motion(), BLIND, [60, 0]),
    ("dark and occupied at night leaves the default", NIGHT, {"blind_default_closed_pct": 60.0},
     lambda s: s.humidity(40).light(20).motion(), BLIND, [60]),
    ("a silent humidity sensor decides nothing", DAY, {}, lambda s: s.humidity(55).after(hours=5), BLIND, [100]),
    ("unknown humidity sends nothing", DAY, {}, lambda s: s.light(300).motion(), BLIND, []),
    ("occupied at 19:00 lights", "2026-03-02 19:00", {}, lambda s: s.light(500).motion(), LAMP, [90]),
    ("occupied at 19:59 lights", "2026-03-02 19:59", {}, lambda s: s.light(500).motion(), LAMP, [90]),
    ("occupied at 18:59 in daylight stays off", "2026-03-02 18:59", {}, lambda s: s.light(500).motion(), LAMP, [0]),
    ("night begins at 19:00 for people already there", "2026-03-02 18:59", {},
     lambda s: s.light(500).motion().after(minutes=1), LAMP, [0, 90]),
    ("occupied at 06:59 lights", "2026-03-02 06:59", {}, lambda s: s.light(500).motion(), LAMP, [90]),
    ("occupied at 07:00 in daylight stays off", "2026-03-02 07:00", {}, lambda s: s.light(500).motion(), LAMP, [0]),
    ("occupied at midnight lights", "2026-03-02 00:00", {}, motion, LAMP, [90]),
    ("by day without a light reading nothing is known", DAY, {}, motion, LAMP, []),
    ("20 lx is dark", DAY, {}, lambda s: s.light(20).motion(), LAMP, [90]),
    ("20.1 lx is not dark", DAY, {}, lambda s: s.light(20.1).motion(), LAMP, [0]),
    ("dark alone lights nothing", DAY, {}, lambda s: s.light(5), LAMP, []),
    ("dark alone lights by the 2020 rule", DAY, {"dark_needs_occupancy": False}, lambda s: s.light(5), LAMP, [90]),
    ("the lamp's own glow does not put it out", DAY, {}, lambda s: lit(s).light(5 + 126), LAMP, [90]),
    ("daylight between 20 and 100 lx holds it", DAY, {}, lambda s: lit(s).light(99 + 126), LAMP, [90]),
    ("daylight above 100 lx puts it out", DAY, {}, lambda s: lit(s).light(101 + 126), LAMP, [90, 0]),
    ("a reading before the lamp settled decides nothing", DAY, {},
     lambda s: s.light(5).motion().after(seconds=1).light(500), LAMP, [90]),
    ("20 min still puts it out", DAY, {}, lambda s: lit(s).motion(seen=False).after(minutes=20), LAMP, [90, 0]),
    ("19 min still does not", DAY, {}, lambda s: lit(s).motion(seen=False).after(minutes=19), LAMP, [90]),
    ("light goes before heating", DAY, {}, lambda s: lit(s).motion(seen=False).after(minutes=29), VALVE, [90]),
    ("a lamp lit at night goes on in a dark morning", "2026-03-02 06:59", {},
     lambda s: s.light(5).motion().confirms(LAMP).after(seconds=11).light(131).after(minutes=2), LAMP, [90]),
    ("a lamp lit at night goes out in a bright morning", "2026-03-02 06:59", {},
     lambda s: s.light(5).motion().confirms(LAMP).after(minutes=1).light(500), LAMP, [90, 0]),
    ("light numbers are policy", NIGHT, {"light_on_pct": 60.0}, motion, LAMP, [60]),
    ("day limits are policy", "2026-03-02 17:30", {"day_ends": clock(17)}, lambda s: s.light(500).motion(), LAMP, [90]),
    # summer time: 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00
    ("06:59 on the day summer time begins", "2026-03-29 06:59", {}, lambda s: s.light(500).motion(), LAMP, [90]),
    ("07:00 on the day summer time begins", "2026-03-29 07:00", {}, lambda s: s.light(500).motion(), LAMP, [0]),
    ("six hours over the spring change reach the day", "2026-03-29 00:30", {},
     lambda s: s.light(500).after(hours=5, minutes=30).light(500).motion(), LAMP, [0]),
    ("19:00 on the day summer time ends", "2026-10-25 19:00", {}, lambda s: s.light(500).motion(), LAMP, [90]),
    ("six and a half hours over the autumn change are still night", "2026-10-25 00:30", {},
     lambda s: s.light(500).after(hours=6, minutes=30).light(500).motion(), LAMP, [90]),
]  # fmt: skip


@pytest.mark.parametrize(("time", "policy", "happens", "actuator", "targets"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_default_policy(time: str, policy: dict[str, object], happens: Happens, actuator: int, targets: list[float]) -> None:
    story = Story(local(time), **policy)
    happens(story)
    assert story.targets(actuator) == targets
    assert story.rejects == []


@pytest.mark.parametrize("change", ["2026-03-28 18:00", "2026-10-24 18:00"])
def test_over_both_summer_time_changes_night_and_day_begin_by_the_wall_clock(change: str) -> None:
    story = Story(local(change))
    wakes = []
    for _ in range(4):
        wake = story.room.wake_at
        assert wake is not None
        wakes.append(wake.astimezone(ZURICH).strftime("%H:%M"))
        story.after(seconds=(wake - story.now).total_seconds())
    assert wakes == ["19:00", "07:00", "19:00", "07:00"]


def test_every_command_says_who_won_and_who_lost() -> None:
    story = Story().humidity(40).hand(Kind.closed_pct, 30.0).humidity(60)
    command = story.commands[-1]
    assert (command.winner.slot, command.winner.value_pct) == ("manual", 30.0)
    blind = story.actuator(BLIND)
    assert [(p.slot, p.rule) for p in blind.losers] == [("comfort", "close when humid"), ("default", "relinquish default")]
