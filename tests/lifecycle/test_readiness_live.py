"""Waiting for services on a real control plane: what its controllers and nodes write, told.

Dimensions: what is wrong with the pods x whose version of the service they are x what somebody does
about it while we wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from serving import Cluster, Progress, add_h100_node, cluster, in_pool, serving

from modelfleet.cluster.objects import DEPLOYMENT, Object, Ref
from modelfleet.cluster.readiness import Code, Failed, Outcome, Ready, Waiting
from modelfleet.local.api import Api

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(kubeconfig: Path) -> AsyncIterator[Cluster]:
    async with cluster(kubeconfig) as connected:
        yield connected


@pytest.fixture
def add_node(plane_api: Api, namespace: str) -> Iterator[Callable[[], Object]]:
    """Add a node like the first H100 node that only pods of this test select."""
    name = f"late-{namespace}"
    yield lambda: add_h100_node(plane_api, name, pool=namespace)
    if any(
        node["metadata"]["name"] == name for node in plane_api.send("GET", "/api/v1/nodes")["items"]
    ):
        plane_api.send("DELETE", f"/api/v1/nodes/{name}")


# -- one version


async def test_a_service_that_starts_is_ready(here: Cluster, namespace: str) -> None:
    applied = await here.apply(serving(namespace, replicas=3))
    # Its pods come on a watch of their own, and may be told of later.
    assert isinstance(await here.until(applied, until="all"), Ready)


async def test_a_service_that_starts_slowly_is_waited_for(here: Cluster, namespace: str) -> None:
    progress = Progress()
    applied = await here.apply(serving(namespace, behaviour="slow"))
    assert isinstance(await here.until(applied, on_progress=progress), Ready)
    assert Code.PROBE_FAILING in progress.codes


@pytest.mark.parametrize(
    ("behaviour", "expected", "code", "words"),
    [
        ("crash-loop", Failed, Code.CRASH_LOOP, "Engine core initialization failed"),
        ("oom", Failed, Code.OOM_KILLED, "Raise deployment.memory_gib above the present limit"),
        ("image-pull", Failed, Code.IMAGE_PULL, "Correct deployment.images"),
        ("bad-secret", Failed, Code.CONFIG_MISSING, "Create Secret absent"),
        ("creating", Waiting, Code.STARTING, "starting its container engine"),
        ("never-ready", Waiting, Code.PROBE_FAILING, "HTTP probe failed with statuscode: 503"),
    ],
)
async def test_pods_that_do_not_come_up_are_diagnosed(
    here: Cluster,
    namespace: str,
    behaviour: str,
    expected: type[Outcome],
    code: Code,
    words: str,
) -> None:
    applied = await here.apply(serving(namespace, behaviour=behaviour, replicas=2))
    outcome = await here.waiting_for(applied, code, words)
    assert isinstance(outcome, expected), outcome
    assert [reason.code for reason in outcome.reasons] == [code]
    assert words in outcome.reasons[0].sentence


async def test_a_pod_without_a_node_waits_and_a_node_that_comes_makes_it_ready(
    here: Cluster, namespace: str, add_node: Callable[[], Object]
) -> None:
    progress = Progress()
    applied = await here.apply(serving(namespace, selector=in_pool(namespace)))
    wait = asyncio.ensure_future(here.until(applied, on_progress=progress))
    await progress.tells(Code.UNSCHEDULABLE)
    assert not wait.done()
    await asyncio.to_thread(add_node)
    assert isinstance(await wait, Ready)


async def test_a_pod_that_asks_for_more_gpus_than_a_node_has_names_the_field_and_the_nodes(
    here: Cluster, namespace: str
) -> None:
    product = {"nvidia.com/gpu.product": "NVIDIA-L4"}
    applied = await here.apply(serving(namespace, gpus=16, selector=product))
    outcome = await here.waiting_for(applied, Code.UNSCHEDULABLE, "4 short of")
    assert isinstance(outcome, Waiting)
    (reason,) = outcome.reasons
    assert (reason.code, reason.field) == (Code.UNSCHEDULABLE, "deployment.gpu.count")
    assert "4 short of nvidia.com/gpu (16 asked per pod)" in reason.sentence
    assert "without nvidia.com/gpu.product=NVIDIA-L4" in reason.sentence


async def test_a_quota_that_leaves_no_room_is_named_and_raising_it_makes_it_ready(
    here: Cluster, namespace: str, plane_api: Api
) -> None:
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "1"}}}
    plane_api.send("POST", quotas, json=quota)
    applied = await here.apply(serving(namespace, replicas=2))
    outcome = await here.waiting_for(applied, Code.QUOTA, "gpus")
    assert isinstance(outcome, Waiting)
    (quoted,) = outcome.reasons
    assert quoted.field == "deployment.gpu.count"
    assert "ResourceQuota gpus" in quoted.sentence

    plane_api.send("DELETE", f"{quotas}/gpus")
    # The ReplicaSet controller backs off; a change of the Deployment makes it look again.
    applied = await here.apply(serving(namespace, replicas=3))
    assert isinstance(await here.until(applied, until="all"), Ready)


async def test_a_pod_that_the_cluster_refuses_fails_at_once_with_its_words(
    here: Cluster, namespace: str, plane_api: Api
) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    live = plane_api.send("GET", path)
    live["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    plane_api.send("PUT", path, json=live)
    outcome = await here.until(await here.apply(serving(namespace)))
    assert isinstance(outcome, Failed)
    assert outcome.reasons[0].code == Code.ADMISSION_DENIED
    assert 'violates PodSecurity "restricted:latest"' in outcome.reasons[0].sentence


# -- two versions


async def test_a_crash_of_the_former_version_is_not_told_of_the_one_that_mends_it(
    here: Cluster, namespace: str
) -> None:
    broken = await here.apply(serving(namespace, behaviour="crash-loop", replicas=2))
    assert isinstance(await here.until(broken), Failed)
    mended = await here.apply(serving(namespace, replicas=2))
    assert isinstance(await here.until(mended), Ready)
    # Back and forth: the former version's ReplicaSet is taken up again.
    broken = await here.apply(serving(namespace, behaviour="crash-loop", replicas=2))
    assert isinstance(await here.until(broken), Failed)
    mended = await here.apply(serving(namespace, replicas=2))
    assert isinstance(await here.until(mended), Ready)


async def test_ready_is_only_said_of_the_version_that_was_applied(
    here: Cluster, namespace: str
) -> None:
    await here.until(await here.apply(serving(namespace, replicas=2)))
    for round_ in range(3):
        applied = await here.apply(serving(namespace, replicas=2, argument=f"v{round_}"))
        assert isinstance(await here.until(applied), Ready)
        live = await here.client.get(Ref(DEPLOYMENT, namespace, "qwen"))
        assert live is not None
        assert live["status"]["observedGeneration"] >= applied["metadata"]["generation"]
        assert live["status"]["updatedReplicas"] == 2
        assert live["status"]["replicas"] == 2


async def test_a_service_that_is_stopped_is_ready_once_no_pod_is_left(
    here: Cluster, namespace: str
) -> None:
    applied = await here.apply(serving(namespace, replicas=2))
    await here.until(applied)
    stopped = await here.apply(serving(namespace, replicas=0))
    assert isinstance(await here.until(stopped), Ready)
    assert here.live.pods(stopped) == ()


# -- going


async def test_a_deployment_that_somebody_deletes_while_we_wait_is_told_at_once(
    here: Cluster, namespace: str
) -> None:
    progress = Progress()
    applied = await here.apply(serving(namespace, behaviour="creating"))
    wait = asyncio.ensure_future(here.until(applied, on_progress=progress))
    await progress.tells(Code.STARTING)
    await here.client.delete(Ref(DEPLOYMENT, namespace, "qwen"))
    outcome = await wait
    assert isinstance(outcome, Failed)
    assert outcome.reasons[0].code == Code.MISSING


async def test_a_deleted_service_is_gone_when_its_pods_are(here: Cluster, namespace: str) -> None:
    applied = await here.apply(serving(namespace, replicas=2))
    await here.until(applied)
    await here.client.delete(Ref(DEPLOYMENT, namespace, "qwen"))
    assert await here.live.until_gone(applied, timeout_seconds=240) is None
    assert await here.client.get(Ref(DEPLOYMENT, namespace, "qwen")) is None
