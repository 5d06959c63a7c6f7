"""What the argument NAME of a command may look like. Wrong usage is told; nothing is asked."""

from __future__ import annotations

import typer

from modelfleet.named import KINDS, Address


def address_of(argument: str, namespace: str | None) -> Address:
    """Read NAME, ``namespace/NAME``, or either after ``service/`` or ``proxy/``.

    ``namespace`` is the option beside it. What could be a namespace called ``proxy`` is a kind.

    Raises:
        BadParameter: they contradict one another, or there is no name.
    """
    *before, name = argument.split("/")
    kind = KINDS[before.pop(0)] if before and before[0] in KINDS else None
    space = before.pop(0) if before else None
    if not name or space == "" or before:
        words = ", ".join(f"{word}/NAME" for word in KINDS)
        raise typer.BadParameter(
            f"{argument!r} is neither a name nor namespace/name, nor one of them after a kind: "
            f"{words}."
        )
    if space and namespace not in (None, space):
        raise typer.BadParameter(f"{argument} is not in namespace {namespace}; say one of the two.")
    return Address(name, space or namespace, kind)
