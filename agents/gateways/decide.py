"""PURE: what a gateway does with a command, given what it noted, what it knows of the device, the time and what waits behind."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from agents.rules.devices import ACTUATES
from schemas.commands import Command, Effect
from schemas.records import Bus, Device, EffectState, Position, ResultStatus


class Next(StrEnum):
    """What to do with a command."""

    begin = "begin"
    """Note it, then touch the bus."""
    look = "look"
    """It was begun before a crash: read the bus, repeat only if it differs."""
    answer = "answer"
    """It is over: say how it ended, touch nothing."""


class Verdict(Struct, frozen=True):
    """What to do, and for `answer` how the command ended."""

    next: Next
    status: ResultStatus = ResultStatus.unknown
    reported_pct: float | None = None
    reason: str = ""


def decide(
    command: Command, *, bus: Bus, line_id: str, device: Device | None, effect: Effect | None, newer_waits: bool, now: datetime
) -> Verdict:
    """Say what to do with a command of a line. `effect` is the device's last one; `now` is UTC."""
    if effect is not None and effect.command_id == command.command_id and effect.state is EffectState.done:
        return Verdict(Next.answer, effect.status, effect.reported_pct, "" if effect.status is ResultStatus.done else "as before")
    if refusal := refusal_of(command, bus, line_id, device):
        return Verdict(Next.answer, ResultStatus.refused, reason=refusal)
    if effect is not None and _older(command.cause, effect.cause):
        return Verdict(Next.answer, ResultStatus.superseded, reason="a newer command has been carried out")
    if newer_waits:
        return Verdict(Next.answer, ResultStatus.superseded, reason="a newer command waits")
    if effect is not None and effect.command_id == command.command_id:
        return Verdict(Next.look)
    if now > command.expires_at:
        return Verdict(Next.answer, ResultStatus.expired, reason=f"not begun by {command.expires_at:%H:%M:%S} UTC")
    return Verdict(Next.begin)


def refusal_of(command: Command, bus: Bus, line_id: str, device: Device | None) -> str | None:
    """Why a command is not this device's on this line, if it is not."""
    if device is None:
        return f"no device {command.device_id}"
    if device.bus is not bus or device.line_id != line_id:
        return f"device {device.device_id} hangs on {device.bus} line {device.line_id}, not on {bus} line {line_id}"
    if device.room_id != command.room_id:
        return f"device {device.device_id} is in room {device.room_id}, not in room {command.room_id}"
    if ACTUATES.get(device.role) is not command.kind:
        return f"device {device.device_id} is a {device.role}: it takes no {command.kind}"
    if not 0 <= command.target_pct <= 100:
        return f"{command.target_pct:g} is no percentage"
    return None


def _older(cause: Position, than: Position) -> bool:
    """Only positions of one partition of one log have an order."""
    return (cause.log_id, cause.partition) == (than.log_id, than.partition) and cause.offset < than.offset
