"""Which service a command is about: NAME, ``namespace/name``, or NAME with ``--namespace``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import typer

from modelfleet.cluster.records import is_recorded
from modelfleet.desired import KIND
from modelfleet.errors import ConfigError, NotFoundError
from modelfleet.fleet import Candidate, Fleet
from modelfleet.service import Service


@dataclass(frozen=True)
class Address:
    """What a user has called a service; ``namespace`` is None where that was left open."""

    namespace: str | None
    name: str

    @classmethod
    def of(cls, name: str, namespace: str | None) -> Address:
        """Read the argument NAME beside ``--namespace``.

        Raises:
            BadParameter: they contradict one another, or there is no name.
        """
        space, slash, short = name.rpartition("/")
        if not short or (slash and (not space or "/" in space)):
            raise typer.BadParameter(f"{name!r} is neither a name nor namespace/name.")
        if space and namespace not in (None, space):
            raise typer.BadParameter(f"{name} is not in namespace {namespace}; say one of the two.")
        return cls(space or namespace, short)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


async def find_service(fleet: Fleet, address: Address) -> Service:
    """Return the one ModelService that ``address`` means, as it was applied last.

    Raises:
        NotFoundError: there is none.
        ConfigError: there are several.
    """
    found = await fleet.find(address.name, namespace=address.namespace)
    services = [each for each in found if each.service.kind == KIND]
    if found and not services:
        raise _of_others(found[0])
    return the_one(
        address,
        services,
        what="no service is called so",
        hint="modelfleet ls lists the services there are.",
    ).service


def the_one(address: Address, found: Sequence[Candidate], *, what: str, hint: str) -> Candidate:
    """Return the one thing that is meant; ``what`` and ``hint`` are told where there is none.

    Raises:
        NotFoundError: there is none.
        ConfigError: there are several.
    """
    if not found:
        where = f"in namespace {address.namespace}" if address.namespace else "in any namespace"
        raise NotFoundError(f"{KIND} {address.name}", f"{what} {where}", hint=hint)
    if len(found) > 1:
        spaces = ", ".join(sorted({each.service.namespace for each in found}))
        raise ConfigError(
            f"{address.name} is there several times, in {spaces}.",
            hint="Say which one is meant, with --namespace.",
        )
    return found[0]


def _of_others(candidate: Candidate) -> NotFoundError:
    is_ours = is_recorded(candidate.primary)
    kind = candidate.service.kind if is_ours else candidate.primary["kind"]
    return NotFoundError(
        f"{kind} {candidate.service.id}",
        f"is not a {KIND}" if is_ours else "was not made by modelfleet",
        hint="modelfleet ls lists the services there are, modelfleet import prints a declaration "
        "that takes a Deployment over.",
    )
