"""The live copies on a real API server: what they cost, and that it may go away and come back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rights import least_kubeconfig
from serving import Cluster, Progress, add_h100_node, cluster, in_pool, serving
from writing import MANAGER, config_map, owned

from conftest import PlaneFactory
from modelfleet.cluster.client import Client, WatchExpired
from modelfleet.cluster.live import LiveObjects
from modelfleet.cluster.mirror import Key, key_of
from modelfleet.cluster.objects import CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE, Object, Ref
from modelfleet.cluster.readiness import Code, Ready
from modelfleet.cluster.watch import SharedWatch
from modelfleet.errors import ForbiddenError


@pytest_asyncio.fixture
async def here(kubeconfig: Path) -> AsyncIterator[Cluster]:
    async with cluster(kubeconfig) as connected:
        yield connected


async def apply_all(client: Client, objects: list[Object]) -> list[Object]:
    done = await asyncio.gather(*(client.apply(obj, field_manager=MANAGER) for obj in objects))
    return [each.live for each in done]


async def test_forty_services_become_ready_on_one_list_and_one_watch_per_kind(
    here: Cluster, namespace: str
) -> None:
    wanted = [serving(namespace, f"s{index}", behaviour="slow") for index in range(40)]
    applied = await apply_all(here.client, wanted)
    outcomes = await asyncio.gather(*(here.until(each, timeout_seconds=600) for each in applied))
    assert set(outcomes) == {Ready()}
    asked = here.client.requests
    for plural in ("deployments", "pods"):
        assert (asked[f"list {plural}"], asked[f"watch {plural}"]) == (1, 1)
    assert asked["list replicasets"] == 0


async def refreshed(client: Client, namespace: str, *, count: int, at_once: int) -> dict[str, int]:
    """Read ``count`` services, ``at_once`` at a time, and return what that asked for."""
    before = dict(client.requests)
    live = LiveObjects(client, (DEPLOYMENT, SERVICE, SECRET, CONFIG_MAP))
    places = asyncio.Semaphore(at_once)

    async def read(name: str) -> None:
        async with places:
            found = await live.read(Key(namespace, "ModelService", name))
        assert [obj["metadata"]["name"] for obj in found] == [name]
        assert found[0]["metadata"]["managedFields"]

    await asyncio.gather(*(read(f"s{index}") for index in range(count)))
    await live.aclose()
    return {verb: total - before.get(verb, 0) for verb, total in client.requests.items()}


async def test_reading_all_services_asks_for_no_more_than_reading_a_few(
    here: Cluster, namespace: str
) -> None:
    maps = [owned(config_map(namespace, f"s{index}"), name=f"s{index}") for index in range(300)]
    await apply_all(here.client, maps)
    few = await refreshed(here.client, namespace, count=10, at_once=8)
    many = await refreshed(here.client, namespace, count=300, at_once=8)
    few.pop("apply configmaps"), many.pop("apply configmaps")
    assert few == many
    assert sum(few.values()) == 8


async def test_a_read_sees_what_others_wrote_before_it(here: Cluster, namespace: str) -> None:
    live = LiveObjects(here.client, (CONFIG_MAP,), settle_seconds=1.0)  # a busy machine is slow
    try:
        for index in range(3):
            written = owned(config_map(namespace, "s", number=str(index)), name="s")
            (answered,) = await apply_all(here.client, [written])
            (seen,) = await live.read(key_of(answered))
            assert seen["data"] == {"number": str(index)}
    finally:
        await live.aclose()


async def test_what_it_may_not_list_is_an_error_that_says_what_to_grant(
    plane: Any, limited_kubeconfig: Path
) -> None:
    client = Client.connect(kubeconfig=str(limited_kubeconfig))
    shared = SharedWatch(client, CONFIG_MAP)
    with pytest.raises(ForbiddenError, match='Grant the verb "list" on "configmaps"'):
        await shared.fresh()
    await shared.aclose()
    await client.aclose()


@pytest.mark.timeout(1800)
async def test_an_api_server_that_dies_and_comes_back_costs_nothing_but_time(
    plane_factory: PlaneFactory, tmp_path: Path
) -> None:
    plane = plane_factory("dies")
    await asyncio.to_thread(plane.up, gpus="h100-80gb:8x1", chaos=True)
    with plane.api() as api:
        kubeconfig = least_kubeconfig(plane, api, tmp_path, user="client-under-test")
    async with cluster(kubeconfig) as here:
        late = await here.apply(serving("default", "late", selector=in_pool("late")))
        goes = await here.apply(serving("default", "goes", behaviour="creating"))
        starts, stays = Progress(), Progress()
        ready = asyncio.ensure_future(here.until(late, timeout_seconds=1_200, on_progress=starts))
        lost = asyncio.ensure_future(here.until(goes, timeout_seconds=1_200, on_progress=stays))
        gone = asyncio.ensure_future(here.live.until_gone(goes, timeout_seconds=1_200))
        await asyncio.gather(starts.tells(Code.UNSCHEDULABLE), stays.tells(Code.STARTING))
        os.kill(plane.status().components["kube-apiserver"], signal.SIGKILL)
        await asyncio.sleep(1)
        assert not ready.done()
        await asyncio.to_thread(plane.up)
        await here.client.delete(Ref(DEPLOYMENT, "default", "goes"))
        with plane.api() as api:
            add_h100_node(api, "late", pool="late")
        assert isinstance(await ready, Ready)
        assert await gone is None
        assert (await lost).reasons[0].code == Code.MISSING
        assert here.client.requests["list deployments"] <= 2
        with pytest.raises(WatchExpired):  # the new server knows nothing of so long ago
            await anext(here.client.watch(DEPLOYMENT, resource_version="1"))
