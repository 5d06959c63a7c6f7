"""What the tests of the fleet share: declarations, what they plan, and what is in the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    Object,
    Ref,
    ref_of,
)
from modelfleet.errors import NotReadyError
from modelfleet.fleet import Desired, Fleet, new_incarnation
from modelfleet.local.api import Api
from modelfleet.local.stages import node_selector, toleration
from modelfleet.plan import plan, spec_of
from modelfleet.spec import ModelServiceSpec
from modelfleet.spec.merge import merged

_OWNED = (
    SECRET,
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    NETWORK_POLICY,
    SERVICE,
    POD_DISRUPTION_BUDGET,
    STATEFUL_SET,
    DEPLOYMENT,
)

OWNER = "acme/fleet/prod"
OTHER_OWNER = "acme/other/prod"

ENGINE = {"name": "engine", "image": "registry.example.com/engine:1"}
"""A runtime that needs no GPU, so that tests do not wait for one another's."""


def hosted(
    namespace: str, fields: Mapping[str, Any] | None = None, **others: Any
) -> dict[str, Any]:
    """Return a declaration of a service that is ready as soon as its pod is."""
    smallest = {
        "model_service_name": "qwen",
        "namespace": namespace,
        "deployment": {
            "model": {"uri": "file:///models/qwen"},
            "runtime": ENGINE,
            "cpu": 1,
            "drain_seconds": 0,
        },
        "wait": {"until": "all", "timeout_seconds": 240},
    }
    return merged(smallest, {"deployment": fields or {}}, others)


def external(namespace: str, **settings: Any) -> dict[str, Any]:
    return {
        "model_service_name": "qwen",
        "namespace": namespace,
        "provider_settings": {"base_url": "https://api.example.com/v1", **settings},
    }


def behaving(behaviour: str) -> dict[str, Any]:
    """Return what a deployment declares to have its pods behave so."""
    accepted = {key: value for key, value in toleration().items() if key in ("key", "operator")}
    return {"node_selector": node_selector(behaviour), "tolerations": [accepted, GPU_NODES]}


GPU_NODES = {"key": "nvidia.com/gpu", "operator": "Exists"}


def planned(
    inputs: Mapping[str, Any], *, prior: Mapping[str, Any] | None = None
) -> ModelServiceSpec:
    return spec_of(plan(inputs, prior=prior).inputs)


def desired(inputs: Mapping[str, Any], **others: Any) -> Desired:
    """Return a creation of what is declared."""
    fields = {"owner": OWNER, "incarnation": new_incarnation(), **others}
    return Desired(spec=planned(inputs), **fields)


def updated(former: Desired, inputs: Mapping[str, Any], **others: Any) -> Desired:
    """Return an update of a service to what is declared now."""
    fields = {"owner": former.owner, "former_owner": former.owner, "prior": former.spec, **others}
    return Desired(spec=planned(inputs), incarnation=former.incarnation, **fields)


async def objects_in(client: Client, namespace: str, *, name: str = "qwen") -> dict[Ref, Object]:
    """Return every object of a service, asked from the API server."""
    lists = await asyncio.gather(
        *(
            client.list(kind, namespace=namespace, label_selector=f"{labels.NAME}={name}")
            for kind in _OWNED
        )
    )
    return {ref_of(obj): obj for listing in lists for obj in listing.items}


async def names_in(client: Client, namespace: str, *, name: str = "qwen") -> list[str]:
    """Return kind and name of every object of a service that is not on its way out."""
    return [
        f"{ref.kind.kind} {ref.name}"
        for ref, obj in (await objects_in(client, namespace, name=name)).items()
        if "deletionTimestamp" not in obj["metadata"]
    ]


async def pods_in(client: Client, namespace: str) -> set[str]:
    """Return the UIDs of the pods that are to stay."""
    pods = (await client.list(POD, namespace=namespace)).items
    kept = (pod["metadata"] for pod in pods if "deletionTimestamp" not in pod["metadata"])
    return {metadata["uid"] for metadata in kept}


async def until_gone(client: Client, namespace: str, *, name: str = "qwen") -> None:
    """Wait until the garbage collector has let go of everything."""
    async with asyncio.timeout(240):
        while await objects_in(client, namespace, name=name):  # noqa: ASYNC110 - a cluster, not a task
            await asyncio.sleep(0.05)


class Gate:
    """Keeps pods from every node until it is opened: how slow they are is for a test to say."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._label = f"gate.example.com/{namespace}"
        self.deployment = {"node_selector": {self._label: "open"}}

    def open(self) -> None:
        """Let the pods start."""
        self._set("open")

    def close(self) -> None:
        """Let no more pods start."""
        self._set(None)

    def _set(self, value: str | None) -> None:
        self._api.send(
            "PATCH",
            "/api/v1/nodes/cpu-0",
            headers={"Content-Type": "application/merge-patch+json"},
            json={"metadata": {"labels": {self._label: value}}},
        )


class Heard:
    """A progress that knows when it was told of something."""

    def __init__(self, text: str) -> None:
        self.once = asyncio.Event()
        self._text = text

    def __call__(self, text: str) -> None:
        if self._text in text:
            self.once.set()

    def tell(self, text: str) -> None:
        pass

    def end(self) -> None:
        pass


async def out_of_time(
    fleet: Fleet, service: Desired, *, heard: str, timeout_seconds: float = 2, **options: Any
) -> NotReadyError:
    """Apply a service, and let its time be up once ``heard`` is what it waits for, not before."""
    progress = Heard(heard)
    waiting = asyncio.create_task(fleet.apply(service, timeout_seconds=600, progress=progress))
    hearing = asyncio.create_task(progress.once.wait())
    await asyncio.wait({waiting, hearing}, timeout=240, return_when=asyncio.FIRST_COMPLETED)
    assert progress.once.is_set(), f"it is not told to wait for {heard!r}"
    waiting.cancel()
    await asyncio.wait({waiting})
    with pytest.raises(NotReadyError) as caught:
        await fleet.apply(service, timeout_seconds=timeout_seconds, **options)
    return caught.value


def hold(api: Api, namespace: str, *, name: str = "qwen") -> None:
    """Have a finalizer keep a Deployment from going, as a stuck controller's does."""
    _set_finalizers(api, namespace, name, ["example.com/stuck"])


def let_go(api: Api, namespace: str, *, name: str = "qwen") -> None:
    """Remove the finalizers of a Deployment."""
    _set_finalizers(api, namespace, name, None)


def _set_finalizers(api: Api, namespace: str, name: str, finalizers: list[str] | None) -> None:
    api.send(
        "PATCH",
        f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}",
        headers={"Content-Type": "application/merge-patch+json"},
        json={"metadata": {"finalizers": finalizers}},
    )


def writes(client: Client) -> dict[str, int]:
    """Return how many requests that write were sent, by verb and kind."""
    reading = ("get", "list", "watch", "log", "reach")
    return {
        request: count
        for request, count in client.requests.items()
        if request.partition(" ")[0] not in reading
    }
