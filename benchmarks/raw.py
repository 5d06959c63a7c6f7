"""The baseline of an apply: the same objects, server-side applied by plain httpx and nothing else.

No reads, no checks, no retries: what is faster than this leaves requests out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from modelfleet.cluster.access import Access
from modelfleet.cluster.objects import DEPLOYMENT, Object, ref_of
from modelfleet.cluster.tls import tls_context

FIELD_MANAGER = "benchmarks"


async def apply(access: Access, objects: Sequence[Object], *, in_flight: int) -> float:
    """Apply ``objects``, so many at a time, and return how many seconds it took."""
    async with _connected(access, in_flight=in_flight) as http:
        started = time.monotonic()
        await _apply_all(http, objects, in_flight=in_flight)
        return time.monotonic() - started


async def apply_until_available(
    access: Access, objects: Sequence[Object], *, namespace: str, in_flight: int
) -> float:
    """Apply ``objects`` and watch until every Deployment among them serves; return the seconds."""
    deployments = sum(obj["kind"] == DEPLOYMENT.kind for obj in objects)
    async with _connected(access, in_flight=in_flight) as http:
        started = time.monotonic()
        watching = asyncio.create_task(_all_available(http, namespace, count=deployments))
        await _apply_all(http, objects, in_flight=in_flight)
        await watching
        return time.monotonic() - started


@asynccontextmanager
async def _connected(access: Access, *, in_flight: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=access.server,
        headers={"Authorization": f"Bearer {access.token}"},
        verify=tls_context(access),
        timeout=60,
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=in_flight),
    ) as http:
        (await http.get("/version")).raise_for_status()
        yield http


async def _apply_all(http: httpx.AsyncClient, objects: Sequence[Object], *, in_flight: int) -> None:
    slots = asyncio.Semaphore(in_flight)

    async def applied(obj: Object) -> Any:
        async with slots:
            reply = await http.patch(
                ref_of(obj).path,
                params={"fieldManager": FIELD_MANAGER},
                headers={"Content-Type": "application/apply-patch+yaml"},
                content=json.dumps(obj),
            )
        reply.raise_for_status()
        # Whoever applies wants to see what became of it.
        return reply.json()

    await asyncio.gather(*map(applied, objects))


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
