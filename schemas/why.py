"""PURE: why an actuator is as it is, in a sentence for whoever looks after the building."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from schemas.commands import Input, Proposal
from schemas.policy import zone_of
from schemas.records import Kind, LeaseEnd, Policy, Slot
from schemas.rows import Actuator

_ASKED = {
    "frost protection": "opening against frost",
    "overheat protection": "closing against overheating",
    "window open": "closing for an open window",
    "maintenance lock": "the maintenance lock",
    "weekly schedule": "the schedule",
    "heat when occupied": "heating for people",
    "set back when vacant": "setting back",
    "close when humid": "closing against humidity",
    "daylight when dark": "opening for daylight",
    "light when dark": "light in the dark",
    "light at night": "light for the night",
    "light until bright": "light until it is bright",
    "off when vacant": "switching off in the empty room",
    "off by day": "switching off by day",
}
"""What each rule asked for, as the subject of a sentence."""
_UNITS = {"humidity_pct": "%", "temperature_c": "°C", "illuminance_lx": "lx", "co2_ppm": "ppm", "fall_k": "K"}


def sentence(name: str, actuator: Actuator, policy: Policy, now: datetime) -> str:
    """Why the actuator called `name` is as it is at `now`, its times by the building's clock."""
    tell = _Clock(policy, now)
    name = name[:1].upper() + name[1:]
    winner = actuator.winner
    if winner is None or actuator.desired_pct is None:
        if winner is not None and winner.slot is Slot.protection:
            return f"{name} stays where it stands because {_because(actuator, winner, tell)}."
        return f"{name} has been told nothing yet: not enough is known of the room."
    parts = [f"{name} {_state(actuator)} because {_because(actuator, winner, tell)}"]
    parts += _lost(actuator, winner)
    parts += _relief(winner, policy, tell)
    parts += _trouble(actuator, tell)
    return "; ".join(parts) + "."


class _Clock:
    """Instants as the building's clocks show them; with the day where it is another."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self._zone = zone_of(policy.time_zone)
        self._today = now.astimezone(self._zone).date()

    def __call__(self, at: datetime) -> str:
        local = at.astimezone(self._zone)
        return f"{local:%H:%M}" if local.date() == self._today else f"{local:%H:%M} on {local.day} {local:%B}"


def _state(actuator: Actuator) -> str:
    said = position(actuator.kind, actuator.desired_pct or 0.0)
    verb = "is" if actuator.pending_command_id is None else "is to be"
    return f"{verb} {'at ' if said.endswith('%') else ''}{said}"


def position(kind: Kind, value_pct: float) -> str:
    """A value as people speak of it; blinds in percent open."""
    if kind is Kind.closed_pct:
        return "closed" if value_pct == 100 else "open" if value_pct == 0 else f"{100 - value_pct:g} % open"
    return "off" if kind is Kind.level_pct and value_pct == 0 else f"{value_pct:g} %"


def _because(actuator: Actuator, winner: Proposal, tell: _Clock) -> str:
    if winner.slot is Slot.manual:
        return _by_hand(actuator, winner, tell)
    if winner.rule == "dwell":
        until = f" and may move again at {tell(winner.until_at)}" if winner.until_at else ""
        return f"it {winner.reason}{until}"
    if winner.rule == "maintenance lock":
        return f"it is {winner.reason} (since {tell(winner.since_at)})"
    if winner.rule == "weekly schedule":
        return f"the schedule says so ({winner.reason})"
    facts = [_fact(each, tell) for each in winner.inputs]
    return " and ".join(facts) if facts else winner.reason


def _by_hand(actuator: Actuator, winner: Proposal, tell: _Clock) -> str:
    lease = actuator.lease
    if lease is not None and lease.ends is LeaseEnd.relinquished:
        end = "until it is released"
    elif lease is not None and lease.ends is LeaseEnd.vacant:
        end = "until the room is empty"
    else:
        end = f"until {tell(winner.until_at)}" if winner.until_at else ""
    reason = f" ({lease.reason})" if lease is not None and lease.reason else ""
    return f"it was set by hand ({winner.rule}) at {tell(winner.since_at)}{reason} {end}".rstrip()


def _fact(fact: Input, tell: _Clock) -> str:
    at = f" at {tell(fact.at)}" if fact.at else ""
    since = f" since {tell(fact.at)}" if fact.at else ""
    match fact.name:
        case "occupied":
            return f"{'somebody has been' if fact.value else 'nobody has been'} there{since}"
        case "day":
            return "it is day" if fact.value else "it is night"
        case "window_open":
            return f"a window has been open{since}"
    unit = _UNITS.get(fact.name, "")
    limit = f" (limit {fact.limit:g} {unit})" if fact.limit is not None else ""
    match fact.name:
        case "humidity_pct":
            return f"humidity was {fact.value:g} {unit}{at}{limit}"
        case "temperature_c":
            return f"the temperature was {fact.value:g} {unit}{at}{limit}"
        case "illuminance_lx":
            return f"the light was {fact.value:g} {unit}{at}{limit}"
        case "fall_k":
            return f"the temperature fell by {fact.value:g} {unit}{at}{limit}"
        case _:
            return f"{fact.name} was {fact.value:g}{at}{limit}"


def _lost(actuator: Actuator, winner: Proposal) -> list[str]:
    asked = [_asked(actuator, loser) for loser in actuator.losers if loser.slot is not Slot.default]
    if not asked:
        return []
    if winner.rule == "dwell":
        return [f"{_listed(asked)} waits" if len(asked) == 1 else f"{_listed(asked)} wait"]
    return [f"{_listed(asked)} {'was' if len(asked) == 1 else 'were'} asked and lost"]


def _asked(actuator: Actuator, loser: Proposal) -> str:
    if loser.slot is Slot.manual:
        return f"{position(actuator.kind, loser.value_pct)} by hand ({loser.rule})"
    return _ASKED.get(loser.rule, loser.rule)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _relief(winner: Proposal, policy: Policy, tell: _Clock) -> list[str]:
    """What would change it."""
    empty = f"{policy.vacancy_timeout_light_s / 60:g} min after the last motion"
    match winner.rule if winner.slot is not Slot.manual else "":
        case "close when humid":
            return [f"it may open again below {policy.humid_clear_below_pct:g} %"]
        case "frost protection":
            return [f"it may close again above {policy.frost_below_c + policy.frost_hysteresis_k:g} °C"]
        case "overheat protection":
            return [f"it may open again below {policy.overheat_above_c - policy.overheat_hysteresis_k:g} °C"]
        case "window open":
            until = winner.since_at.timestamp() + policy.window_hold_s
            return [f"heating goes on at {tell(datetime.fromtimestamp(until, winner.since_at.tzinfo))} at the latest"]
        case "heat when occupied":
            return [f"it is set back {policy.vacancy_timeout_heating_s / 60:g} min after the last motion"]
        case "light when dark" | "light until bright":
            return [f"it goes out above {policy.bright_above_lx:g} lx or {empty}"]
        case "light at night":
            return [f"it goes out {empty}"]
        case _:
            return []


def _trouble(actuator: Actuator, tell: _Clock) -> list[str]:
    if actuator.fault:
        return [f"but it does not follow: {actuator.fault}"]
    if actuator.retry_at is not None:
        why = actuator.last_reason or actuator.last_status.value
        return [f"but it has not followed yet ({why}) and is told again at {tell(actuator.retry_at)}"]
    return []
