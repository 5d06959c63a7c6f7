"""What is called by a name in a cluster: one way to find it, whoever asks.

A service and a proxy may have one name, as may things of several namespaces: a message then calls
each as it can be asked for. Who may not read Secrets finds all but services that run elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import DEPLOYMENT, SECRET, Kind, Object, ref_of
from modelfleet.cluster.records import is_recorded
from modelfleet.errors import ConfigError, ForbiddenError, NotFoundError
from modelfleet.resource_types import MODEL_PROXY, MODEL_SERVICE

KINDS: Final = {"service": MODEL_SERVICE.kind, "proxy": MODEL_PROXY.kind}
"""What people put before a name, and the kind that it stands for."""

_LISTED: Final = "modelfleet ls lists those there are."
_LISTED_ALL: Final = (
    "modelfleet ls lists what modelfleet has made, kubectl get deployments -A the rest."
)
_BLIND: Final = " (external services cannot be looked for without the right to list secrets)"


@dataclass(frozen=True)
class Address:
    """What somebody calls a resource; ``namespace`` and ``kind`` are None where left open."""

    name: str
    namespace: str | None = None
    kind: str | None = None

    def __str__(self) -> str:
        word = next((word for word, kind in KINDS.items() if kind == self.kind), None)
        return "/".join(part for part in (word, self.namespace, self.name) if part)


async def find_primary(client: Client, address: Address) -> Object:
    """Return the primary object of the one service or proxy, of any owner, that is meant.

    Raises:
        NotFoundError: there is none.
        ConfigError: there are several.
    """
    found = await _find(client, address)
    if found.ours:
        return _the_one(address, found.ours)
    if found.others:
        raise _of_others(found.others[0])
    raise _missing(address, found, kinds=" or ".join(KINDS.values()), hint=_LISTED)


async def find_deployed(client: Client, address: Address) -> Object:
    """Return the same, or where nothing of modelfleet is called so, a Deployment of any maker.

    Raises:
        NotFoundError: there is none.
        ConfigError: there are several.
    """
    found = await _find(client, address)
    theirs = [obj for obj in found.others if not is_recorded(obj)]
    if found.ours or theirs:
        return _the_one(address, found.ours or theirs)
    kinds = f"{', '.join(KINDS.values())} or Deployment"
    raise _missing(address, found, kinds=kinds, hint=_LISTED_ALL)


def kind_of(primary: Object) -> str:
    """Return the kind of resource that an object says it is part of, "" where it says none."""
    return str((primary["metadata"].get("labels") or {}).get(labels.KIND, ""))


@dataclass(frozen=True)
class _Found:
    """``ours`` are meant, ``others`` are Deployments that are only called so.

    ``namesakes`` are of another kind than the one asked for.
    """

    ours: Sequence[Object]
    namesakes: Sequence[Object]
    others: Sequence[Object]
    is_blind: bool


async def _find(client: Client, address: Address) -> _Found:
    name, is_blind = address.name, False

    async def listed(kind: Kind, called: str) -> list[Object]:
        nonlocal is_blind
        try:
            listing = await client.list(
                kind, namespace=address.namespace, field_selector=f"metadata.name={called}"
            )
        except ForbiddenError:
            if kind != SECRET:
                raise
            is_blind = True
            return []
        return listing.items

    hosted, proxies, external = await asyncio.gather(
        listed(DEPLOYMENT, name),
        listed(DEPLOYMENT, labels.proxy_object_name(name)),
        listed(SECRET, labels.external_secret_name(name)),
    )
    services = _recorded([*hosted, *external], kind=MODEL_SERVICE.kind)
    ours = [*services, *_recorded(proxies, kind=MODEL_PROXY.kind)]
    meant = [obj for obj in ours if address.kind in (None, kind_of(obj))]
    others = [] if address.kind else [obj for obj in hosted if obj not in services]
    return _Found(meant, [obj for obj in ours if obj not in meant], others, is_blind)


def _recorded(objects: Sequence[Object], *, kind: str) -> list[Object]:
    return [obj for obj in objects if is_recorded(obj) and kind_of(obj) == kind]


def _the_one(address: Address, found: Sequence[Object]) -> Object:
    if len(found) > 1:
        raise ConfigError(
            f"{address} is there several times: {_called(address, found)}.",
            hint="Say which one is meant, as it is called here.",
        )
    return found[0]


def _called(address: Address, found: Sequence[Object]) -> str:
    """Return how each of several that are called so can be asked for."""
    each = [
        Address(
            address.name,
            str(obj["metadata"]["namespace"]),
            kind_of(obj) if is_recorded(obj) else None,
        )
        for obj in found
    ]
    return ", ".join(map(str, sorted(each, key=lambda one: (one.namespace, one.kind))))


def _missing(address: Address, found: _Found, *, kinds: str, hint: str) -> NotFoundError:
    where = f"in namespace {address.namespace}" if address.namespace else "in any namespace"
    cause = f"no {address.kind or kinds} is called so {where}"
    if found.is_blind:
        cause += _BLIND
    if found.namesakes:
        hint = f"There is {_called(address, found.namesakes)}."
    return NotFoundError(address.name, cause, hint=hint)


def _of_others(deployment: Object) -> NotFoundError:
    subject = str(ref_of(deployment))
    if is_recorded(deployment):
        address = Address(
            str(deployment["metadata"]["labels"].get(labels.NAME)),
            deployment["metadata"]["namespace"],
            kind_of(deployment),
        )
        return NotFoundError(
            subject, f"is a part of {address.kind} {address.name}", hint=f"Say {address}."
        )
    return NotFoundError(
        subject,
        "was not made by modelfleet",
        hint="modelfleet ls lists what was, modelfleet import prints a declaration that takes a "
        "Deployment over.",
    )
