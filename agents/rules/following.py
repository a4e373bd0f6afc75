"""Desired and reported: a command's life, bounded repetition, a fault that people see, a value nobody asked for.

Only an answer repeats a command: what a silent gateway has not begun expires by itself, and it says so when it is back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from agents.rules.arbitration import AUTOMATIC, same, stays
from agents.rules.policy import unasked
from schemas.commands import Command
from schemas.records import CommandResult, Policy, ResultStatus, Slot, Unasked
from schemas.rows import Actuator, CommandState, Lease, Sent

RECENT_MOST = 4
"""Commands whose life a room's row tells; history has all."""
UNASKED_SOURCE = "hand at the device"
_MAY_BE_A_HAND = AUTOMATIC | {Slot.manual}


def commanded(was: Actuator, actuator: Actuator, command: Command) -> Actuator:
    """The actuator with a command under way. Only a real automatic change starts the dwell."""
    now, target = command.issued_at, command.target_pct
    automatic = command.winner.slot in AUTOMATIC and was.desired_pct is not None and was.desired_pct != target
    again = command.attempt > 1
    sent = Sent(
        command.command_id, target, now, command.cause, command.event, command.policy_revision, command.attempt, CommandState.sent
    )
    return replace(
        actuator,
        desired_pct=target,
        desired_at=actuator.desired_at if again else now,
        auto_changed_at=now if automatic else actuator.auto_changed_at,
        pending_command_id=command.command_id,
        pending_until_at=now + 2 * (command.expires_at - now),  # begun when it expires at the latest, and as long again to finish
        attempts=command.attempt,
        trying_since_at=actuator.trying_since_at if again else now,
        retry_at=None,
        astray_since_at=None,
        fault=actuator.fault if again else "",
        fault_since_at=actuator.fault_since_at if again else None,
        recent=(sent, *actuator.recent[: RECENT_MOST - 1]),
    )


def repeats(actuator: Actuator, now: datetime) -> bool:
    """Whether the present target is due to be sent again: only while whoever wanted it still wants it."""
    winner = actuator.winner
    return (
        actuator.retry_at is not None
        and now >= actuator.retry_at
        and actuator.pending_command_id is None
        and winner is not None
        and winner.value_pct == actuator.desired_pct
        and not stays(actuator, winner)
    )


def answered(actuator: Actuator, result: CommandResult, policy: Policy, now: datetime) -> Actuator:
    """The actuator with one of its commands answered; a late answer to the last one counts as well."""
    recent = tuple(
        replace(sent, state=CommandState(result.status.value), reason=result.reason, ended_at=now)
        if sent.command_id == result.command_id and sent.state in (CommandState.sent, CommandState.unanswered)
        else sent
        for sent in actuator.recent
    )
    pending = actuator.pending_command_id == result.command_id
    late = actuator.pending_command_id is None and bool(recent) and recent[0] != actuator.recent[0]
    actuator = replace(actuator, recent=recent)
    if not pending and not late:
        return actuator
    actuator = replace(
        actuator, pending_command_id=None, pending_until_at=None, last_status=result.status, last_reason=result.reason
    )
    reported = result.reported_pct
    if result.status is ResultStatus.done or (
        reported is not None and actuator.desired_pct is not None and same(reported, actuator.desired_pct)
    ):
        return _reached(actuator)
    return _missed(actuator, f"{result.status.value}: {result.reason}" if result.reason else result.status.value, policy, now)


def reported(actuator: Actuator, value_pct: float, now: datetime) -> Actuator:
    """The actuator with its own word of where it stands."""
    actuator = replace(actuator, reported_pct=value_pct, reported_at=now)
    if actuator.pending_command_id is not None or actuator.desired_pct is None:
        return actuator
    if same(value_pct, actuator.desired_pct):
        told = actuator.attempts or actuator.fault or actuator.astray_since_at is not None
        return _reached(actuator) if told else actuator
    if actuator.attempts == 0 and actuator.astray_since_at is None and actuator.retry_at is None:
        return replace(actuator, astray_since_at=now)
    return actuator


