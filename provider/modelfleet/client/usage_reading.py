"""Reading what gateways have printed about requests. Writes nothing, and keeps nothing.

A gateway's output is kept by the cluster for as long as its pod is there, and no further back than
the node keeps logs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime

from modelfleet.client.called import Called
from modelfleet.client.usage import Heard, Price, Usage, currency_of, moment, usage_in
from modelfleet.cluster.logs import Wanted
from modelfleet.errors import NotFoundError
from modelfleet.fleet import Fleet
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.uses import calls_service


async def usage_of(
    fleet: Fleet,
    called: Called,
    *,
    since: datetime | str | None,
    until: datetime | str | None,
    prices: Mapping[str, Price] | None,
) -> Usage:
    """Return what was used of a proxy, or of a service through all proxies of its cluster.

    Raises:
        ValueError: a time is none, or ``prices`` are of several currencies.
        NotFoundError: there is no such resource.
        ForbiddenError: we may not read logs.
    """
    begins, ends = (each if each is None else moment(each) for each in (since, until))
    currency_of(prices)
    proxies = await _proxies_of(fleet, called)
    heard = Heard()
    await asyncio.gather(*(_hear(fleet, *each, heard) for each in proxies))
    of_a_service = called.kind != ModelProxySpec.kind
    return usage_in(
        heard,
        proxies=tuple(sorted("/".join(each) for each in proxies)),
        served_by=(called.namespace, called.name) if of_a_service else None,
        since=begins,
        until=ends,
        prices=prices,
    )


async def _proxies_of(fleet: Fleet, called: Called) -> list[tuple[str, str]]:
    """Return namespace and name of the proxies whose records tell of ``called``."""
    entries = (await fleet.catalogue.fresh()).entries
    place = (called.namespace, called.name)
    if not any((e.key.kind, e.key.namespace, e.key.name) == (called.kind, *place) for e in entries):
        raise NotFoundError(f"{called.kind} {'/'.join(place)}", "there is none")
    if called.kind == ModelProxySpec.kind:
        return [place]
    return [
        (each.key.namespace, each.key.name)
        for each in entries
        if isinstance(each.spec, ModelProxySpec) and calls_service(each.spec, *place)
    ]


async def _hear(fleet: Fleet, namespace: str, name: str, heard: Heard) -> None:
    lines = fleet.logs(
        namespace, name, kind=ModelProxySpec.kind, wanted=Wanted(), on_notice=heard.missing.append
    )
    try:
        async with aclosing(lines):
            async for line in lines:
                heard.take(line)
    except NotFoundError as error:  # it is stopped, or has gone meanwhile
        heard.missing.append(error.message)
