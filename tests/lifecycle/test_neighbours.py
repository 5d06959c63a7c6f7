"""What must stand beside a service and does not, told by the API server's own words.

Each message names the field of the declaration and, for those whose program has pulumi-kubernetes
in it, the resource to add or to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fleets import GPU_NODES, behaving, desired, hosted
from module_fleet import ON_ONE_LOOP, module_fleet

from modelfleet.errors import ForbiddenError, ModelFleetError, NotFoundError, NotReadyError
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api

__all__ = ["module_fleet"]  # a fixture, in the place of each test's own

pytestmark = ON_ONE_LOOP

L4 = {"gpu": {"product": "NVIDIA-L4"}, "tolerations": [GPU_NODES]}
LARGEST = {"type": "Container", "max": {"memory": "1Gi"}, "default": {"memory": "1Gi"}}

Make = Callable[..., None]


def cached(class_name: str) -> dict[str, Any]:
    """Return what a deployment declares to have its cache on a claim of 5 GiB."""
    claim = {"kind": "pvc", "size_gib": 5, "access_mode": "ReadWriteMany"}
    return {"storage": {**claim, "class_name": class_name}}


@pytest.fixture
def make(plane_api: Api, namespace: str) -> Make:
    """``make(plural, spec)`` makes an object called ``team`` in the test's namespace."""

    def made(plural: str, spec: Mapping[str, Any]) -> None:
        path = f"/api/v1/namespaces/{namespace}/{plural}"
        plane_api.send("POST", path, json={"metadata": {"name": "team"}, "spec": spec})

    return made


async def refusal(fleet: Fleet, declaration: Mapping[str, Any], *, told: str) -> str:
    """Return what is said of a service that does not come up, which is applied until it is told.

    Nobody waits for what may come up yet, and how long the cluster takes to say why it does not is
    its own affair.
    """
    known, seconds = desired(declaration), 2.0
    while True:
        with pytest.raises(ModelFleetError) as caught:
            await fleet.apply(known, timeout_seconds=seconds)
        if seconds > 120 or told in str(caught.value):
            return str(caught.value)
        seconds *= 4


async def test_a_missing_namespace_names_what_to_add_and_what_to_pass(
    fleet: Fleet, namespace: str
) -> None:
    with pytest.raises(NotFoundError) as caught:
        await fleet.apply(desired(hosted(f"{namespace}-missing")))
    assert caught.value.hint == (
        "Create the Namespace first, by kubectl create namespace; or in a Pulumi program add a "
        "kubernetes.core.v1.Namespace, and pass its metadata.name as namespace, so that the "
        "service is made after it."
    )


@pytest.mark.parametrize(
    ("hard", "deployment", "told"),
    [
        (
            {"requests.nvidia.com/gpu": "1"},
            {**L4, "replicas": 2},
            "is short of 1 requests.nvidia.com/gpu (requested: requests.nvidia.com/gpu=1, used: "
            "requests.nvidia.com/gpu=1, limited: requests.nvidia.com/gpu=1). Lower "
            "deployment.gpu.count or deployment.replicas, or raise requests.nvidia.com/gpu of "
            "ResourceQuota team (kubernetes.core.v1.ResourceQuota in a Pulumi program).",
        ),
        (
            {"requests.cpu": "1500m"},
            {"cpu": 2},
            "is short of 500m requests.cpu (requested: requests.cpu=2, used: requests.cpu=0, "
            "limited: requests.cpu=1500m). Lower deployment.cpu or deployment.replicas, or raise "
            "requests.cpu of ResourceQuota team",
        ),
        (
            {"requests.memory": "2Gi"},
            {"memory_gib": 3, "shm_gib": 0},
            "is short of 1Gi requests.memory (requested: requests.memory=3Gi, used: "
            "requests.memory=0, limited: requests.memory=2Gi). Lower deployment.memory_gib or "
            "deployment.replicas, or raise requests.memory of ResourceQuota team",
        ),
    ],
)
async def test_a_quota_that_is_too_small_says_which_resource_lacks_how_much(
    fleet: Fleet,
    namespace: str,
    make: Make,
    hard: Mapping[str, str],
    deployment: Mapping[str, Any],
    told: str,
) -> None:
    make("resourcequotas", {"hard": hard})
    assert told in await refusal(fleet, hosted(namespace, deployment), told=told)


