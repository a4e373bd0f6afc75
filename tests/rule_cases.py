# ruff: noqa: E501  # a row of a table stays a row
"""The rules as tables: each row is a case of the specification, run by tests/unit/rules/test_rules.py, told in docs/rules.md.

A case: what, local time, policy that differs from the default, what happens, actuator, targets commanded in order.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import time as clock
from datetime import timedelta

from msgspec import Struct

from schemas.records import Kind, LeaseEnd, ResultStatus, ScheduleException, SchedulePeriod, Unasked, Weekday
from tests.stories import BLIND, LAMP, VALVE, Story

DAY, NIGHT = "2026-03-02 12:00", "2026-03-02 22:00"  # a Monday
Happens = Callable[[Story], object]
Case = tuple[str, str, dict[str, object], Happens, int, list[float]]


class Rule(Struct, frozen=True):
    """A rule of docs/rules.md: its title, the slot it proposes in, what it does, and its cases."""

    title: str
    slot: str
    does: str
    cases: tuple[Case, ...]


def motion(s: Story) -> Story:
    return s.motion()


def lit(s: Story) -> Story:
    """Occupied and dark by day: the lamp is on, confirmed, and the light has settled."""
    return s.light(5).motion().after(seconds=2).confirms(LAMP).after(seconds=11)


def falling(s: Story, *values: float) -> Story:
    """A temperature a minute."""
    for value in values:
        s.temperature(value).after(minutes=1)
    return s


def fails(s: Story, device_id: int, times: int, status: ResultStatus = ResultStatus.failed) -> Story:
    """The gateway answers so often in a row that it could not, each time ten minutes later at the latest."""
    for _ in range(times):
        s.confirms(device_id, status).after(minutes=10)
    return s


WEEKDAYS = tuple(Weekday)[1:6]
SETBACK = SchedulePeriod("night setback", Kind.valve_pct, tuple(Weekday)[1:8], clock(22), clock(6))
OFFICE = SchedulePeriod("office hours", Kind.valve_pct, WEEKDAYS, clock(8), clock(17), 60.0)
FESTIVE = SchedulePeriod("holiday", Kind.valve_pct, (Weekday.holiday,), clock(0), clock(0), 5.0)
CHRISTMAS = ScheduleException("2026-12-24", "2027-01-02", Weekday.sunday)

RULES: tuple[Rule, ...] = (
    Rule(
        "Frost protection",
        "safety",
        "Below 6 °C the valve opens fully, whatever else is wanted, until above 7 °C. A sensor that "
        "falls silent meanwhile leaves it open.",
        (
            ("below 6 °C opens", DAY, {}, lambda s: s.temperature(5.9), VALVE, [100]),
            ("6 °C is not frost", DAY, {}, lambda s: s.temperature(6.0).motion(), VALVE, [90]),
            ("a hand does not keep it closed", DAY, {}, lambda s: s.hand(Kind.valve_pct, 0.0).temperature(5), VALVE, [0, 100]),
            ("nor does a maintenance lock", DAY, {}, lambda s: s.locks(Kind.valve_pct, 0.0).temperature(5), VALVE, [0, 100]),
            ("nor an open window", DAY, {}, lambda s: s.window().temperature(5), VALVE, [0, 100]),
            ("it holds up to 7 °C", DAY, {}, lambda s: s.motion().temperature(5).after(minutes=5).temperature(7), VALVE, [90, 100]),
            (
                "above 7 °C the next one takes over",
                DAY,
                {},
                lambda s: s.motion().temperature(5).after(minutes=5).temperature(7.1),
                VALVE,
                [90, 100, 90],
            ),
            ("a silent sensor leaves it open", DAY, {}, lambda s: s.temperature(5).after(hours=2), VALVE, [100]),
            ("the limit is policy", DAY, {"frost_below_c": 8.0}, lambda s: s.temperature(7.5), VALVE, [100]),
        ),
    ),
    Rule(
        "Overheat protection",
        "safety",
        "Above 30 °C the valve closes, whatever else is wanted, until below 28 °C.",
        (
            ("above 30 °C closes", DAY, {}, lambda s: s.motion().temperature(30.1), VALVE, [90, 0]),
            ("30 °C is not too hot", DAY, {}, lambda s: s.motion().temperature(30), VALVE, [90]),
            ("a hand does not open it", DAY, {}, lambda s: s.hand(Kind.valve_pct, 80.0).temperature(31), VALVE, [80, 0]),
            (
                "it holds down to 28 °C",
                DAY,
                {},
                lambda s: s.motion().temperature(31).after(minutes=5).temperature(28),
                VALVE,
                [90, 0],
            ),
            (
                "below 28 °C the next one takes over",
                DAY,
                {},
                lambda s: s.motion().temperature(31).after(minutes=6).temperature(27.9),
                VALVE,
                [90, 0, 90],
            ),
            ("a silent sensor lets go", DAY, {}, lambda s: s.motion().temperature(31).after(minutes=16), VALVE, [90, 0, 90]),
        ),
    ),
    Rule(
        "Maintenance lock",
        "protection",
        "Stops automation and people alike until it is unlocked; only safety moves a locked "
        "actuator. Without a value it stays where it stands. It is no isolation: who works on a valve closes it off.",
        (
            ("automation does not move a locked blind", DAY, {}, lambda s: s.humidity(40).locks().humidity(60), BLIND, [0]),
            ("nor does a hand", DAY, {}, lambda s: s.humidity(40).locks().hand(Kind.closed_pct, 30.0), BLIND, [0]),
            (
                "unlocked, what is wanted then takes over",
                DAY,
                {},
                lambda s: s.humidity(40).locks().humidity(60).unlocks(),
                BLIND,
                [0, 100],
            ),
            ("a lock may name where", DAY, {}, lambda s: s.humidity(60).locks(Kind.closed_pct, 0.0), BLIND, [100, 0]),
            ("no time ends it", DAY, {}, lambda s: s.humidity(40).locks().after(hours=200).humidity(60), BLIND, [0]),
        ),
    ),
    Rule(
        "Window open",
        "protection",
        "A contact says so, or the temperature fell by more than 1.5 K within 5 min: the valve goes to "
        "frost level (0 %) for 30 min at most.",
        (
            ("an open contact closes the valve", DAY, {}, lambda s: s.motion().window(), VALVE, [90, 0]),
            (
                "closed again, heating goes on",
                DAY,
                {},
                lambda s: s.motion().window().after(minutes=3).window(open_=False),
                VALVE,
                [90, 0, 90],
            ),
            (
                "after 30 min heating goes on all the same",
                DAY,
                {},
                lambda s: s.motion().window().after(minutes=29).motion().after(minutes=1),
                VALVE,
                [90, 0, 90],
            ),
            (
                "a contact that goes on saying open does not begin anew",
                DAY,
                {},
                lambda s: s.motion().window().after(minutes=25).window().motion().after(minutes=20),
                VALVE,
                [90, 0, 90],
            ),
            ("a fall of 1.6 K in 5 min closes", DAY, {}, lambda s: falling(s.motion(), 21, 20.6, 20.2, 19.8, 19.4), VALVE, [90, 0]),
            ("a fall of 1.5 K does not", DAY, {}, lambda s: falling(s.motion(), 21, 20.5, 20, 19.5), VALVE, [90]),
            (
                "1.6 K in 8 min is weather",
                DAY,
                {},
                lambda s: falling(s.motion(), 21, 20.8, 20.6, 20.4, 20.2, 20, 19.8, 19.6, 19.4),
                VALVE,
                [90],
            ),
            (
                "one fall is one window",
                DAY,
                {},
                lambda s: falling(s.motion(), 21, 19.4).after(minutes=20).motion().after(minutes=10),
                VALVE,
                [90, 0, 90],
            ),
            ("a hand gives way", DAY, {}, lambda s: s.hand(Kind.valve_pct, 80.0).window(), VALVE, [80, 0]),
            ("0 K leaves it to contacts", DAY, {"window_fall_k": 0.0}, lambda s: falling(s.motion(), 21, 15), VALVE, [90]),
        ),
    ),
    Rule(
        "A person's hold",
        "manual",
        "By page, API, an old route or a wall button: for 2 h, until an instant, until the room is "
        "vacant, or until it is released. Dwell does not bind it.",
        (
            (
                "holds against automation for two hours",
                DAY,
                {},
                lambda s: s.hand(Kind.closed_pct, 20.0).humidity(60).after(minutes=119).humidity(60),
                BLIND,
                [20],
            ),
            (
                "and then gives way",
                DAY,
                {},
                lambda s: s.hand(Kind.closed_pct, 20.0).after(minutes=119).humidity(60).after(minutes=1),
                BLIND,
                [20, 100],
            ),
            (
                "until an instant",
                DAY,
                {},
                lambda s: s.humidity(60).hand(Kind.closed_pct, 20.0, until_at=s.now + timedelta(minutes=10)).after(minutes=10),
                BLIND,
                [100, 20, 100],
            ),
            (
                "until vacant: vacant ends it",
                DAY,
                {},
                lambda s: s.motion().hand(Kind.level_pct, 30.0, ends=LeaseEnd.vacant).motion(seen=False).after(minutes=20),
                LAMP,
                [30, 0],
            ),
            (
                "until vacant: not before",
                DAY,
                {},
                lambda s: s.motion().hand(Kind.level_pct, 30.0, ends=LeaseEnd.vacant).motion(seen=False).after(minutes=19),
                LAMP,
                [30],
            ),
            (
                "until vacant: a hand in an empty room counts as somebody there",
                DAY,
                {},
                lambda s: s.motion(seen=False).after(minutes=20).hand(Kind.level_pct, 30.0, ends=LeaseEnd.vacant).after(hours=3),
                LAMP,
                [0, 30],
            ),
            (
                "until vacant: after a day at the latest",
                DAY,
                {},
                lambda s: s.hand(Kind.valve_pct, 30.0, ends=LeaseEnd.vacant).after(hours=24),
                VALVE,
                [30, 10],
            ),
            (
                "until relinquished",
                DAY,
                {},
                lambda s: s.hand(Kind.closed_pct, 20.0, ends=LeaseEnd.relinquished).after(hours=300).humidity(60),
                BLIND,
                [20],
            ),
            (
                "released, the next takes over without a detour",
                DAY,
                {},
                lambda s: s.humidity(60).hand(Kind.closed_pct, 20.0).after(minutes=1).lets_go(Kind.closed_pct),
                BLIND,
                [100, 20, 100],
            ),
            (
                "extended",
                DAY,
                {},
                lambda s: (
                    s.hand(Kind.closed_pct, 20.0)
                    .after(minutes=110)
                    .extends(Kind.closed_pct)
                    .humidity(60)
                    .after(minutes=100)
                    .humidity(60)
                ),
                BLIND,
                [20],
            ),
            (
                "replaced by another hand",
                DAY,
                {},
                lambda s: s.hand(Kind.closed_pct, 20.0).after(minutes=1).hand(Kind.closed_pct, 70.0),
                BLIND,
                [20, 70],
            ),
            (
                "its length is policy",
                DAY,
                {"manual_lease_s": 60},
                lambda s: s.hand(Kind.valve_pct, 55.0).after(minutes=1),
                VALVE,
                [55, 10],
            ),
        ),
    ),
    Rule(
        "Weekly schedule",
        "schedule",
        "Empty by default. A period holds a target, or the setback, for one kind of actuator; "
        "exceptions and holidays follow another day's periods. It outranks comfort; a hand outranks it.",
        (
            ("a period sets the target", "2026-03-02 07:59", {"schedule": (OFFICE,)}, lambda s: s.after(minutes=1), VALVE, [60]),
            ("it outranks occupancy", DAY, {"schedule": (OFFICE,)}, motion, VALVE, [60]),
            (
                "when it ends comfort takes over",
                "2026-03-02 16:30",
                {"schedule": (OFFICE,)},
                lambda s: s.motion().after(minutes=30),
                VALVE,
                [60, 90],
            ),
            ("a hand outranks it", DAY, {"schedule": (OFFICE,)}, lambda s: s.hand(Kind.valve_pct, 20.0), VALVE, [60, 20]),
            (
                "setback over midnight",
                "2026-03-02 21:59",
                {"schedule": (SETBACK,)},
                lambda s: s.motion().after(minutes=1),
                VALVE,
                [90, 10],
            ),
            ("setback still after midnight", "2026-03-03 05:59", {"schedule": (SETBACK,)}, motion, VALVE, [10]),
            ("not on Saturday", "2026-03-07 12:00", {"schedule": (OFFICE,)}, motion, VALVE, [90]),
            (
                "an exception follows Sunday",
                "2026-12-28 12:00",
                {"schedule": (OFFICE,), "schedule_exceptions": (CHRISTMAS,)},
                motion,
                VALVE,
                [90],
            ),
            (
                "a holiday has its own periods",
                "2026-08-03 12:00",
                {"schedule": (OFFICE, FESTIVE), "holidays": ("2026-08-03",)},
                motion,
                VALVE,
                [5],
            ),
            (
                "of two that overlap the first counts",
                DAY,
                {"schedule": (OFFICE, SchedulePeriod("all day", Kind.valve_pct, WEEKDAYS, clock(0), clock(0), 30.0))},
                motion,
                VALVE,
                [60],
            ),
            (
                "08:00 is 08:00 on the day summer time begins",
                "2026-03-29 07:59",
                {"schedule": (SchedulePeriod("sunday", Kind.valve_pct, (Weekday.sunday,), clock(8), clock(9), 60.0),)},
                lambda s: s.after(minutes=1),
                VALVE,
                [60],
            ),
        ),
    ),
    Rule(
        "Heating by occupancy",
        "comfort",
        "Occupied 90 %, vacant 10 %, vacant 30 min after the last motion. Unknown decides nothing.",
        (
            ("occupied heats", DAY, {}, motion, VALVE, [90]),
            ("unknown occupancy sends nothing to the valve", DAY, {}, lambda s: s.humidity(40).light(300), VALVE, []),
            (
                "29 min still is not vacant for heating",
                DAY,
                {},
                lambda s: s.motion().after(minutes=2).motion(seen=False).after(minutes=29),
                VALVE,
                [90],
            ),
            (
                "30 min still sets back",
                DAY,
                {},
                lambda s: s.motion().after(minutes=2).motion(seen=False).after(minutes=30),
                VALVE,
                [90, 10],
            ),
            ("stillness alone becomes vacant", DAY, {}, lambda s: s.motion(seen=False).after(minutes=30), VALVE, [10]),
            (
                "motion again within the timeout changes nothing",
                DAY,
                {},
                lambda s: s.motion().motion(seen=False).after(minutes=25).motion().motion(seen=False).after(minutes=25),
                VALVE,
                [90],
            ),
            ("motion unrefreshed for 60 min is unknown, not vacant", DAY, {}, lambda s: s.motion().after(hours=3), VALVE, [90]),
            ("valve numbers are policy", DAY, {"valve_occupied_pct": 75.0}, motion, VALVE, [75]),
            (
                "the vacancy timeout is policy",
                DAY,
                {"vacancy_timeout_heating_s": 60},
                lambda s: s.motion().after(minutes=2).motion(seen=False).after(minutes=1),
                VALVE,
                [90, 10],
            ),
            ("light goes before heating", DAY, {}, lambda s: lit(s).motion(seen=False).after(minutes=29), VALVE, [90]),
        ),
    ),
    Rule(
        "Blinds against humidity",
        "comfort",
        "Above 50 % closed, until below 45 %; 5 min between two automatic changes. Outranks daylight.",
        (
            ("humid closes", DAY, {}, lambda s: s.humidity(50.1), BLIND, [100]),
            ("50 % is not humid", DAY, {}, lambda s: s.humidity(50), BLIND, [0]),
            ("humid holds down to 45 %", DAY, {}, lambda s: s.humidity(55).after(minutes=10).humidity(45), BLIND, [100]),
            ("below 45 % opens again", DAY, {}, lambda s: s.humidity(55).after(minutes=10).humidity(44.9), BLIND, [100, 0]),
            (
                "the blind rests between automatic changes",
                DAY,
                {},
                lambda s: s.humidity(40).humidity(55).after(minutes=1).humidity(40).after(minutes=3),
                BLIND,
                [0, 100],
            ),
            (
                "and moves when the rest is over",
                DAY,
                {},
                lambda s: s.humidity(40).humidity(55).after(minutes=1).humidity(40).after(minutes=4),
                BLIND,
                [0, 100, 0],
            ),
            ("humid and dark together: humid wins", DAY, {}, lambda s: s.humidity(55).light(5).motion(), BLIND, [100]),
            ("a silent humidity sensor decides nothing", DAY, {}, lambda s: s.humidity(55).after(hours=5), BLIND, [100]),
            ("unknown humidity sends nothing", DAY, {}, lambda s: s.light(300).motion(), BLIND, []),
        ),
    ),
    Rule(
        "Blinds for daylight",
        "comfort",
        "By day, occupied and dark: open. Dark at 20 lx or less, until above 30 lx.",
        (
            (
                "dark and occupied by day opens",
                DAY,
                {"blind_default_closed_pct": 60.0},
                lambda s: s.humidity(40).light(20).motion(),
                BLIND,
                [60, 0],
            ),
            (
                "dark and occupied at night leaves the default",
                NIGHT,
                {"blind_default_closed_pct": 60.0},
                lambda s: s.humidity(40).light(20).motion(),
                BLIND,
                [60],
            ),
            (
                "dark holds up to 30 lx",
                DAY,
                {"blind_default_closed_pct": 60.0, "lamp_full_lx": 0.0},
                lambda s: s.humidity(40).light(20).motion().after(minutes=6).light(30).humidity(40),
                BLIND,
                [60, 0],
            ),
            (
                "above 30 lx the default takes over",
                DAY,
                {"blind_default_closed_pct": 60.0, "lamp_full_lx": 0.0},
                lambda s: s.humidity(40).light(20).motion().after(minutes=6).light(30.1).humidity(40),
                BLIND,
                [60, 0, 60],
            ),
        ),
    ),
    Rule(
        "Light for people",
        "comfort",
        "Occupied at night, or occupied in the dark: 90 %; held by day until vacant or daylight above "
        "100 lx. Vacant 20 min after the last motion.",
        (
            ("unknown occupancy sends nothing to the lamp", NIGHT, {}, lambda s: s.light(0), LAMP, []),
            ("occupied at 19:00 lights", "2026-03-02 19:00", {}, lambda s: s.light(500).motion(), LAMP, [90]),
            ("occupied at 19:59 lights", "2026-03-02 19:59", {}, lambda s: s.light(500).motion(), LAMP, [90]),
            ("occupied at 18:59 in daylight stays off", "2026-03-02 18:59", {}, lambda s: s.light(500).motion(), LAMP, [0]),
            (
                "night begins at 19:00 for people already there",
                "2026-03-02 18:59",
                {},
                lambda s: s.light(500).motion().after(minutes=1),
                LAMP,
                [0, 90],
            ),
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
            (
                "a reading before the lamp settled decides nothing",
                DAY,
                {},
                lambda s: s.light(5).motion().after(seconds=1).light(500),
                LAMP,
                [90],
            ),
            ("20 min still puts it out", DAY, {}, lambda s: lit(s).motion(seen=False).after(minutes=20), LAMP, [90, 0]),
            ("19 min still does not", DAY, {}, lambda s: lit(s).motion(seen=False).after(minutes=19), LAMP, [90]),
            (
                "a lamp lit at night goes on in a dark morning",
                "2026-03-02 06:59",
                {},
                lambda s: s.light(5).motion().confirms(LAMP).after(seconds=11).light(131).after(minutes=2),
                LAMP,
                [90],
            ),
            (
                "a lamp lit at night goes out in a bright morning",
                "2026-03-02 06:59",
                {},
                lambda s: s.light(5).motion().confirms(LAMP).after(minutes=1).light(500),
                LAMP,
                [90, 0],
            ),
            ("light numbers are policy", NIGHT, {"light_on_pct": 60.0}, motion, LAMP, [60]),
            ("day limits are policy", "2026-03-02 17:30", {"day_ends": clock(17)}, lambda s: s.light(500).motion(), LAMP, [90]),
            ("06:59 on the day summer time begins", "2026-03-29 06:59", {}, lambda s: s.light(500).motion(), LAMP, [90]),
            ("07:00 on the day summer time begins", "2026-03-29 07:00", {}, lambda s: s.light(500).motion(), LAMP, [0]),
            (
                "six hours over the spring change reach the day",
                "2026-03-29 00:30",
                {},
                lambda s: s.light(500).after(hours=5, minutes=30).light(500).motion(),
                LAMP,
                [0],
            ),
            ("19:00 on the day summer time ends", "2026-10-25 19:00", {}, lambda s: s.light(500).motion(), LAMP, [90]),
            (
                "six and a half hours over the autumn change are still night",
                "2026-10-25 00:30",
                {},
                lambda s: s.light(500).after(hours=6, minutes=30).light(500).motion(),
                LAMP,
                [90],
            ),
        ),
    ),
    Rule(
        "Minimum on and off",
        "schedule, comfort and default",
        "Beside the dwell: automation keeps an actuator on, or off, for so long. 0 by default; manual and above are not bound.",
        (
            (
                "a lamp stays on for its minimum",
                NIGHT,
                {"light_min_on_s": 1800, "vacancy_timeout_light_s": 60},
                lambda s: s.motion(seen=False).after(minutes=1).motion().after(minutes=1).motion(seen=False).after(minutes=28),
                LAMP,
                [0, 90],
            ),
            (
                "and goes out when it is over",
                NIGHT,
                {"light_min_on_s": 1800, "vacancy_timeout_light_s": 60},
                lambda s: s.motion(seen=False).after(minutes=1).motion().after(minutes=1).motion(seen=False).after(minutes=29),
                LAMP,
                [0, 90, 0],
            ),
            (
                "a hand puts it out at once",
                NIGHT,
                {"light_min_on_s": 1800, "vacancy_timeout_light_s": 60},
                lambda s: s.motion(seen=False).after(minutes=1).motion().hand(Kind.level_pct, 0.0),
                LAMP,
                [0, 90, 0],
            ),
            (
                "a lamp stays off for its minimum",
                NIGHT,
                {"light_min_off_s": 600, "vacancy_timeout_light_s": 60},
                lambda s: s.motion().motion(seen=False).after(minutes=1).motion().after(minutes=9),
                LAMP,
                [90, 0],
            ),
        ),
    ),
    Rule(
        "Implausible readings",
        "none: what the rules do not hear",
        "Out of range, a jump of more than 10 K, 40 points of humidity or 5,000 ppm that the "
        "next reading does not confirm, or unchanged for a day: flagged, shown, left out of decisions and averages. Silence for "
        "15 min is unknown, never empty.",
        (
            ("one spike decides nothing", DAY, {}, lambda s: s.humidity(40).humidity(95).humidity(41), BLIND, [0]),
            ("the second of its kind is believed", DAY, {}, lambda s: s.humidity(40).humidity(95).humidity(94), BLIND, [0, 100]),
            ("a cold spike is no frost", DAY, {}, lambda s: s.motion().temperature(21).temperature(0).temperature(21), VALVE, [90]),
            (
                "a stuck sensor is unknown",
                DAY,
                {"stuck_after_s": 3600},
                lambda s: (
                    [s.humidity(55).after(minutes=10) for _ in range(7)] and s.hand(Kind.closed_pct, 0.0).lets_go(Kind.closed_pct)
                ),
                BLIND,
                [100, 0, 100],
            ),
            ("silence is not empty", DAY, {}, lambda s: s.motion().after(hours=3), VALVE, [90]),
        ),
    ),
    Rule(
        "Desired and reported",
        "every slot",
        "A command answered otherwise than done is sent again, after 30 s, 1 min, 2 min, while it is still wanted; "
        "then it is a fault (what could only not be verified is shown as that). A value nobody asked for that stands for 10 s is a hand (blinds, lamps) or drift that is corrected (valves).",
        (
            (
                "failed once, done the second time",
                DAY,
                {},
                lambda s: fails(s.motion(), VALVE, 1).confirms(VALVE).after(minutes=10),
                VALVE,
                [90, 90],
            ),
            ("failed for good: four times in all", DAY, {}, lambda s: fails(s.motion(), VALVE, 5), VALVE, [90, 90, 90, 90]),
            (
                "expired is sent again as well",
                DAY,
                {},
                lambda s: fails(s.motion(), VALVE, 1, ResultStatus.expired),
                VALVE,
                [90, 90],
            ),
            (
                "not once another value is wanted",
                DAY,
                {},
                lambda s: (
                    s.motion().confirms(VALVE, ResultStatus.failed).hand(Kind.valve_pct, 20.0).confirms(VALVE).after(minutes=20)
                ),
                VALVE,
                [90, 20],
            ),
            (
                "what nobody can verify is told again within the bounds as well",
                DAY,
                {},
                lambda s: fails(s.motion(), VALVE, 5, ResultStatus.unverified),
                VALVE,
                [90, 90, 90, 90],
            ),
            ("a silent gateway is not flooded", DAY, {}, lambda s: s.motion().after(minutes=50), VALVE, [90]),
            ("the bounds are policy", DAY, {"retry_attempts": 1}, lambda s: fails(s.motion(), VALVE, 3), VALVE, [90, 90]),
            (
                "a valve that drifts is sent back",
                DAY,
                {},
                lambda s: s.motion().confirms(VALVE).reads(Kind.valve_pct, 40.0, device_id=VALVE).after(seconds=10),
                VALVE,
                [90, 90],
            ),
            (
                "a blind moved at its own button is a hand",
                DAY,
                {},
                lambda s: (
                    s.humidity(40)
                    .confirms(BLIND)
                    .reads(Kind.closed_pct, 70.0, device_id=BLIND)
                    .after(seconds=10)
                    .humidity(60)
                    .after(minutes=60)
                ),
                BLIND,
                [0],
            ),
            (
                "whose hold ends like any other",
                DAY,
                {},
                lambda s: (
                    s.humidity(40)
                    .confirms(BLIND)
                    .reads(Kind.closed_pct, 70.0, device_id=BLIND)
                    .after(minutes=110)
                    .humidity(60)
                    .after(minutes=11)
                ),
                BLIND,
                [0, 100],
            ),
            (
                "a blind's can be drift by policy",
                DAY,
                {"blind_unasked": Unasked.drift},
                lambda s: s.humidity(40).confirms(BLIND).reads(Kind.closed_pct, 70.0, device_id=BLIND).after(seconds=10),
                BLIND,
                [0, 0],
            ),
            (
                "a report that comes right again is nothing",
                DAY,
                {},
                lambda s: (
                    s.motion()
                    .confirms(VALVE)
                    .reads(Kind.valve_pct, 40.0, device_id=VALVE)
                    .after(seconds=5)
                    .reads(Kind.valve_pct, 90.0, device_id=VALVE)
                    .after(minutes=1)
                ),
                VALVE,
                [90],
            ),
        ),
    ),
)
"""In the order of docs/rules.md: by slot, then what binds them all."""
