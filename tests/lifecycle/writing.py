"""What the tests of apply and delete share: objects to write, and others who write them too."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.cluster.objects import Object
from modelfleet.cluster.ownership import Ownership
from modelfleet.cluster.tls import tls_context

OWNER = "acme/fleet/prod"
OURS = Ownership(OWNER)
MANAGER = OURS.field_manager


def owned(obj: Object, *, name: str = "qwen", owner: str = OWNER, incarnation: str = "1") -> Object:
    """Return ``obj`` with the labels and annotations of an object of resource ``name``."""
    metadata = {
        **obj["metadata"],
        "labels": labels.object_labels(kind="ModelService", name=name, owner=owner),
        "annotations": {labels.OWNER: owner, labels.INCARNATION: incarnation},
    }
    return {**obj, "metadata": metadata}


def config_map(namespace: str, name: str, **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def deployment(
    namespace: str, name: str = "qwen", *, container: str = "engine", **spec: Any
) -> Object:
    pod_labels = labels.selector(kind="ModelService", name=name)
    engine = {"name": container, "image": "vllm:1", "env": [{"name": "A", "value": "1"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": pod_labels},
            "template": {"metadata": {"labels": pod_labels}, "spec": {"containers": [engine]}},
            **spec,
        },
    }


@dataclass(frozen=True)
class Kubectl:
    """The real kubectl, which is what most of the other writers use."""

    environment: Mapping[str, str]
    namespace: str

    def __call__(self, *arguments: str, given: Object | None = None) -> str:
        done = subprocess.run(
            ["kubectl", "--namespace", self.namespace, *arguments],
            input=json.dumps(given) if given else None,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, obj: Object, *, manager: str) -> None:
        """Apply ``obj`` server-side, as another tool that manages objects does."""
        self("apply", "--server-side", f"--field-manager={manager}", "-f", "-", given=obj)


class Between(httpx.AsyncBaseTransport):
    """The network to the plane, on which something happens right after the first read.

    It happens between our read of an object and our write. ``answer``, if any, takes the place
    of what that read returned.
    """

    def __init__(
        self,
        kubeconfig: str,
        *,
        happens: Callable[[], Awaitable[None]] | None = None,
        answer: httpx.Response | None = None,
    ) -> None:
        access = load_access(kubeconfig=kubeconfig)
        self._network = httpx.AsyncHTTPTransport(verify=tls_context(access))
        self._happens = happens
        self._answer = answer
        self._is_done = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._network.handle_async_request(request)
        if request.method != "GET" or self._is_done:
            return response
        self._is_done = True
        await response.aread()
        if self._happens is not None:
            await self._happens()
        return self._answer or response

    async def aclose(self) -> None:
        await self._network.aclose()


def interrupted(kubeconfig: str, between: Between) -> Client:
    """Return a client to whom something happens between read and write."""
    return Client(load_access(kubeconfig=kubeconfig), http=between)


async def in_thread(call: Callable[[], Any]) -> None:
    """Do something that blocks, such as calling kubectl."""
    await asyncio.to_thread(call)
