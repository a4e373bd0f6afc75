"""What single Z-Wave products do otherwise than their command classes say: data, each line with its source. Pure.

A file in a source is one of zwave-js/zwave-js 15.29.0, packages/config/config/devices. Regions of a product differ in its product
type or in its product id, so that one of the two is often left open.
"""

from __future__ import annotations

from msgspec import Struct

_ANY: frozenset[int] = frozenset()


class Quirk(Struct, frozen=True):
    """A product's peculiarity. An empty set of product types or ids is any."""

    source: str
    manufacturer_id: int
    product_types: frozenset[int] = _ANY
    product_ids: frozenset[int] = _ANY
    below: tuple[int, ...] = ()
    """Only firmware older than this one; (): any."""
    untyped_is_motion: bool = False
    """Its Binary Sensor of type "Any", where Z-Wave JS puts its Basic Sets, tells motion; elsewhere a door or a leak."""


QUIRKS = (
    Quirk(
        "0x0086/zw100.json: MultiSensor 6, by default Basic Set instead of Binary Sensor Report",
        0x0086, product_ids=frozenset({0x64}), untyped_is_motion=True,
    ),
    Quirk(
        "0x016a/ft100.json: Oomi Multisensor, the same device",
        0x016A, product_ids=frozenset({0x64}), untyped_is_motion=True,
    ),
    Quirk(
        "0x010f/fgms-001_0_3.1.json and zwave-js/zwave-js issue 8764: no Notification before 3.2, Basic Set tells motion",
        0x010F, frozenset({0x0800, 0x0801}), below=(3, 2), untyped_is_motion=True,
    ),
    Quirk(
        "0x0109/zp3102.json: Basic Set tells motion",
        0x0109, frozenset({0x2002}), frozenset(range(0x0201, 0x0206)), untyped_is_motion=True,
    ),
    Quirk(
        "0x0131/zp3102.json: Basic Set tells motion",
        0x0131, frozenset({0x2002}), frozenset({0x0205}), untyped_is_motion=True,
    ),
    Quirk(
        "0x014f/zwn-bpc.json: Basic Set tells motion",
        0x014F, frozenset({0x0601}), frozenset({0x0901}), untyped_is_motion=True,
    ),
    Quirk(
        "0x014f/wapirz-1.json: Basic Set tells motion",
        0x014F, frozenset({0x2002}), frozenset({0x0203}), untyped_is_motion=True,
    ),
    Quirk(
        "0x011a/zwn-bpc_0.0-5.9.json: Basic Set tells motion; 5.10 is the Plus model, without it",
        0x011A, frozenset({0x0601}), frozenset({0x0901}), below=(5, 10), untyped_is_motion=True,
    ),
    Quirk(
        "0x0060/hsp02.json: Basic Set tells motion",
        0x0060, frozenset({0x0001, 0x0101}), frozenset({0x0001, 0x0003}), untyped_is_motion=True,
    ),
)  # fmt: skip


def quirks_of(manufacturer_id: int | None, product_type: int | None, product_id: int | None, firmware: str) -> tuple[Quirk, ...]:
    """The quirks of a product; where the node has not told its firmware, those of any."""
    version = tuple(int(part) for part in firmware.split(".") if part.isdecimal())
    return tuple(
        quirk
        for quirk in QUIRKS
        if quirk.manufacturer_id == manufacturer_id
        and (not quirk.product_types or product_type in quirk.product_types)
        and (not quirk.product_ids or product_id in quirk.product_ids)
        and (not quirk.below or version < quirk.below)
    )
