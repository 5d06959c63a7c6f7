"""External services by the thousand: what a fleet writes for each of them, without a fleet.

An external service is one Secret, so that ten thousand of them are there in a minute and nothing
runs for any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack

import httpx

from modelfleet.cluster.access import Access
from modelfleet.cluster.objects import SECRET, Object
from modelfleet.cluster.tls import tls_context
from modelfleet.desired import Desired, Kept
from modelfleet.spec import ModelServiceSpec

OWNER = "modelfleet/benchmarks/querying"
PROVIDERS = ("openai", "anthropic", "deepseek", "tongyi")
TEAMS = ("search", "chat", "code", "voice", "data", "risk", "legal")


def external_services(count: int, *, namespace: str) -> Iterator[Object]:
    """Yield the Secrets of so many services, ``svc-00000`` and so on."""
    for number in range(count):
        spec = ModelServiceSpec.model_validate(
            {
                "model_service_name": f"svc-{number:05}",
                "namespace": namespace,
                "provider": PROVIDERS[number % len(PROVIDERS)],
                "description": f"Number {number}; its limit is a!=b." if number % 3 else None,
                "workspace_id": f"workspace-{number % 5}",
                "tags": {"team": TEAMS[number % len(TEAMS)], "cost-centre": f"{number % 40}"},
                "provider_settings": {
                    "base_url": f"https://models-{number % 9}.example.com/v1",
                    "model_names": [f"model-{number % 100}"],
                    "api_key": "sk-of-nobody",
                },
            }
        )
        desired = Desired(spec, owner=OWNER, incarnation=f"{number:016x}")
        yield from desired.objects(cluster_uid="", kept=Kept())


async def create(access: Access, secrets: Sequence[Object], *, at_once: int = 16) -> None:
    """Create ``secrets``, so many at a time."""
    context, waiting = tls_context(access), iter(secrets)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=access.server,
                    headers={"Authorization": f"Bearer {access.token}"},
                    verify=context,
                    timeout=60,
                    trust_env=False,
                )
            )
            for _ in range(at_once)
        ]

        async def create_some(client: httpx.AsyncClient) -> None:
            for secret in waiting:
                path = SECRET.path(namespace=secret["metadata"]["namespace"])
                (await client.post(path, json=secret)).raise_for_status()

        await asyncio.gather(*map(create_some, clients))