def on_time(actuator: Actuator, policy: Policy, now: datetime) -> Actuator:
    """What time makes of it: an answer that does not come is a fault, a value nobody asked for a hand or drift."""
    if actuator.pending_until_at is not None and now >= actuator.pending_until_at:
        actuator = _unanswered(actuator, now)
    if actuator.astray_since_at is not None and now >= actuator.astray_since_at + timedelta(seconds=policy.astray_after_s):
        actuator = _unasked(actuator, policy, now)
    return actuator


def deadlines(actuator: Actuator, policy: Policy) -> Iterator[datetime]:
    """When time alone will change it."""
    if actuator.pending_until_at is not None:
        yield actuator.pending_until_at
    if actuator.retry_at is not None:
        yield actuator.retry_at
    if actuator.astray_since_at is not None:
        yield actuator.astray_since_at + timedelta(seconds=policy.astray_after_s)


def wanted_anew(actuator: Actuator) -> Actuator:
    """The actuator once a person asks: what strayed or failed counts as never commanded, so that it is commanded again."""
    astray = (
        actuator.pending_command_id is None
        and actuator.reported_pct is not None
        and actuator.desired_pct is not None
        and not same(actuator.reported_pct, actuator.desired_pct)
    )
    failed = actuator.pending_command_id is None and bool(actuator.retry_at or actuator.fault)
    return replace(_reached(actuator), desired_pct=None) if astray or failed else actuator


def _reached(actuator: Actuator) -> Actuator:
    return replace(
        actuator, attempts=0, trying_since_at=None, retry_at=None, astray_since_at=None, fault="", fault_since_at=None
    )  # fmt: skip


def _missed(actuator: Actuator, why: str, policy: Policy, now: datetime) -> Actuator:
    """After a failure: again after a pause that doubles, within bounds; then a fault.

    What could only not be verified is no fault: it may well stand where it should, and `last_status` says that nobody knows.
    """
    pause_s = min(policy.retry_first_s * 2 ** min(max(actuator.attempts - 1, 0), 20), policy.retry_longest_s)
    retry_at = now + timedelta(seconds=pause_s)
    since = actuator.trying_since_at or now
    if actuator.attempts <= policy.retry_attempts and retry_at <= since + timedelta(seconds=policy.retry_expiry_s):
        return replace(actuator, retry_at=retry_at)
    if actuator.last_status is ResultStatus.unverified:
        return replace(actuator, retry_at=None, fault="", fault_since_at=None)
    times = f"sent {actuator.attempts} times, " if actuator.attempts > 1 else ""
    return replace(actuator, retry_at=None, fault=f"{times}{why}", fault_since_at=now)


def _unanswered(actuator: Actuator, now: datetime) -> Actuator:
    why = "the gateway did not answer"
    recent = tuple(
        replace(sent, state=CommandState.unanswered, reason=why) if sent.command_id == actuator.pending_command_id else sent
        for sent in actuator.recent
    )
    return replace(
        actuator, pending_command_id=None, pending_until_at=None, last_status=ResultStatus.failed, last_reason=why, recent=recent,
        fault=why, fault_since_at=now,
    )  # fmt: skip


def _unasked(actuator: Actuator, policy: Policy, now: datetime) -> Actuator:
    """A hand takes the manual slot where a hand may; else the target is sent again."""
    what, value, winner = unasked(policy, actuator.kind), actuator.reported_pct, actuator.winner
    actuator = replace(actuator, astray_since_at=None)
    if what is Unasked.nothing or value is None or winner is None:
        return actuator
    if what is Unasked.hand and winner.slot in _MAY_BE_A_HAND:
        until = now + timedelta(seconds=policy.manual_lease_s)
        lease = Lease(value, UNASKED_SOURCE, "moved at the device itself", now, until)
        return replace(actuator, lease=lease, desired_pct=value, desired_at=now)
    return replace(actuator, retry_at=now)
