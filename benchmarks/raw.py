"""The baseline of an apply: the same objects, server-side applied by plain httpx and nothing else.

No reads, no checks, no retries: what is faster than this leaves requests out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx

from modelfleet.cluster.access import Access
from modelfleet.cluster.objects import DEPLOYMENT, Object, ref_of
from modelfleet.cluster.tls import tls_context

FIELD_MANAGER = "benchmarks"


async def apply(access: Access, objects: Sequence[Object], *, in_flight: int) -> float:
    """Apply ``objects``, so many at a time, and return how many seconds it took."""
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        connections = await _connections(access, in_flight, stack)
        await _apply_all(connections, objects)
        return time.monotonic() - started


async def apply_until_available(
    access: Access, objects: Sequence[Object], *, namespace: str, in_flight: int
) -> float:
    """Apply ``objects`` and watch until every Deployment among them serves; return the seconds."""
    deployments = sum(obj["kind"] == DEPLOYMENT.kind for obj in objects)
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        connections = await _connections(access, in_flight + 1, stack)
        watch = _all_available(connections.pop(), namespace, count=deployments)
        await asyncio.gather(watch, _apply_all(connections, objects))
        return time.monotonic() - started


async def _connections(
    access: Access, count: int, stack: AsyncExitStack
) -> list[httpx.AsyncClient]:
    """Return so many clients with one connection each, opened on first use.

    One client with as many connections would be slower: its pool looks at each of them for every
    request.
    """
    context = tls_context(access)
    clients = [
        httpx.AsyncClient(
            base_url=access.server,
            headers={"Authorization": f"Bearer {access.token}"},
            verify=context,
            timeout=60,
            trust_env=False,
        )
        for _ in range(count)
    ]
    for client in clients:
        await stack.enter_async_context(client)
    return clients


async def _apply_all(connections: Sequence[httpx.AsyncClient], objects: Sequence[Object]) -> None:
    waiting = iter(objects)
    await asyncio.gather(*(_apply_some(connection, waiting) for connection in connections))


async def _apply_some(connection: httpx.AsyncClient, waiting: Iterator[Object]) -> None:
    """Apply one object after the other until none is waiting."""
    live: Any
    for obj in waiting:
        reply = await connection.patch(
            ref_of(obj).path,
            params={"fieldManager": FIELD_MANAGER},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=json.dumps(obj),
        )
        live = reply.raise_for_status().json()  # whoever applies wants to see what became of it
        assert live["metadata"]["uid"]


async def _all_available(http: httpx.AsyncClient, namespace: str, *, count: int) -> None:
    path, available = DEPLOYMENT.path(namespace=namespace), set()
    async with http.stream("GET", path, params={"watch": "true"}) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            deployment = json.loads(line)["object"]
            if (deployment.get("status") or {}).get("availableReplicas"):
                available.add(deployment["metadata"]["name"])
            if len(available) == count:
                return
