"""How the Z-Wave network is reached, and the keys of those of its nodes that encrypt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import urlsplit

from msgspec import Struct

KEY_VARIABLES = (
    "ZWAVE_S0_KEY",
    "ZWAVE_S2_UNAUTHENTICATED_KEY",
    "ZWAVE_S2_AUTHENTICATED_KEY",
    "ZWAVE_S2_ACCESS_CONTROL_KEY",
    "ZWAVE_LR_S2_AUTHENTICATED_KEY",
    "ZWAVE_LR_S2_ACCESS_CONTROL_KEY",
)
"""S0, the three classes of S2, and the two of Long Range; a network has those that its nodes use."""
_KEY = re.compile(r"[0-9a-fA-F]{32}")


class ZwaveDriverName(StrEnum):
    """Which driver holds the network."""

    zwave_js = "zwave-js"
    openzwave = "openzwave"
    simulated = "simulated"


class SecurityKeys(Struct, frozen=True):
    """Keys by the variable that gave them; shown by name only, so that printed settings can be passed on."""

    by_variable: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SecurityKeys({', '.join(self.by_variable)})"

    __str__ = __repr__


def why_no_key(text: str) -> str | None:
    """What is wrong with a key, without a word of it."""
    return None if _KEY.fullmatch(text) else "is not a key: give 32 hexadecimal digits"


def why_no_url(text: str) -> str | None:
    """What is wrong with the URL of a Z-Wave JS server."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    return None if usable else "is not a Z-Wave JS server's URL: give ws://host:port"


def conflict(env: Mapping[str, str]) -> str | None:
    """Which variables contradict each other, and what would do."""
    url, serial_port = env.get("ZWAVE_SERVER_URL"), env.get("ZWAVE_SERIAL_PORT")
    if url and serial_port:
        return "ZWAVE_SERVER_URL and ZWAVE_SERIAL_PORT are both set: the stick is that server's, or the embedded one's"
    driver = env.get("ATRIUM_ZWAVE_DRIVER") or ZwaveDriverName.zwave_js
    if driver == ZwaveDriverName.openzwave and not serial_port:
        return "ZWAVE_SERIAL_PORT is not set, but ATRIUM_ZWAVE_DRIVER='openzwave' needs it: it holds the stick itself"
    return None
