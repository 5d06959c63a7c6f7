"""Deleting objects on a real API server: ours, of the right incarnation, and nothing else.

Dimensions: is the object there x whose and which incarnation it is x what happens meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from writing import (
    OURS,
    OWNER,
    Between,
    Kubectl,
    config_map,
    deployment,
    in_thread,
    interrupted,
    owned,
)

from modelfleet.cluster.apply import apply_objects
from modelfleet.cluster.client import Client
from modelfleet.cluster.delete import Deleted, delete_objects
from modelfleet.cluster.objects import Object, Ref, ref_of


@pytest_asyncio.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    client = Client.connect(kubeconfig=str(kubeconfig))
    yield client
    await client.aclose()


@pytest.fixture
def kubectl(plane_environment: Mapping[str, str], namespace: str) -> Kubectl:
    return Kubectl(plane_environment, namespace)


async def made(client: Client, *objects: Object) -> list[Object]:
    changes = await apply_objects(client, objects, ownership=OURS)
    return [change.live for change in changes]


async def deleted(client: Client, *objects: Object, **options: Any) -> list[Deleted]:
    wanted = {"owners": {OWNER}, "incarnation": "1", **options}
    return await delete_objects(client, [ref_of(obj) for obj in objects], **wanted)


def identity(live: Object) -> tuple[Ref, str]:
    return ref_of(live), live["metadata"]["uid"]


def identities(going: list[Deleted]) -> list[tuple[Ref, str]]:
    return [(each.ref, each.uid) for each in going]


async def stays(client: Client, obj: Object) -> bool:
    """Say whether an object is there and not on its way out."""
    live = await client.get(ref_of(obj))
    return live is not None and "deletionTimestamp" not in live["metadata"]


async def is_gone(client: Client, obj: Object) -> bool:
    """Wait until the garbage collector has let go of an object."""
    async with asyncio.timeout(240):
        while await client.get(ref_of(obj)) is not None:  # noqa: ASYNC110 - a cluster, not a task
            await asyncio.sleep(0.05)
    return True


async def test_objects_are_deleted_in_reverse_order_and_what_goes_is_returned(
    client: Client, namespace: str
) -> None:
    objects = [owned(config_map(namespace, name)) for name in ("first", "second")]
    lives = await made(client, *objects)

    going = await deleted(client, *objects)

    assert identities(going) == [identity(live) for live in reversed(lives)]
    assert all([await is_gone(client, obj) for obj in objects])
    assert await deleted(client, *objects) == [], "a missing object is no failure"


async def test_an_object_of_somebody_else_stays(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    foreign = config_map(namespace, "foreign")
    kubectl("create", "-f", "-", given=foreign)
    ours = owned(config_map(namespace, "ours"))
    await made(client, ours)

    assert await deleted(client, foreign, ours, owners={"acme/other/prod"}) == []
    assert await stays(client, foreign)
    assert await stays(client, ours)


@pytest.mark.parametrize(("incarnation", "is_kept"), [("1", False), ("0", True), (None, False)])
async def test_only_the_named_incarnation_is_deleted_and_none_means_any(
    incarnation: str | None, is_kept: bool, client: Client, namespace: str
) -> None:
    obj = owned(config_map(namespace, "qwen"), incarnation="1")
    await made(client, obj)

    going = await deleted(client, obj, incarnation=incarnation)

    assert len(going) == (0 if is_kept else 1)
    assert await stays(client, obj) is is_kept


async def test_objects_under_an_earlier_name_of_the_stack_are_deleted_too(
    client: Client, namespace: str
) -> None:
    obj = owned(config_map(namespace, "qwen"))
    await made(client, obj)

    await deleted(client, obj, owners={"acme/fleet/live", OWNER})

    assert await is_gone(client, obj)


async def test_an_object_that_changed_meanwhile_is_looked_at_again_and_deleted(
    client: Client, namespace: str, kubectl: Kubectl, kubeconfig: Path
) -> None:
    obj = owned(config_map(namespace, "qwen", a="1"))
    await made(client, obj)

    async def edit() -> None:
        await in_thread(lambda: kubectl("annotate", "configmap", "qwen", "seen=yes"))

    racing = interrupted(str(kubeconfig), Between(str(kubeconfig), happens=edit))
    try:
        assert len(await deleted(racing, obj)) == 1
    finally:
        await racing.aclose()

    assert racing.requests["delete configmaps"] == 2
    assert await is_gone(client, obj)


async def test_a_new_incarnation_that_took_the_name_meanwhile_stays(
    client: Client, namespace: str, kubeconfig: Path
) -> None:
    obj = owned(config_map(namespace, "qwen"), incarnation="1")
    await made(client, obj)

    async def replace() -> None:
        await client.delete(ref_of(obj))
        await is_gone(client, obj)
        await made(client, owned(config_map(namespace, "qwen"), incarnation="2"))

    racing = interrupted(str(kubeconfig), Between(str(kubeconfig), happens=replace))
    try:
        assert await deleted(racing, obj) == []
    finally:
        await racing.aclose()

    assert await stays(client, obj)


async def test_what_is_on_its_way_out_already_is_returned_and_not_asked_for_again(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    obj = owned(config_map(namespace, "qwen"))
    [live] = await made(client, obj)
    kubectl("patch", "configmap", "qwen", "-p", '{"metadata":{"finalizers":["test.dev/hold"]}}')
    first = await deleted(client, obj)
    asked = client.requests["delete configmaps"]

    assert identities(first) == [identity(live)]
    assert identities(await deleted(client, obj)) == [identity(live)]
    assert client.requests["delete configmaps"] == asked
    kubectl("patch", "configmap", "qwen", "-p", '{"metadata":{"finalizers":null}}')


async def test_a_deployment_goes_only_after_its_pods(
    client: Client, namespace: str, kubectl: Kubectl
) -> None:
    obj = owned(deployment(namespace, replicas=1))
    await made(client, obj)
    selected = ("replicaset", "--selector=modelfleet.dev/name=qwen")
    kubectl("wait", "--for=create", *selected, "--timeout=240s")

    await deleted(client, obj)

    live = await client.get(ref_of(obj))
    assert live is None or "foregroundDeletion" in live["metadata"]["finalizers"]
    kubectl("wait", "--for=delete", "deployment/qwen", "--timeout=240s")
    assert kubectl("get", "replicasets,pods", "--output=name") == ""
