"""What a gateway does with a command: one row a case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from agents.gateways.decide import Next, Verdict, decide
from agents.rules.arbitration import same
from schemas.commands import Command, Effect, Proposal
from schemas.records import Bus, Device, DeviceRole, EffectState, Kind, Position, ResultStatus, Slot

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BLIND = Device(5, 1, "blind", "2", DeviceRole.blind, Bus.knx, "knx-4", knx_floor=4, knx_bloc=2)
COMMAND = Command(
    command_id="c10", room_id="2", device_id=5, kind=Kind.closed_pct, target_pct=100, issued_at=NOW,
    expires_at=NOW + timedelta(seconds=120), cause=Position("log", 3, 10), policy_revision=1,
    winner=Proposal(Slot.comfort, "humid", 100, "humid", NOW),
)  # fmt: skip
LATER = NOW + timedelta(seconds=121)


def effect(command_id: str, state: EffectState, offset: int, log: str = "log", partition: int = 3) -> Effect:
    status = ResultStatus.done if state is EffectState.done else ResultStatus.unknown
    return Effect(command_id, 5, state, Kind.closed_pct, 100, Position(log, partition, offset), NOW, status, 99.6)


OURS_STARTED, OURS_DONE = effect("c10", EffectState.started, 10), effect("c10", EffectState.done, 10)
S = ResultStatus


@pytest.mark.parametrize(
    ("case", "given", "then", "status"),
    [
        ("a fresh command", {}, Next.begin, S.unknown),
        ("at the last moment", {"now": COMMAND.expires_at}, Next.begin, S.unknown),
        ("too late", {"now": LATER}, Next.answer, S.expired),
        ("an older command was done before", {"effect": effect("c9", EffectState.done, 9)}, Next.begin, S.unknown),
        ("an older command was begun before", {"effect": effect("c9", EffectState.started, 9)}, Next.begin, S.unknown),
        ("a newer command is done", {"effect": effect("c11", EffectState.done, 11)}, Next.answer, S.superseded),
        ("a newer command was begun", {"effect": effect("c11", EffectState.started, 11)}, Next.answer, S.superseded),
        ("a later offset of another log", {"effect": effect("c11", EffectState.done, 11, log="old")}, Next.begin, S.unknown),
        (
            "a later offset of another partition",
            {"effect": effect("c11", EffectState.done, 11, partition=4)},
            Next.begin,
            S.unknown,
        ),
        ("a newer command waits", {"newer_waits": True}, Next.answer, S.superseded),
        ("a newer command waits, too late", {"newer_waits": True, "now": LATER}, Next.answer, S.superseded),
        ("done already", {"effect": OURS_DONE}, Next.answer, S.done),
        ("done already, a newer one waits", {"effect": OURS_DONE, "newer_waits": True}, Next.answer, S.done),
        ("done already, too late", {"effect": OURS_DONE, "now": LATER}, Next.answer, S.done),
        ("begun before a crash", {"effect": OURS_STARTED}, Next.look, S.unknown),
        ("begun before a long crash", {"effect": OURS_STARTED, "now": LATER}, Next.look, S.unknown),
        ("begun before a crash, a newer one waits", {"effect": OURS_STARTED, "newer_waits": True}, Next.answer, S.superseded),
        ("nobody has this device", {"device": None}, Next.answer, S.refused),
        ("the device hangs on another bus", {"device": replace(BLIND, bus=Bus.zwave)}, Next.answer, S.refused),
        ("the device has moved to another room", {"device": replace(BLIND, room_id="3")}, Next.answer, S.refused),
        ("the device hangs on another line", {"line_id": "knx-5"}, Next.answer, S.refused),
        ("a blind has no valve", {"command": replace(COMMAND, kind=Kind.valve_pct)}, Next.answer, S.refused),
        ("beyond closed", {"command": replace(COMMAND, target_pct=101)}, Next.answer, S.refused),
        ("not a number", {"command": replace(COMMAND, target_pct=float("nan"))}, Next.answer, S.refused),
    ],
)
def test_the_gateway_decides(case: str, given: dict[str, Any], then: Next, status: ResultStatus) -> None:
    facts: dict[str, Any] = {
        "command": COMMAND, "bus": Bus.knx, "line_id": "knx-4", "device": BLIND, "effect": None, "newer_waits": False, "now": NOW,
    }  # fmt: skip
    facts |= given
    verdict = decide(facts.pop("command"), **facts)
    assert (verdict.next, verdict.status) == (then, status), case
    assert bool(verdict.reason) == (status not in (S.unknown, S.done)), case


def test_an_answer_repeats_what_was_reported() -> None:
    verdict = decide(COMMAND, bus=Bus.knx, line_id="knx-4", device=BLIND, effect=OURS_DONE, newer_waits=False, now=NOW)
    assert verdict == Verdict(Next.answer, ResultStatus.done, 99.6)


@pytest.mark.parametrize(("value", "there"), [(100, True), (99, True), (98.9, False), (float("nan"), False)])
def test_a_read_back_confirms_within_one_percent(value: float, *, there: bool) -> None:
    assert same(value, 100) is there
