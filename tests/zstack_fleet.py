"""A fleet behind the query API within one process: services as a cluster has them, and nobody else.

The API server is a transport that lists what it is given, and then has no news. Everything above it
is the real thing: client, catalogue, guard, routes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from modelfleet.adapters.query_api.account_file import AccountsForm
from modelfleet.adapters.query_api.accounts import Accounts
from modelfleet.adapters.query_api.application import application
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.passwords import Cost, PasswordHash, sha512_of
from modelfleet.adapters.query_api.settings import Settings
from modelfleet.adapters.query_api.zstack_api import FORMS, OPERATIONS
from modelfleet.agentrun.paging import Pages
from modelfleet.agentrun.registry import Registry
from modelfleet.catalogue import Catalogue, Snapshot
from modelfleet.cluster.access import Access
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import Object
from modelfleet.desired import Desired, Kept
from modelfleet.fleet import Fleet
from modelfleet.plan import plan
from modelfleet.resource_types import MODEL_PROXY, TYPES

SERVICES: Final = "/zstack/v1/ai/model-services"
PASSWORD: Final = "correct horse battery staple"
SECRET: Final = "0123456789abcdef0123456789abcdef"
QUICK: Final = Cost(n=2, r=1, p=1)

HOSTED: Final[Mapping[str, Any]] = {
    "description": "Answers questions.",
    "tags": {"team": "search", "tier": "gold"},
    "deployment": {
        "model": {"uri": "hf://Qwen/Qwen3-8B", "revision": "abc123"},
        "gpu": {"count": 2, "product": "NVIDIA-H100-80GB-HBM3", "compute_capability": 9.0},
        "cpu": 7.5,
        "memory_gib": 96,
        "cpu_architecture": "amd64",
        "env": {"NAME": "value", "TOKEN": {"secret": "hub/token"}},
        "secret_env": {"PRIVATE": "not to be seen"},
    },
}
EXTERNAL: Final[Mapping[str, Any]] = {
    "provider": "openai",
    "model_type": "text-embedding",
    "provider_settings": {"base_url": "https://api.example.com/v1", "api_key": "sk-not-to-be-seen"},
}


def service(name: str, *, of: Mapping[str, Any] = HOSTED, **fields: Any) -> Object:
    """Return the primary object of a service as its cluster has it, serving."""
    return _live(
        {"model_service_name": name, "namespace": "models", **of, **fields}, TYPES["ModelService"]
    )


def proxy(name: str, *, to: str) -> Object:
    """Return the primary object of a proxy."""
    target = {"base_url": to, "model_name": "m"}
    declared = {
        "model_proxy_name": name,
        "namespace": "models",
        "routes": {"chat": {"targets": [target]}},
    }
    return _live(declared, MODEL_PROXY)


def _live(declared: Mapping[str, Any], of: Any) -> Object:
    planned = plan(declared, of=of)
    assert planned.problems == (), planned.problems
    spec = of.model.model_validate(planned.inputs)
    desired = Desired(spec, owner="acme/models/prod", incarnation="abc")
    primary = desired.objects(cluster_uid="the-cluster", kept=Kept(b"key", "redis"))[-1]
    metadata = primary["metadata"]
    digest = hashlib.md5(desired.id.encode() + of.kind.encode(), usedforsecurity=False).hexdigest()
    replicas = (primary.get("spec") or {}).get("replicas", 0)
    status = {
        "observedGeneration": 1,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
    }
    return {
        **primary,
        **({"status": status} if primary["kind"] == "Deployment" else {}),
        "metadata": {
            **metadata,
            "uid": f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}",
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": "2026-11-02T13:04:05Z",
        },
    }


class StillApi(httpx.AsyncBaseTransport):
    """An API server that lists objects, and tells of no change."""

    def __init__(self, objects: Sequence[Object], *, reachable: bool = True) -> None:
        self._objects = objects
        self._reachable = reachable

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self._reachable:
            raise httpx.ConnectError("connection refused")
        if request.url.path.endswith("/kube-system"):
            return httpx.Response(200, json={"metadata": {"uid": "the-cluster"}})
        if request.url.params.get("watch"):
            return httpx.Response(200, stream=_Silence())
        plural = request.url.path.rsplit("/", 1)[1]
        items = [obj for obj in self._objects if f"{obj['kind'].lower()}s" == plural]
        return httpx.Response(200, json={"metadata": {"resourceVersion": "9"}, "items": items})


class _Silence(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


def _client(objects: Sequence[Object], *, reachable: bool = True) -> Client:
    access = Access(server="https://api:6443", source="a test")
    return Client(access, http=StillApi(objects, reachable=reachable))


async def snapshot_of(objects: Sequence[Object]) -> Snapshot:
    """Return what the catalogue says of a cluster with these objects."""
    client = _client(objects)
    catalogue = Catalogue(client, settle_seconds=0)
    try:
        return await catalogue.fresh()
    finally:
        await catalogue.aclose()
        await client.aclose()


ACCOUNTS: Final[Sequence[Mapping[str, Any]]] = (
    {"name": "everybody", "namespaces": "*", "may_write": True},
    {"name": "reader", "namespaces": "*"},
    {"name": "team-a", "namespace": "models", "workspaces": ["a"]},
    {"name": "team-b", "namespace": "models", "workspaces": ["b"]},
    {"name": "elsewhere", "namespace": "other"},
)


def accounts_form(accounts: Sequence[Mapping[str, Any]] = ACCOUNTS) -> AccountsForm:
    """Return a file of accounts; each has the password, and a key ``key-of-<name>``."""
    password_hash = PasswordHash.made(sha512_of(PASSWORD), cost=QUICK).text
    return AccountsForm.model_validate(
        {
            "accounts": [
                {
                    "password_hash": password_hash,
                    "access_keys": [{"id": f"key-of-{each['name']}", "secret": SECRET}],
                    **each,
                }
                for each in accounts
            ]
        }
    )


@dataclass(frozen=True)
class Served:
    """The query API of one fleet, and a client of it that has proved nothing yet."""

    http: httpx.AsyncClient
    parts: Parts

    async def log_in(self, name: str = "everybody") -> dict[str, str]:
        """Open a session and return the headers that show it."""
        said = {"accountName": name, "password": sha512_of(PASSWORD)}
        response = await self.http.put("/zstack/v1/accounts/login", json={"logInByAccount": said})
        response.raise_for_status()
        return {"Authorization": f"OAuth {response.json()['inventory']['uuid']}"}

    async def query(
        self, *conditions: str, account: str = "everybody", **parameters: Any
    ) -> httpx.Response:
        """Return the answer to a query, by a session of its own."""
        params = [*(("q", each) for each in conditions), *parameters.items()]
        return await self.http.get(SERVICES, params=params, headers=await self.log_in(account))

    async def names(self, *conditions: str, account: str = "everybody") -> list[str]:
        """Return the names of the services that fulfil all conditions."""
        response = await self.query(*conditions, account=account, fields="name", limit=10_000)
        assert response.status_code == 200, response.text
        return [each["name"] for each in response.json()["inventories"]]


@asynccontextmanager
async def served(
    objects: Sequence[Object],
    *,
    accounts: Sequence[Mapping[str, Any]] = ACCOUNTS,
    reachable: bool = True,
    **settings: Any,
) -> AsyncIterator[Served]:
    """Serve a cluster with these objects, to this process alone."""
    fleet = Fleet(_client(objects, reachable=reachable))
    said = Settings(**{"account_rate": 1e6, "address_rate": 1e6, **settings})
    parts = Parts.of(
        fleet,
        registry=Registry(fleet),
        pages=Pages(),
        accounts=Accounts(accounts_form(accounts)),
        settings=said,
    )
    app = application(parts, OPERATIONS, forms=FORMS)
    async with app.router.lifespan_context(app):
        if reachable:
            await parts.catalogue.fresh()
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://served") as http:
            yield Served(http, parts)
    await fleet.aclose()
