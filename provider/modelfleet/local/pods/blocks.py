"""Whose links are on the host, and which blocks of addresses they have taken. Changes nothing."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Final

from modelfleet.local.errors import LocalError
from modelfleet.local.pods.network import BLOCKS, NODES, Network

_INTERFACES: Final = Path("/sys/class/net")


def free_block(*, wanted: int) -> int:
    """Return ``wanted`` if no plane of this machine has its addresses, else another free block.

    Raises LocalError when all are taken.
    """
    for block in chain([wanted], range(BLOCKS)):
        if not is_taken(block):
            return block
    raise LocalError(
        f"real nodes: {BLOCKS} planes on this machine have some already.",
        hint="End one of them with `modelfleet local down --state FOLDER`.",
    )


def links_of(alias: str) -> list[str]:
    """Return the links on the host that are marked with ``alias``."""
    return [file.parent.name for file in _INTERFACES.glob("*/ifalias") if _read(file) == alias]


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:  # the link went meanwhile
        return ""


def is_taken(block: int) -> bool:
    """Return whether nodes of a plane have the addresses of ``block`` now."""
    links = (Network(block).host_link(number) for number in range(NODES))
    return any((_INTERFACES / link.names[0]).exists() for link in links)
