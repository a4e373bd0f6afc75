"""`atrium zwave`: a person on a Z-Wave network. The gateway alone holds it, so every command asks the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from schemas.errors import BuildingError
from streams.commands.common import reached, tell_errors

if TYPE_CHECKING:
    from agents.gateways.zwave_console import Answer, Request, Seen
    from infra.editing.tables import State

_COLUMNS = ("node", "status", "interview", "manufacturer", "product", "firmware", "tells", "is")
_ROLES = ("multisensor", "dimmer")


class BadPin(BuildingError):
    """A PIN that is none, or one where none is wanted."""

    reason = "bad_pin"


@click.group()
def zwave() -> None:
    """Work on the Z-Wave network: its nodes, adopting them as devices, joining, leaving, routes."""


@zwave.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@tell_errors
def nodes(as_json: bool) -> None:
    """List the nodes of the network: how they are, what they tell, and which devices of the building they are."""
    from agents.gateways.zwave_console import Nodes
    from streams.commands.printing import print_json, print_table

    answer, state = _asked(Nodes()), _known()
    if as_json:
        print_json(as_data(answer, state))
        return
    print_table(_COLUMNS, rows(answer, state), "no nodes: `atrium zwave include` lets one join")
    for said in missing(answer, state):
        click.echo(said)


@zwave.command()
@click.argument("node", type=int)
@click.argument("room")
@click.option("--endpoint", type=int, help="Only this endpoint of the node; 0 is the root.")
@click.option("--name", help="Name for people, instead of the product's.")
@click.option("--role", type=click.Choice(_ROLES), help="What it is for, instead of what it looks like.")
@click.option("--dry-run", is_flag=True, help="Print what would change, change nothing.")
@tell_errors
def adopt(node: int, room: str, endpoint: int | None, name: str | None, role: str | None, dry_run: bool) -> None:
    """Make a NODE of the network the building's: a device in a ROOM, or several where it has several endpoints."""
    from agents.gateways.zwave_console import Nodes, NoSuchNode
    from infra.editing import store
    from infra.editing.adopting import adopting, chosen
    from schemas.records import DeviceRole
    from streams.commands.directory import database
    from streams.commands.printing import tell_changes

    answer = _asked(Nodes())
    found = {each.node.node_id: each for each in answer.nodes}
    if node not in found:
        raise NoSuchNode(node, list(found))
    seen = found[node]
    devices = chosen(seen.node, seen.proposed, endpoint, DeviceRole(role) if role else None)
    change = adopting(answer.line_id, node, devices, room, name)
    tell_changes(asyncio.run(store.edit(database(), change, dry_run=dry_run)), dry=dry_run)


@zwave.command()
@click.option("--pin", metavar="12345", help="The five digits on the device: authenticated S2 asks for them.")
@click.option("--no-security", is_flag=True, help="Join without any encryption.")
@tell_errors
def include(pin: str | None, no_security: bool) -> None:
    """Let a node join, until one has or Ctrl-C; then start the inclusion on the device, as its manual says."""
    from agents.gateways.zwave_console import Include, Nodes

    if pin is not None and (len(pin) != 5 or not (pin.isascii() and pin.isdecimal())):
        raise BadPin(f"{pin!r} is no PIN: give the five digits that are underlined on the device, such as 34028")
    if pin is not None and no_security:
        raise BadPin("a PIN is for joining encrypted: give --pin or --no-security")
    answer = _asked(Include(pin, not no_security))
    if answer.stopped:
        click.echo("stopped: no node can join any more")
    there = {each.node.node_id: each for each in _asked(Nodes()).nodes} if answer.came else {}
    for node in answer.came:
        for said in welcome(there[node]) if node in there else ():
            click.echo(said)


@zwave.command()
@tell_errors
def exclude() -> None:
    """Let a node leave, until one has or Ctrl-C; then start the exclusion on the device, as its manual says."""
    from agents.gateways.zwave_console import Exclude

    answer = _asked(Exclude())
    if answer.stopped:
        click.echo("stopped: no node can leave any more")
    state = _known() if answer.went else None
    for node in answer.went:
        for said in farewell(node, answer.line_id, state):
            click.echo(said)


@zwave.command()
@click.argument("node", type=int, required=False)
@tell_errors
def heal(node: int | None) -> None:
    """Rebuild the routes of a NODE, or of all of them; the network is slow meanwhile. Ctrl-C stops all, not a single NODE."""
    from agents.gateways.zwave_console import Heal

    answer = _asked(Heal(node))
    if answer.stopped:
        click.echo(
            "stopped: the routes of the other nodes are as they were" if node is None
            else f"no longer waited for: the controller goes on with node {node} by itself, once it wakes up if it sleeps"
        )  # fmt: skip


def rows(answer: Answer, state: State | None) -> list[Sequence[str]]:
    """One row for each place of each node that is or could be a device; a node's own facts stand in its first."""
    return [row for seen in answer.nodes for row in _rows(seen, answer.line_id, state)]


