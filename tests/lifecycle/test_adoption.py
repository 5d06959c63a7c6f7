"""Taking over Deployments that others made, with their pods: what stays, what is told, what not.

Dimensions: who made it x does the declaration describe what runs x what stands beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fleets import OTHER_OWNER, desired, hosted, pods_in
from writing import Kubectl

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import DEPLOYMENT, REPLICA_SET, SERVICE, Object, Ref
from modelfleet.errors import ImmutableFieldError
from modelfleet.fleet import Desired, Fleet
from modelfleet.render import pod_template_of


class Heard:
    """Is told what a user would be told."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def __call__(self, text: str) -> None:
        pass

    def tell(self, text: str) -> None:
        self.notices.append(text)

    def end(self) -> None:
        pass


@pytest.fixture
def kubectl(plane_environment: Mapping[str, str], namespace: str) -> Kubectl:
    return Kubectl(plane_environment, namespace)


@pytest_asyncio.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    client = Client.connect(kubeconfig=str(kubeconfig))
    yield client
    await client.aclose()


def made_by_hand(service: Desired, **template: Any) -> Object:
    """Return a Deployment as another tool would have made it, with the pods of ``service``."""
    pods = labels.selector(kind="ModelService", name=service.spec.model_service_name)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "qwen", "labels": {"app": "qwen"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": pods},
            "template": {**pod_template_of(service.spec), **template},
        },
    }


async def serving(kubectl: Kubectl, client: Client, namespace: str, obj: Object) -> Pods:
    """Have somebody else make ``obj``, and return its pods once they serve."""
    await asyncio.to_thread(kubectl, "create", "-f", "-", given=obj)
    await asyncio.to_thread(kubectl, "rollout", "status", "deployment/qwen", "--timeout=240s")
    return await running(client, namespace)


Pods = tuple[set[str], set[str]]


async def running(client: Client, namespace: str) -> Pods:
    """Return the UIDs of pods and of ReplicaSets."""
    replica_sets = (await client.list(REPLICA_SET, namespace=namespace)).items
    return await pods_in(client, namespace), {each["metadata"]["uid"] for each in replica_sets}


def declared(namespace: str, **others: Any) -> Desired:
    return desired(hosted(namespace, {"replicas": 2}, adopt=True, **others))


async def test_a_deployment_that_runs_what_is_declared_becomes_ours_and_no_pod_restarts(
    fleet: Fleet, client: Client, namespace: str, kubectl: Kubectl
) -> None:
    service, heard = declared(namespace), Heard()
    before = await serving(kubectl, client, namespace, made_by_hand(service))

    adopted = await fleet.apply(service, progress=heard)

    assert (adopted.status, adopted.owner) == ("READY", service.owner)
    assert await running(client, namespace) == before
    assert heard.notices == [
        f"takes over Deployment {namespace}/qwen, which was not made by modelfleet "
        "(last written by kubectl-create), with its pods.",
        f"NetworkPolicy {namespace}/qwen is new: from now on pods of its namespace and proxies "
        "reach it, and others only by network_configuration.allow_from.",
    ]
    live = await client.get(Ref(DEPLOYMENT, namespace, "qwen"))
    assert live is not None
    assert live["metadata"]["labels"]["app"] == "qwen", "what others said of it stays"


async def test_what_stands_beside_it_under_the_same_name_is_taken_over_too_and_told(
    fleet: Fleet, client: Client, namespace: str, kubectl: Kubectl
) -> None:
    service, heard = declared(namespace), Heard()
    before = await serving(kubectl, client, namespace, made_by_hand(service))
    await asyncio.to_thread(kubectl, "expose", "deployment/qwen", "--port=8000", "--type=NodePort")
    address = (await _service(client, namespace))["spec"]["clusterIP"]

    await fleet.apply(service, progress=heard)

    assert await running(client, namespace) == before
    assert heard.notices[0] == (
        f"takes over Service {namespace}/qwen: port 8000 → 80, type NodePort → ClusterIP; whoever "
        "uses it the old way has to change."
    )
    spec = (await _service(client, namespace))["spec"]
    assert spec["clusterIP"] == address
    assert [(port["port"], port["targetPort"]) for port in spec["ports"]] == [(80, "http")]


