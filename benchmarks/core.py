"""The core without an engine: ``Fleet.apply`` of many services beside a raw apply of their objects.

Every run gets a namespace of its own, which is gone before the next one starts; runs alternate,
so that a slow minute of the machine meets all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine

from benchmarks import raw
from benchmarks.results import Row, row_of
from benchmarks.services import declaration, names
from benchmarks.site import Site
from benchmarks.written import objects_written
from modelfleet.cluster.client import Client
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.cluster.objects import Object
from modelfleet.fleet import Desired, Fleet, new_incarnation
from modelfleet.plan import plan, spec_of

IN_FLIGHT = 64
LIMIT = 1.5

RAW_AVAILABLE = "core: raw apply, available"

_WARM_UP_SIZE = 5

Seconds = dict[str, list[float]]


def measure_core(site: Site, *, size: int, repeats: int) -> list[Row]:
    """Return the rows of applying ``size`` services, each way ``repeats`` times."""
    seconds: Seconds = defaultdict(list)
    requests = 0.0
    for turn in range(repeats):
        for way, run in _WAYS.items():
            if size > site.gpus and way in (_RAW_AVAILABLE, _AVAILABLE):
                continue  # more than there are GPUs for
            with site.step(f"core: {way}, {size} services ({turn + 1} of {repeats})"):
                namespace = site.create_namespace()
                services = _desired(size, namespace=namespace, way=way)
                taken, sent = asyncio.run(run(site, services, namespace))
                seconds[way].append(taken)
                if way == _ACCEPTED:
                    requests = sent / size
                site.delete_namespace(namespace)
    return _rows(seconds, size=size, requests_per_service=requests)


def warm_up(site: Site) -> None:
    """Have the plane do once what it will be measured at: its first requests are slower."""
    measure_core(site, size=_WARM_UP_SIZE, repeats=1)


def _rows(seconds: Seconds, *, size: int, requests_per_service: float) -> list[Row]:
    pairs: list[tuple[str, str | None, float | None]] = [
        (_RAW, None, None),
        (_RAW_AVAILABLE, None, None),
        (_CLIENT, _RAW, None),
        (_ACCEPTED, _RAW, LIMIT),
        (_AVAILABLE, _RAW_AVAILABLE, LIMIT),
    ]
    rows = [
        row_of(
            f"core: {way}",
            size,
            seconds[way],
            "s",
            baselines=seconds[beside] if beside else (),
            limit=limit,
        )
        for way, beside, limit in pairs
        if way in seconds
    ]
    return [*rows, Row("core: requests per service", size, requests_per_service, "")]


async def _raw(site: Site, services: list[Desired], _namespace: str) -> tuple[float, int]:
    objects, _ = await objects_written(services)
    access = load_access(kubeconfig=str(site.kubeconfig))
    return await raw.apply(access, objects, in_flight=IN_FLIGHT), len(objects)


async def _raw_available(site: Site, services: list[Desired], namespace: str) -> tuple[float, int]:
    objects, _ = await objects_written(services)
    access = load_access(kubeconfig=str(site.kubeconfig))
    seconds = await raw.apply_until_available(
        access, objects, namespace=namespace, in_flight=IN_FLIGHT
    )
    return seconds, len(objects)


async def _client(site: Site, services: list[Desired], _namespace: str) -> tuple[float, int]:
    objects, _ = await objects_written(services)
    client = _new_client(site)

    async def applied(obj: Object) -> None:
        await client.apply(obj, field_manager=raw.FIELD_MANAGER)

    try:
        return await _timed(client, [applied(obj) for obj in objects])
    finally:
        await client.aclose()


async def _fleet(site: Site, services: list[Desired], _namespace: str) -> tuple[float, int]:
    client = _new_client(site)
    fleet = Fleet(client)
    try:
        return await _timed(client, [fleet.apply(service) for service in services])
    finally:
        await fleet.aclose()


_RAW = "raw apply"
_CLIENT = "raw apply, our client"
_ACCEPTED = "apply, accepted"
_RAW_AVAILABLE = RAW_AVAILABLE.removeprefix("core: ")
_AVAILABLE = "apply, available"

_Way = Callable[[Site, list[Desired], str], Coroutine[None, None, tuple[float, int]]]
_WAYS: dict[str, _Way] = {
    _RAW: _raw,
    _ACCEPTED: _fleet,
    _CLIENT: _client,
    _RAW_AVAILABLE: _raw_available,
    _AVAILABLE: _fleet,
}


async def _timed(client: Client, work: list[Awaitable[object]]) -> tuple[float, int]:
    before, started = client.requests.total(), time.monotonic()
    await asyncio.gather(*work)
    return time.monotonic() - started, client.requests.total() - before


def _new_client(site: Site) -> Client:
    return Client(load_access(kubeconfig=str(site.kubeconfig)), in_flight=IN_FLIGHT)


def _desired(size: int, *, namespace: str, way: str) -> list[Desired]:
    until = "available" if way == _AVAILABLE else "accepted"
    inputs = (declaration(name, namespace=namespace, until=until) for name in names(size))
    return [
        Desired(
            spec=spec_of(plan(each).inputs),
            owner="organization/benchmarks/core",
            incarnation=new_incarnation(),
            urn=f"urn:pulumi:core::benchmarks::modelfleet:ModelService::{each['model_service_name']}",
        )
        for each in inputs
    ]