def _rows(seen: Seen, line_id: str, state: State | None) -> list[Sequence[str]]:
    from infra.editing.adopting import called, devices_at

    node, proposed = seen.node, {each.endpoint: each for each in seen.proposed}
    there = devices_at(state, line_id, node.node_id) if state is not None else {}
    facts = (str(node.node_id), node.status.value, _interview(seen), node.manufacturer, _product(seen), node.firmware)
    found: list[Sequence[str]] = []
    for endpoint in sorted(proposed.keys() | there.keys()):
        told = " ".join(proposed[endpoint].kinds) if endpoint in proposed else ""
        if endpoint in there:
            what = called(there[endpoint])
        elif state is None or not node.ready:
            what = ""
        else:
            only = f" --endpoint {endpoint}" if len(proposed) > 1 else ""
            what = f"atrium zwave adopt {node.node_id} ROOM{only}"
        place = f"{endpoint}: " if endpoint else ""
        found.append((*(facts if not found else ("",) * len(facts)), place + told if told else place.rstrip(), what))
    return found or [(*facts, "", "nothing to adopt" if node.ready else "")]


def _interview(seen: Seen) -> str:
    return "done" if seen.node.ready else seen.node.stage or "not begun"


def _product(seen: Seen) -> str:
    """The product's name; its numbers (manufacturer:type:id) where nobody knows a name."""
    numbers = (seen.node.manufacturer_id, seen.node.product_type, seen.node.product_id)
    return seen.node.product or ("" if None in numbers else ":".join(f"{number:#06x}" for number in numbers))


def missing(answer: Answer, state: State | None) -> list[str]:
    """Devices of the building on this line that no node of the network is."""
    from infra.editing.adopting import called

    there = {each.node.node_id for each in answer.nodes}
    return [
        f"not on the network: node {row['zwave_node']}, {called(row)}"
        for row in (state["devices"].values() if state is not None else ())
        if row["bus"] == "zwave" and row["line_id"] == answer.line_id and row["zwave_node"] not in there
    ]


def as_data(answer: Answer, state: State | None) -> list[Mapping[str, Any]]:
    """The nodes for programs: their facts and values, the devices they could be, and by endpoint the id of those they are."""
    from infra.editing.adopting import devices_at

    return [
        {
            **msgspec.to_builtins(each.node),
            "proposed": msgspec.to_builtins(each.proposed),
            "devices": None if state is None
            else {str(at): row["device_id"] for at, row in devices_at(state, answer.line_id, each.node.node_id).items()},
        }
        for each in answer.nodes
    ]  # fmt: skip


def welcome(seen: Seen) -> list[str]:
    """What a node is that has joined, and how to adopt it."""
    node = seen.node
    name = f"node {node.node_id}: {' '.join(filter(None, (node.manufacturer, _product(seen)))) or 'of an unknown product'}"
    if not node.ready:
        return [f"{name}, its interview goes on ({_interview(seen)}): see `atrium zwave nodes`"]
    if not seen.proposed:
        return [f"{name}, tells nothing that the building reads"]
    told = [
        f"{f'endpoint {each.endpoint} ' if each.endpoint else ''}{each.role}: {', '.join(each.kinds)}" for each in seen.proposed
    ]
    return [f"{name}, {'; '.join(told)}", f"adopt it: atrium zwave adopt {node.node_id} ROOM"]


def farewell(node: int, line_id: str, state: State | None) -> list[str]:
    """Which devices of the building a node was that has left."""
    from infra.editing.adopting import called, devices_at

    if state is None:
        return [f"node {node} has left"]
    there = devices_at(state, line_id, node)
    if not there:
        return [f"node {node} has left; it was no device of the building"]
    return [
        f"node {node} was {called(row)}, which is still there: `atrium devices remove {row['device_id']}`" for row in there.values()
    ]


def _asked(request: Request) -> Answer:
    from agents.gateways.zwave_console import NoGateway, ask
    from infra import status

    home = reached().home
    try:
        return ask(home, request, click.echo)
    except NoGateway as error:
        building = status.read(home)
        gateway = next((part for part in building.parts if part.name == "zwave"), None)
        if gateway is None and building.parts:
            raise NoGateway("no Z-Wave network is named: set ZWAVE_SERIAL_PORT or ZWAVE_SERVER_URL") from error
        if gateway is not None and gateway.state is status.State.ready:
            raise NoGateway("the simulated nodes are reached in process: there is no network to work on") from error
        if gateway is not None:
            raise NoGateway(f"the Z-Wave gateway is {gateway.state}: {gateway.text or 'try again'}") from error
        raise


def _known() -> State | None:
    """The building, where a database can be asked; the network can be looked at without."""
    from infra.editing import store
    from streams.commands.directory import NothingRuns, database
    from streams.database import DatabaseUnavailable

    try:
        return asyncio.run(store.read(database()))
    except (DatabaseUnavailable, NothingRuns, store.DatabaseRefuses) as error:
        click.echo(f"devices are not named: {error}", err=True)
        return None