async def test_a_quota_of_what_is_not_declared_says_what_to_declare(
    fleet: Fleet, namespace: str, make: Make
) -> None:
    make("resourcequotas", {"hard": {"limits.cpu": "4"}})
    said = await refusal(fleet, hosted(namespace), told="ResourceQuota team counts")
    assert "ResourceQuota team counts limits.cpu, which the pods do not specify" in said
    assert "default with a LimitRange (kubernetes.core.v1.LimitRange in a Pulumi program)" in said


async def test_a_range_that_a_service_is_out_of_names_both_and_the_field(
    fleet: Fleet, namespace: str, make: Make
) -> None:
    make("limitranges", {"limits": [LARGEST]})
    large = hosted(namespace, {"memory_gib": 2, "shm_gib": 0})
    said = await refusal(fleet, large, told="maximum memory")
    assert "maximum memory usage per Container is 1Gi, but limit is 2Gi" in said
    assert "Change deployment.memory_gib, or the LimitRange" in said


async def test_a_claim_out_of_range_is_refused_with_its_field(
    fleet: Fleet, namespace: str, make: Make
) -> None:
    make("limitranges", {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]})
    with pytest.raises(ForbiddenError) as caught:
        await fleet.apply(desired(hosted(namespace, cached("standard"))))
    assert "maximum storage usage per PersistentVolumeClaim is 1Gi" in caught.value.message
    assert caught.value.hint.startswith("Change deployment.storage, or the LimitRange")


@pytest.mark.parametrize(
    ("field", "kind", "resource"),
    [
        # A ServiceAccount too, but the local API server runs without the plugin that looks for it.
        ("priority_class", "PriorityClass", "kubernetes.scheduling.v1.PriorityClass"),
        ("runtime_class_name", "RuntimeClass", "kubernetes.node.v1.RuntimeClass"),
    ],
)
async def test_what_a_pod_refers_to_and_is_not_there_is_named_with_its_field(
    fleet: Fleet, namespace: str, field: str, kind: str, resource: str
) -> None:
    told = f"Create {kind} absent ({resource} in a Pulumi program), or change deployment.{field}."
    assert told in await refusal(fleet, hosted(namespace, {field: "absent"}), told=told)


async def test_a_secret_that_is_not_there_is_named_with_the_field_that_refers_to_it(
    fleet: Fleet, namespace: str
) -> None:
    # Fake nodes look for no Secret themselves; one kind of them says what a kubelet would.
    deployment = {"env": {"TOKEN": {"secret": "absent/token"}}, **behaving("bad-secret")}
    with pytest.raises(NotReadyError) as caught:
        await fleet.apply(desired(hosted(namespace, deployment)), timeout_seconds=240)
    assert (
        "Create Secret absent in the same namespace (kubernetes.core.v1.Secret in a Pulumi "
        "program), or change deployment.env.TOKEN."
    ) in str(caught.value)


async def test_a_claim_that_is_not_there_is_named(fleet: Fleet, namespace: str) -> None:
    told = "Create PersistentVolumeClaim absent (kubernetes.core.v1.PersistentVolumeClaim"
    absent = hosted(namespace, {"model": {"uri": "pvc://absent/models/qwen"}})
    assert told in await refusal(fleet, absent, told=told)


async def test_a_claim_whose_class_is_not_there_names_the_class(
    fleet: Fleet, namespace: str
) -> None:
    said = await refusal(fleet, hosted(namespace, cached("absent")), told="StorageClass (kuber")
    assert "StorageClass (kubernetes.storage.v1.StorageClass in a Pulumi program)" in said
    assert "deployment.storage" in said
