"""What the tests of proxies share: declarations, a Progress that remembers, and live objects."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from fleets import OWNER, hosted

from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import DEPLOYMENT, SECRET, Object, Ref
from modelfleet.errors import NotReadyError
from modelfleet.fleet import Desired, Fleet, new_incarnation
from modelfleet.gateway.upstreams import upstream_id
from modelfleet.local.api import Api
from modelfleet.plan import plan, resource_spec_of
from modelfleet.resource_types import MODEL_PROXY
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import routes_of

NAME = "gate"
SMALL = {"cpu": 0.1, "memory": 1024}

BESIDE = [
    "Secret gate-proxy",
    "ConfigMap gate-proxy-*",
    "NetworkPolicy gate-proxy",
    "Service gate-proxy",
    "Deployment gate-proxy",
]
"""What a proxy of one replica consists of, the hash of its configuration left out."""


class Told:
    """A Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.waited: list[str] = []
        self.notices: list[str] = []

    def __call__(self, text: str) -> None:
        self.waited.append(text)

    def tell(self, text: str) -> None:
        self.notices.append(text)

    def end(self) -> None:
        pass


def to_url(host: str = "up.example.com", **fields: Any) -> dict[str, Any]:
    """Return a target outside the cluster."""
    return {"base_url": f"https://{host}/v1", "model_name": "m", **fields}


def proxy(namespace: str, *targets: Any, **fields: Any) -> dict[str, Any]:
    """Return a small proxy with one route, ``chat``; a target that is a text is a service."""
    declared = [{"service": each} if isinstance(each, str) else each for each in targets]
    return {
        "model_proxy_name": NAME,
        "namespace": namespace,
        "routes": {"chat": {"targets": declared or [to_url()]}},
        "wait": {"until": "all", "timeout_seconds": 240},
        **SMALL,
        **fields,
    }


def service(namespace: str, name: str, **fields: Any) -> dict[str, Any]:
    """Return a hosted service that is ready as soon as its pod is."""
    return {**hosted(namespace), "model_service_name": name, **fields}


def planned(inputs: Mapping[str, Any], *, prior: Mapping[str, Any] | None = None) -> ModelProxySpec:
    result = plan(inputs, of=MODEL_PROXY, prior=prior)
    assert not result.problems, result.problems
    spec = resource_spec_of(result.inputs, of=MODEL_PROXY)
    assert isinstance(spec, ModelProxySpec)
    return spec


def desired(inputs: Mapping[str, Any], **others: Any) -> Desired:
    """Return a creation of what is declared."""
    fields = {"owner": OWNER, "incarnation": new_incarnation(), **others}
    return Desired(spec=planned(inputs), **fields)


def updated(former: Desired, inputs: Mapping[str, Any], **others: Any) -> Desired:
    """Return an update of a proxy to what is declared now; its generated keys stay."""
    fields = {
        "owner": former.owner,
        "former_owner": former.owner,
        "prior": former.spec,
        "keys": former.keys,
        "prior_keys": former.keys,
        **others,
    }
    return Desired(spec=planned(inputs), incarnation=former.incarnation, **fields)


async def deployment(client: Client, namespace: str) -> Object:
    found = await client.get(Ref(DEPLOYMENT, namespace, f"{NAME}-proxy"))
    assert found is not None
    return found


async def keys_in(client: Client, namespace: str) -> dict[str, Any]:
    """Return the keys that the cluster knows, by hash."""
    secret = await client.get(Ref(SECRET, namespace, f"{NAME}-proxy"))
    assert secret is not None
    keys: dict[str, Any] = json.loads(base64.b64decode(secret["data"]["keys.json"]))["keys"]
    return keys


def make_secret(api: Api, namespace: str, name: str, **values: str) -> None:
    api.send(
        "POST",
        f"/api/v1/namespaces/{namespace}/secrets",
        json={"metadata": {"name": name}, "stringData": values},
    )


async def failed(
    fleet: Fleet, known: Desired, *words: str, seconds: float = 2, progress: Told | None = None
) -> NotReadyError:
    """Return why an apply fails, given ever more time until it says ``words``.

    How long a cluster takes to say them is its own affair; who gives up is always told why.
    """
    while True:
        with pytest.raises(NotReadyError) as caught:
            await fleet.apply(known, timeout_seconds=seconds, progress=progress)
        if seconds > 120 or all(each in str(caught.value) for each in words):
            return caught.value
        seconds *= 4


def findings(spec: ModelProxySpec, **of_host: Any) -> dict[str, Any]:
    """Return what ``/upstreams`` answers: all is well but for hosts in ``of_host``."""
    found = {}
    for name, route in routes_of(spec).items():
        for upstream in route.upstreams:
            seen = {"status": 200, "reason": None}
            for part, (status, reason) in of_host.items():
                if part in upstream.base_url:
                    seen = {"status": status, "reason": reason}
            found[upstream_id(name, upstream)] = {"field": upstream.path, **seen}
    return {"upstreams": found}
