"""A ModelProxy from create to delete on a real API server: what is written, kept and taken away.

Its pods run on fake nodes, where no gateway answers: what is asked of gateways is in
``test_proxy_answers.py``. Dimensions: what is there before x what is declared x how it ends.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import proxies
import pytest
from fleets import (
    OTHER_OWNER,
    OWNER,
    names_in,
    objects_in,
    pods_in,
    until_gone,
    writes,
)
from fleets import desired as desired_service
from module_fleet import ON_ONE_LOOP, module_fleet
from proxies import (
    BESIDE,
    NAME,
    Told,
    deployment,
    desired,
    failed,
    keys_in,
    proxy,
    service,
    to_url,
    updated,
)
from writing import Kubectl, in_thread

from modelfleet import labels
from modelfleet.cluster.apply import apply_objects
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.objects import SECRET, Object, Ref
from modelfleet.desired import Kept
from modelfleet.errors import AlreadyExistsError, ConflictError, NotReadyError
from modelfleet.fleet import Desired, Fleet, Found
from modelfleet.gateway.generated_keys import GeneratedKeys, generated_keys_of

__all__ = ["module_fleet"]  # a fixture, in the place of each test's own

pytestmark = ON_ONE_LOOP

EVERYTHING: dict[str, Any] = {
    "replicas": 2,
    "redis": {"managed": True},
    "policies": {"token_rate_limiter": {"tpm": 1000}, "cache": True},
    "api_keys": {"team": {"generate": {}}, "ci": {"key": "sk-not-a-real-key-0123"}},
    "wait": {"until": "accepted"},
}
"""A proxy with every kind of object. No disk is there for its Redis, so it is not waited for."""

MANY = 15

TOO_MUCH: dict[str, Any] = {"cpu": 250, "memory": 200_000}
"""What no node has."""


@pytest.fixture
def kubectl(plane_environment: Mapping[str, str], namespace: str) -> Kubectl:
    return Kubectl(plane_environment, namespace)


async def names(fleet: Fleet, namespace: str) -> list[str]:
    """Return kind and name of every object of the proxy, hashes in names left out."""
    found = await names_in(fleet.client, namespace, name=NAME)
    return [re.sub(r"-proxy-[0-9a-f]+$", "-proxy-*", name) for name in found]


async def ours_in(fleet: Fleet, namespace: str) -> list[Object]:
    """Return every object that was applied; the disk of a Redis is its StatefulSet's."""
    found = await objects_in(fleet.client, namespace, name=NAME)
    return [obj for obj in found.values() if labels.MANAGED_BY in obj["metadata"]["labels"]]


async def config_maps(fleet: Fleet, namespace: str) -> list[str]:
    found = await names_in(fleet.client, namespace, name=NAME)
    return [name for name in found if name.startswith("ConfigMap")]


async def read(fleet: Fleet, known: Desired) -> Found:
    found = await fleet.drift(known)
    assert found is not None
    return found


async def read_when_seen(fleet: Fleet, known: Desired, word: str) -> Found:
    """Read until a change made elsewhere shows, which the watch has to deliver first."""
    async with asyncio.timeout(240):
        while word not in str((found := await read(fleet, known)).drift):
            pass
    return found


def with_keys(declared: Mapping[str, Any]) -> Desired:
    """Return a creation with its generated keys made."""
    first = desired(declared)
    keys = generated_keys_of(proxies.planned(declared), prior=None, before=GeneratedKeys())
    return desired(declared, incarnation=first.incarnation, keys=keys.entries)


# Converging


async def test_a_proxy_is_created_read_updated_and_deleted(fleet: Fleet, namespace: str) -> None:
    first = desired(proxy(namespace))
    made = await fleet.apply(first)
    assert (made.status, made.ready_replicas, made.kind) == ("READY", 1, "ModelProxy")
    assert await names(fleet, namespace) == BESIDE
    found = await read(fleet, first)
    assert (found.drift, found.live) == ({}, {})

    pods = await pods_in(fleet.client, namespace)
    scaled = updated(first, proxy(namespace, replicas=2, tags={"a": "b"}))
    assert (await fleet.apply(scaled)).ready_replicas == 2
    assert pods < await pods_in(fleet.client, namespace)
    assert "PodDisruptionBudget gate-proxy" in await names(fleet, namespace)

    await fleet.delete(scaled)
    await until_gone(fleet.client, namespace, name=NAME)
    assert await pods_in(fleet.client, namespace) == set()