async def _service(client: Client, namespace: str) -> Object:
    live = await client.get(Ref(SERVICE, namespace, "qwen"))
    assert live is not None
    return live


async def test_pods_that_would_be_replaced_are_told_with_both_sides_and_no_value_of_env(
    fleet: Fleet, client: Client, namespace: str, kubectl: Kubectl
) -> None:
    service, heard = declared(namespace), Heard()
    theirs = made_by_hand(service)
    [engine] = theirs["spec"]["template"]["spec"]["containers"]
    engine["image"] = "registry.example.com/engine:0"
    engine["env"] = [{"name": "TOKEN", "value": "hush-do-not-tell"}]
    await serving(kubectl, client, namespace, theirs)

    await fleet.apply(service, progress=heard)

    told = heard.notices[0]
    assert "and its pods are replaced, for they differ: " in told
    assert "spec.containers.engine.image registry.example.com/engine:0 → registry.exam" in told
    assert "spec.containers.engine.env" in told
    assert "hush" not in told


async def test_what_helm_still_counts_as_its_own_is_told_with_the_way_to_let_go(
    fleet: Fleet, client: Client, namespace: str, kubectl: Kubectl
) -> None:
    service, heard = declared(namespace), Heard()
    theirs = made_by_hand(service)
    theirs["metadata"] |= {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": "chat",
            "meta.helm.sh/release-namespace": namespace,
        },
    }
    before = await serving(kubectl, client, namespace, theirs)

    await fleet.apply(service, progress=heard)

    assert await running(client, namespace) == before
    assert f"is still part of the Helm release {namespace}/chat" in heard.notices[1]
    assert "helm.sh/resource-policy: keep" in heard.notices[1]


async def test_the_service_of_another_fleet_changes_hands_and_its_pods_stay(
    fleet: Fleet, client: Client, namespace: str
) -> None:
    theirs = desired(hosted(namespace, {"replicas": 2}), owner=OTHER_OWNER)
    await fleet.apply(theirs)
    before = await running(client, namespace)
    ours, heard = declared(namespace), Heard()

    adopted = await fleet.apply(ours, progress=heard)

    assert (adopted.owner, adopted.incarnation) == (ours.owner, ours.incarnation)
    assert await running(client, namespace) == before
    assert heard.notices == [
        f"takes over Deployment {namespace}/qwen, which belongs to stack {OTHER_OWNER}, with its "
        "pods."
    ]
    await fleet.apply(ours, progress=heard)
    assert len(heard.notices) == 1, "what is ours is not taken over again"


def _other_container(deployment: Object) -> None:
    deployment["spec"]["template"]["spec"]["containers"][0]["name"] = "vllm"


def _other_selector(deployment: Object) -> None:
    deployment["spec"]["selector"]["matchLabels"] = {"app": "qwen"}
    deployment["spec"]["template"]["metadata"] = {"labels": {"app": "qwen"}}


def _both(deployment: Object) -> None:
    _other_selector(deployment)
    _other_container(deployment)


SELECTOR = "it selects pods by app=qwen, modelfleet's Deployments select by modelfleet.dev/kind="
CONTAINER = "its container is called vllm, modelfleet's engine"


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (_other_container, [CONTAINER]),
        (_other_selector, [SELECTOR]),
        (_both, [SELECTOR, CONTAINER]),
    ],
)
async def test_a_deployment_whose_pods_cannot_stay_is_refused_and_the_difference_shown(
    change: Callable[[Object], None],
    reasons: list[str],
    fleet: Fleet,
    client: Client,
    namespace: str,
    kubectl: Kubectl,
) -> None:
    service = declared(namespace)
    theirs = made_by_hand(service)
    change(theirs)
    before = await serving(kubectl, client, namespace, theirs)

    with pytest.raises(ImmutableFieldError) as caught:
        await fleet.apply(service)

    for reason in reasons:
        assert reason in str(caught.value)
    assert "Choose another name and move over, or delete that Deployment" in str(caught.value)
    assert await running(client, namespace) == before
    assert await client.get(Ref(SERVICE, namespace, "qwen")) is None, "nothing was written"
