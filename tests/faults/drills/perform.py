"""Performing one drill: load, disturb, recover, come to rest, strike the balance, judge."""

from __future__ import annotations

import asyncio
import time

from msgspec import Struct

from tests.faults.drills.account import Account, missing_places, settle
from tests.faults.drills.catalogue import Drill, Spans
from tests.faults.drills.recovery import marked, marks_after, shown
from tests.faults.drills.stand import Stand


class Row(Struct, frozen=True, kw_only=True):
    """What a drill came to; `faults` is empty when every promise was kept."""

    drill: Drill
    account: Account
    recovery_s: float
    notes: tuple[str, ...]
    faults: tuple[str, ...]
    took_s: float


async def perform(stand: Stand, drill: Drill, spans: Spans) -> Row:
    """Run one drill on a stand that is at rest."""
    began = time.monotonic()
    stand.notes.clear()
    stand.ended.clear()
    stand.faults.clear()
    stand.moments.clear()
    await stand.settle(rest_s=0.0)  # the last drill left it at rest
    heard = {device_id: len(point.heard) for device_id, point in stand.field.points.items()}
    stood = {device_id: point.value for device_id, point in stand.field.points.items()}
    stand.sow()
    await stand.sown()
    await asyncio.sleep(spans.calm)
    await drill.disturb(stand, spans)
    ended_at = time.time()
    stand.tell_load("plain")
    _, live, afterwards = drill.recovery
    probe, _ = await asyncio.gather(live(stand, ended_at), asyncio.sleep(spans.calm))
    await stand.ready()
    await asyncio.sleep(spans.calm / 2)
    marks = await marked(stand, ended_at)
    moments = {name: (marks_after(stand, at), at) for name, at in stand.moments.items()}
    entries = await stand.reap()
    page = stand.take_earlier(await stand.settle())
    told = {device_id: point.heard[heard[device_id] :] for device_id, point in stand.field.points.items()}
    missing = missing_places(page, await stand.kept(page)) + len(page.topic_commands.keys() - await stand.kept_commands())
    account = settle(page, entries, told, stood, missing)
    await stand.retire("rooms-2")
    recovery = probe if probe is not None else afterwards(page, marks, ended_at)
    assert recovery is not None
    stand.notes += [f"{name} within {shown(page, *moment):.1f} s" for name, moment in moments.items()]
    if unmeant := set(stand.ended) - drill.ends:
        stand.faults.append(f"ended by themselves: {', '.join(sorted(unmeant))}")
    if stand.ended:
        stand.notes.append(f"ended and began anew: {', '.join(stand.ended)}")
    return Row(
        drill=drill, account=account, recovery_s=max(0.0, recovery), notes=tuple(stand.notes),
        faults=(*stand.faults, *judge(drill, account, spans, recovery)), took_s=time.monotonic() - began,
    )  # fmt: skip


def judge(drill: Drill, account: Account, spans: Spans, recovery: float) -> list[str]:
    """The promises that were not kept."""
    extra = spans.kills if drill.gateway_kills else 0
    never = (
        ("readings lost", account.lost), ("readings doubled", account.doubled), ("missing in history", account.history_missing),
        ("rows other than the fold's", account.differing), ("commands of the fold not in the topic", account.commands_missing),
        ("commands in the topic unknown to the fold", account.commands_foreign), ("commands unanswered", account.unanswered),
        ("state changes lost", account.changes_lost), ("state changes doubled", account.changes_doubled),
        ("extra telegrams", max(0, account.extra_telegrams - extra)), ("rejects without a dead letter", account.letters_missing),
        ("dead letters about good records", account.strays), ("commands swayed by repeats", account.swayed),
        ("dead letters nobody meant", sum(n for reason, n in account.letters.items() if reason not in drill.letters)),
    )  # fmt: skip
    faults = [f"{count} {what}" for what, count in never if count]
    if recovery == float("inf"):
        faults.append("not recovered")
    if not account.sent or not account.commands_fold:
        faults.append("no load: nothing was proved")
    return faults
