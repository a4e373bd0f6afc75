"""What goes to the actuators, and what the gateways note about it."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

from msgspec import Struct

from schemas.records import EffectState, Kind, Position, ResultStatus, Slot


class Input(Struct, frozen=True):
    """A fact a proposal was made from: a kind, or occupied, day (1 or 0); `limit` is what it was held against."""

    name: str
    value: float
    at: datetime | None = None
    limit: float | None = None


class Proposal(Struct, frozen=True):
    """A value somebody wants for an actuator, and why; `inputs` as of `since_at`."""

    slot: Slot
    rule: str
    value_pct: float
    reason: str
    since_at: datetime
    until_at: datetime | None = None
    inputs: tuple[Input, ...] = ()


class Command(Struct, frozen=True):
    """An absolute target for one actuator, with its cause."""

    command_id: str
    room_id: str
    device_id: int
    kind: Kind
    target_pct: float
    issued_at: datetime
    expires_at: datetime
    cause: Position
    policy_revision: int
    winner: Proposal
    losers: tuple[Proposal, ...] = ()
    event: str = ""
    attempt: int = 1


class Effect(Struct, frozen=True):
    """Write-ahead note of a gateway: `started` before the bus is touched, `done` after it confirmed."""

    command_id: str
    device_id: int
    state: EffectState
    kind: Kind
    target_pct: float
    cause: Position
    at: datetime
    status: ResultStatus = ResultStatus.unknown
    reported_pct: float | None = None


def command_id(cause: Position, device_id: int, ordinal: int) -> str:
    """32 hex digits, BLAKE2b-128 of the cause: the same event gives the same id on every re-fold."""
    text = f"{cause.log_id}/{cause.partition}/{cause.offset}/{device_id}/{ordinal}"
    return blake2b(text.encode(), digest_size=16).hexdigest()