async def test_another_route_rolls_the_pods_and_then_takes_the_former_configuration_away(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(proxy(namespace))
    await fleet.apply(first)
    before, pods = await config_maps(fleet, namespace), await pods_in(fleet.client, namespace)

    await fleet.apply(updated(first, proxy(namespace, to_url("other.example.com"))))

    after = await config_maps(fleet, namespace)
    assert len(after) == 1
    assert after != before
    assert not pods & await pods_in(fleet.client, namespace)


async def test_a_former_configuration_stays_while_former_pods_serve(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(proxy(namespace))
    await fleet.apply(first)
    too_much = proxy(namespace, **TOO_MUCH, wait={"timeout_seconds": 2})
    with pytest.raises(NotReadyError, match="is not ready after 2 s"):
        await fleet.apply(updated(first, {**too_much, "routes": {"b": {"targets": [to_url()]}}}))
    assert len(await config_maps(fleet, namespace)) == 2


async def test_an_apply_without_a_change_writes_nothing(fleet: Fleet, namespace: str) -> None:
    declared = proxy(namespace, **EVERYTHING)
    first = with_keys(declared)
    await fleet.apply(first)
    before, keys = writes(fleet.client), await keys_in(fleet.client, namespace)
    live = await deployment(fleet.client, namespace)

    await fleet.apply(updated(first, declared))

    assert writes(fleet.client) == before
    assert await keys_in(fleet.client, namespace) == keys
    found = await read(fleet, first)
    assert found.drift == {}
    same = await deployment(fleet.client, namespace)
    assert same["metadata"]["generation"] == live["metadata"]["generation"]


async def test_managed_redis_keeps_its_password_whatever_else_changes(
    fleet: Fleet, namespace: str
) -> None:
    first = with_keys(proxy(namespace, **EVERYTHING))
    await fleet.apply(first)
    ref = Ref(SECRET, namespace, "gate-redis")
    before = await fleet.client.get(ref)
    await fleet.apply(updated(first, proxy(namespace, **{**EVERYTHING, "replicas": 3})))
    after = await fleet.client.get(ref)
    assert before is not None
    assert after is not None
    assert before["data"] == after["data"]


@pytest.mark.parametrize("count", [1, 4, 6, 8])
async def test_a_create_goes_on_where_an_interrupted_one_stopped(
    fleet: Fleet, namespace: str, count: int
) -> None:
    declared = proxy(namespace, **EVERYTHING)
    interrupted, uid = desired(declared), await fleet.client.cluster_uid()
    kept = Kept(hash_key=b"key", redis_password="secret")
    objects = interrupted.objects(cluster_uid=uid, kept=kept)[:count]
    await apply_objects(fleet.client, objects, ownership=interrupted.ownership)

    again = with_keys(declared)
    await fleet.apply(again)

    objects_now = await ours_in(fleet, namespace)
    assert len(objects_now) == 10
    incarnations = {obj["metadata"]["annotations"].get(labels.INCARNATION) for obj in objects_now}
    assert incarnations == {again.incarnation}
    assert (await read(fleet, again)).drift == {}


# What is no longer declared


async def test_a_managed_redis_comes_and_goes(fleet: Fleet, namespace: str) -> None:
    accepted = {"wait": {"until": "accepted"}}
    managed = {**accepted, "redis": {"managed": True}}
    first = desired(proxy(namespace, **accepted))
    await fleet.apply(first)
    second = updated(first, proxy(namespace, **managed))
    await fleet.apply(second)
    assert "StatefulSet gate-redis" in await names(fleet, namespace)
    elsewhere = {**accepted, "redis": {"host": "redis.example.com"}}
    third = updated(second, proxy(namespace, **elsewhere))
    await fleet.apply(third)
    async with asyncio.timeout(240):  # the garbage collector lets go of them one after the other
        while any("redis" in name for name in await names(fleet, namespace)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    fourth = updated(third, proxy(namespace, **managed))
    await fleet.apply(fourth)
    await fleet.delete(fourth)
    await until_gone(fleet.client, namespace, name=NAME)


async def test_a_redis_that_is_no_longer_declared_serves_former_pods_to_their_end(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(proxy(namespace, wait={"until": "accepted"}, redis={"managed": True}))
    await fleet.apply(first)
    too_much = proxy(namespace, **TOO_MUCH, wait={"timeout_seconds": 2})
    with pytest.raises(NotReadyError):
        await fleet.apply(updated(first, too_much))
    assert "StatefulSet gate-redis" in await names(fleet, namespace)


async def test_a_redis_without_a_disk_is_why_its_proxy_is_not_ready(
    fleet: Fleet, namespace: str
) -> None:
    known, told = desired(proxy(namespace, redis={"managed": True})), Told()
    said = str(await failed(fleet, known, "redis.storage_class", seconds=3, progress=told))
    assert re.search(r"Its Redis is not ready after \d+ s\.", said)
    assert "gate-redis-0" in said
    assert "redis.storage_class" in said
    assert "deployment." not in said
    assert any(text.startswith("waiting: its Redis: ") for text in told.waited)


# What others changed


EDITS = [
    pytest.param(
        ["scale", "deployment/gate-proxy", "--replicas=3"],
        {"replicas": "set to 3 by kubectl"},
        {("replicas",): 3},
        id="scaled",
    ),
    pytest.param(
        ["set", "image", "deployment/gate-proxy", "gateway=registry.example.com/gate:2"],
        {"image": "set to registry.example.com/gate:2 by kubectl-set"},
        {("image",): "registry.example.com/gate:2"},
        id="another image",
    ),
]


@pytest.mark.parametrize(("edit", "drift", "live"), EDITS)
async def test_an_edit_is_told_by_field_and_put_right_by_the_next_apply(
    fleet: Fleet,
    namespace: str,
    kubectl: Kubectl,
    edit: list[str],
    drift: dict[str, str],
    live: dict[tuple[str, ...], Any],
) -> None:
    declared = proxy(namespace, image="registry.example.com/gate:1")
    first = desired(declared)
    await fleet.apply(first)
    await in_thread(lambda: kubectl(*edit))
    found = await read_when_seen(fleet, first, next(iter(drift)))
    assert (found.drift, found.live) == (drift, live)
    await fleet.apply(updated(first, declared))
    assert (await read(fleet, first)).drift == {}


async def test_a_configuration_that_somebody_deleted_is_drift_and_comes_again(
    fleet: Fleet, namespace: str, kubectl: Kubectl
) -> None:
    first = desired(proxy(namespace))
    await fleet.apply(first)
    (name,) = await config_maps(fleet, namespace)
    await in_thread(lambda: kubectl("delete", "configmap", name.split()[1]))
    found = await read_when_seen(fleet, first, "ConfigMap")
    assert [*found.drift.values()] == ["missing"] or "ConfigMap" in str(found.drift)
    await fleet.apply(updated(first, proxy(namespace)))
    assert await config_maps(fleet, namespace) == [name]


# Failing


async def test_a_create_is_rolled_back_to_nothing(fleet: Fleet, namespace: str) -> None:
    declared = proxy(namespace, **TOO_MUCH, wait={"on_failure": "rollback"})
    failure = await failed(fleet, desired(declared), "cpu")
    assert "cpu" in str(failure)
    assert failure.taken_back
    assert await names(fleet, namespace) == []


async def redis_in(fleet: Fleet, namespace: str) -> list[str]:
    names = [obj["metadata"]["name"] for obj in await ours_in(fleet, namespace)]
    return [name for name in names if "redis" in name]


async def test_an_update_is_rolled_back_to_what_was_in_force(fleet: Fleet, namespace: str) -> None:
    first = desired(proxy(namespace, api_keys={"ci": {"key": "sk-not-a-real-key-0123"}}))
    await fleet.apply(first)
    before, keys = await config_maps(fleet, namespace), await keys_in(fleet.client, namespace)
    pods = await pods_in(fleet.client, namespace)
    broken = proxy(
        namespace,
        to_url("other.example.com"),
        **TOO_MUCH,
        redis={"managed": True},
        wait={"timeout_seconds": 2, "on_failure": "rollback"},
    )
    with pytest.raises(NotReadyError) as caught:
        await fleet.apply(updated(first, broken))
    assert str(caught.value).endswith("It was put back.")
    assert await config_maps(fleet, namespace) == before
    assert await keys_in(fleet.client, namespace) == keys
    async with asyncio.timeout(240):  # what was told to go may take a moment
        while await redis_in(fleet, namespace):  # noqa: ASYNC110 - a cluster, not a task
            await asyncio.sleep(0.2)
    assert pods <= await pods_in(fleet.client, namespace)
    assert (await read(fleet, first)).drift == {}


# Whose it is


async def test_a_proxy_of_another_stack_is_refused_and_its_owner_named(
    fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired(proxy(namespace)))
    with pytest.raises(AlreadyExistsError, match=f"belongs to stack {OWNER}"):
        await fleet.apply(desired(proxy(namespace, replicas=2), owner=OTHER_OWNER))
    assert await names(fleet, namespace) == BESIDE


async def test_objects_of_nobody_are_taken_over_when_asked_to(
    fleet: Fleet, namespace: str, kubectl: Kubectl
) -> None:
    ports = ["--tcp=80:9"]
    await in_thread(lambda: kubectl("create", "service", "clusterip", "gate-proxy", *ports))
    with pytest.raises(AlreadyExistsError):
        await fleet.apply(desired(proxy(namespace)))
    adopting = desired(proxy(namespace, adopt=True))
    await fleet.apply(adopting)
    assert await names(fleet, namespace) == BESIDE


async def test_what_a_crash_left_is_an_orphan_and_is_pruned(fleet: Fleet, namespace: str) -> None:
    owner = f"acme/{namespace}/prod"
    await fleet.apply(desired(proxy(namespace, **EVERYTHING), owner=owner))
    (orphan,) = await fleet.orphans(owner, known={})
    assert Key(orphan.namespace, orphan.kind, orphan.name) == (namespace, "ModelProxy", NAME)
    await fleet.prune(orphan, owner=owner)
    await until_gone(fleet.client, namespace, name=NAME)


async def test_a_service_is_not_deleted_while_a_proxy_uses_it(fleet: Fleet, namespace: str) -> None:
    qwen = desired_service(service(namespace, "qwen"))
    await fleet.apply(qwen)
    gate = desired(proxy(namespace, "qwen"))
    await fleet.apply(gate)
    with pytest.raises(ConflictError, match=f"is used by ModelProxy {namespace}/gate"):
        await fleet.delete(qwen)
    await fleet.delete(gate)
    await fleet.delete(qwen)


# How much is asked


async def test_reading_proxies_costs_lists_only(fleet: Fleet, namespace: str) -> None:
    known = [
        desired(proxy(namespace, model_proxy_name=f"gate{n}", wait={"until": "accepted"}))
        for n in range(5)
    ]
    for each in known:
        await fleet.apply(each)
    await read(fleet, known[0])
    before = dict(fleet.client.requests)
    for each in known:
        assert (await read(fleet, each)).drift == {}
    more = {k: v for k, v in fleet.client.requests.items() if v != before.get(k)}
    # A watch that is as old as a server lets one be is opened anew.
    assert not any(not each.startswith("watch ") for each in more), more


async def test_many_proxies_ask_for_what_they_call_once(fleet: Fleet, namespace: str) -> None:
    await fleet.apply(desired_service(service(namespace, "qwen", wait={"until": "accepted"})))
    many = [
        desired(proxy(namespace, "qwen", model_proxy_name=f"gate{n}", wait={"until": "accepted"}))
        for n in range(MANY)
    ]
    await fleet.apply(many[0])
    before = dict(fleet.client.requests)
    await asyncio.gather(*(fleet.apply(each) for each in many[1:]))
    objects = len(many[0].objects(cluster_uid="", kept=Kept()))
    more = {k: v - before.get(k, 0) for k, v in fleet.client.requests.items()}
    assert more.pop("list deployments", 0) == more.pop("list secrets", 0) == 0
    assert sum(more.values()) <= (MANY - 1) * objects * 2, more
