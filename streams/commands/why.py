"""`atrium why ROOM DEVICE [--at TIME]`: why an actuator is, or was, as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from schemas.errors import BuildingError
from streams.commands.common import reached, tell_errors
from streams.commands.instant import Instant

if TYPE_CHECKING:
    from schemas.commands import Proposal
    from schemas.rows import Actuator, Room


class NoActuator(BuildingError):
    """The room has no such actuator."""

    reason = "no_actuator"


@click.command()
@click.argument("room_id", metavar="ROOM")
@click.argument("device_id", metavar="DEVICE", type=int)
@click.option("--at", type=Instant(), help="As it was then, out of history: ISO 8601, local without an offset.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@tell_errors
def why(room_id: str, device_id: int, at: datetime | None, as_json: bool) -> None:
    """Say why actuator DEVICE of ROOM is as it is: the facts, what else was asked, what would change it."""
    import msgspec.json

    from agents.replay.as_of import room_as_of
    from schemas.why import sentence

    at = at or datetime.now(UTC)
    room = room_as_of(reached().database, room_id, at)
    actuator = next((each for each in room.actuators if each.device_id == device_id), None)
    if actuator is None:
        there = ", ".join(str(each.device_id) for each in room.actuators) or "none"
        raise NoActuator(f"room {room_id} has no actuator {device_id}: there are {there}")
    name = next((each.name for each in room.devices if each.device_id == device_id), f"device {device_id}")
    told = sentence(name, actuator, room.policy, min(at, room.now_at) if room.policy.clock == "recorded" else at)
    if as_json:
        found = {"why": told, "policy_revision": room.policy.revision, "actuator": actuator}
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    click.echo(told)
    _tell_array(actuator)
    _tell_command(actuator, room)


def _tell_array(actuator: Actuator) -> None:
    from schemas.why import position

    def line(proposal: Proposal) -> str:
        until = f", until {proposal.until_at:%Y-%m-%d %H:%M} UTC" if proposal.until_at else ""
        value = position(actuator.kind, proposal.value_pct)
        return f"  {proposal.slot.value:10} {value:12} {proposal.rule}: {proposal.reason}{until}"

    for proposal in actuator.slots:
        click.echo(line(proposal))
    for proposal in actuator.losers:
        if proposal not in actuator.slots:
            click.echo(f"{line(proposal)} (outranked)")


def _tell_command(actuator: Actuator, room: Room) -> None:
    for sent in actuator.recent[:1]:
        cause = f"{sent.cause.log_id}/{sent.cause.partition}/{sent.cause.offset}"
        ended = f" at {sent.ended_at:%H:%M:%S} UTC" if sent.ended_at else ""
        click.echo(f"last command {sent.command_id}: {sent.state.value}{ended}{f' ({sent.reason})' if sent.reason else ''}")
        click.echo(
            f"  caused by {sent.event or 'an event'} {cause}, decided by policy {sent.policy_revision}, attempt {sent.attempt}"
        )
    click.echo(f"policy in force: revision {room.policy.revision}")
