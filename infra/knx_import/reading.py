"""PURE: what an ETS project says of a group address: its datapoint type, who tells and takes, which function that makes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from agents.gateways.knx_functions import FUNCTIONS

_WORDS = {
    "slat": r"slat|lamell|louvre",
    "valve": r"valve|radiator|heating|actuating|heiz|ventil|stellgr|vanne|chauffage",
    "position": r"blind|shutter|shade|jalous|roll?laden|store|raffstore|position",
    "setpoint": r"setpoint|set point|target|soll|consigne",
    "rain": r"rain|regen|niederschlag|pluie",
    "humidity": r"humid|feucht",
}
"""What people call things, in English, German and French: where a datapoint type alone leaves it open."""
_BY_DPT = {
    "1.007": "stop", "1.008": "up_down", "1.010": "stop", "1.018": "occupancy", "1.019": "window", "9.004": "illuminance",
    "9.005": "wind", "9.007": "humidity", "9.008": "co2", "20.102": "mode",
}  # fmt: skip


def three_levels(raw: int) -> str:
    """A group address in three levels, whatever style the project shows."""
    return f"{raw >> 11}/{raw >> 8 & 7}/{raw & 255}"


def dpt_of(found: Mapping[str, Any] | None) -> str | None:
    """As 5.001 of {"main": 5, "sub": 1}; None where the project leaves the subtype open."""
    if not found or found.get("sub") is None:
        return None
    return f"{found['main']}.{found['sub']:03}"


def mismatch(address: Mapping[str, Any], objects: Iterable[Mapping[str, Any]]) -> str | None:
    """Why an address and the objects linked to it are not of one datapoint type, if they are not."""
    own = address.get("dpt")
    for each in objects:
        mains = {dpt["main"] for dpt in each.get("dpts", ())}
        if own and mains and own["main"] not in mains:
            theirs = ", ".join(sorted(f"{main}.x" for main in mains))
            return (
                f"{three_levels(address['raw_address'])} ({address['name']}) is DPT {dpt_of(own) or own['main']}, and object"
                f" {each['text'] or each['name']} of device {each['device_address']}, linked to it, is DPT {theirs}"
            )
    return None


def function_of(number: str, words: str, *, tells: bool, moves: bool) -> str | None:
    """The function of an address by its type, by what it is called, and whether its device tells or takes; None: not to be known.

    `moves`: it belongs to something that goes up and down.
    """

    def called(what: str) -> bool:
        return re.search(_WORDS[what], words, re.IGNORECASE) is not None

    if number == "5.001":
        name = next((each for each in ("humidity", "slat", "valve", "position") if called(each)), "position" if moves else None)
        if moves and name == "valve":
            name = "position"
    elif number == "9.001":
        name = "setpoint" if called("setpoint") else "temperature"
    elif number == "1.005":
        name = "rain" if called("rain") else "alarm"
    else:
        name = _BY_DPT.get(number)
    if name is not None and tells and f"{name}_status" in FUNCTIONS:
        return f"{name}_status"
    return name
