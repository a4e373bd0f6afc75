"""`atrium rooms show ROOM --at TIME`: what the room knew then."""

from __future__ import annotations

from datetime import datetime

import click
import msgspec

from agents.replay.as_of import room_as_of
from streams.commands.common import reached
from streams.commands.stats import unit_of


def show_room_as_of(room_id: str, at: datetime, *, as_json: bool) -> None:
    """Print the room's row as of a past time. Raises `NoHistory`, `DatabaseUnavailable`."""
    room = room_as_of(reached().database, room_id, at)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(room), indent=2).decode())
        return
    position, people = room.position, room.occupancy
    click.echo(
        f"room {room_id} as of {at:%Y-%m-%d %H:%M:%S} UTC, after event {position.log_id}/{position.partition}/{position.offset}"
    )
    click.echo(f"occupancy  light {people.light} since {people.light_since_at:%H:%M:%S}, heating {people.heating}")
    click.echo(f"daylight   day {_said(room.day)}, dark {_said(room.dark)}, bright {_said(room.bright)}, humid {_said(room.humid)}")
    for sensed in room.sensed:
        unit = unit_of(sensed.kind.value)
        click.echo(f"sensed     {sensed.kind} {sensed.value:g} {unit} (device {sensed.device_id}, {sensed.at:%H:%M:%S})")
    for actuator in room.actuators:
        why = actuator.winner.rule if actuator.winner else "nobody"
        lease = f", held by hand until {actuator.lease.until_at:%H:%M:%S}" if actuator.lease else ""
        desired, reported = _pct(actuator.desired_pct), _pct(actuator.reported_pct)
        click.echo(f"actuator   {actuator.kind} {actuator.device_id}: desired {desired}, reported {reported} ({why}{lease})")
    click.echo(
        f"counted    {room.readings:,} readings, {room.late:,} late, {room.rejected:,} refused; policy {room.policy.revision}"
    )


def _said(flag: bool | None) -> str:
    return "unknown" if flag is None else "yes" if flag else "no"


def _pct(value: float | None) -> str:
    return "-" if value is None else f"{value:g} %"
