"""The status of a service, from its primary object and its readiness.

Dimensions: what is declared x how far the rollout is x whether old pods serve meanwhile.
"""

from __future__ import annotations

from typing import Any

import pytest

from modelfleet import labels
from modelfleet.cluster.readiness import Code, Failed, Outcome, Ready, Reason, Waiting, readiness
from modelfleet.service import Service, service_of

UNSCHEDULABLE = Reason(Code.UNSCHEDULABLE, "Pod qwen-1: no node has 8 GPUs")


def deployment(
    replicas: int = 2,
    *,
    generation: int = 1,
    observed: int | None = None,
    updated: int = 0,
    available: int = 0,
    total: int | None = None,
    rolled_out: bool = False,
    **metadata: Any,
) -> dict[str, Any]:
    """Return a Deployment as its controller reports it; ``total`` counts pods of all versions."""
    reason = "NewReplicaSetAvailable" if rolled_out else "ReplicaSetUpdated"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "qwen",
            "namespace": "models",
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {labels.NAME: "qwen"},
            **metadata,
        },
        "spec": {
            "replicas": replicas,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
            },
        },
        "status": {
            "observedGeneration": generation if observed is None else observed,
            "replicas": updated if total is None else total,
            "updatedReplicas": updated,
            "readyReplicas": available,
            "availableReplicas": available,
            "conditions": [{"type": "Progressing", "status": "True", "reason": reason}],
        },
    }


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "qwen-external", "namespace": "models", "labels": {labels.NAME: "qwen"}},
}


@pytest.mark.parametrize(
    ("primary", "status"),
    [
        pytest.param(SECRET, "READY", id="external: there is nothing to wait for"),
        pytest.param(deployment(observed=0), "CREATING", id="nobody has looked at it yet"),
        pytest.param(deployment(updated=2), "CREATING", id="its first pods start"),
        pytest.param(
            deployment(2, updated=2, available=2, rolled_out=True), "READY", id="all serve"
        ),
        pytest.param(
            deployment(2, updated=2, available=1), "DEGRADED", id="enough serve, but not all"
        ),
        pytest.param(
            deployment(2, updated=2, available=0, rolled_out=True),
            "DEGRADED",
            id="all were lost since",
        ),
        pytest.param(
            deployment(2, generation=7, updated=1, available=2, total=2),
            "UPDATING",
            id="old pods serve",
        ),
        pytest.param(
            deployment(2, generation=2, observed=1, updated=2, available=2, rolled_out=True),
            "UPDATING",
            id="the last change has not been seen",
        ),
        pytest.param(
            deployment(2, generation=2, updated=2, available=0), "UPDATING", id="recreated"
        ),
        pytest.param(deployment(0, generation=3), "STOPPED", id="stopped"),
        pytest.param(
            deployment(0, generation=3, total=1), "UPDATING", id="its last pod is still there"
        ),
        pytest.param(
            deployment(2, updated=2, available=2, deletionTimestamp="2026-01-02T00:00:00Z"),
            "DELETING",
            id="being deleted",
        ),
    ],
)
def test_the_status_without_knowing_pods(primary: dict[str, Any], status: str) -> None:
    is_external = primary["kind"] == "Secret"
    outcome = Ready() if is_external else readiness(primary, (), until="available")
    assert service_of(primary, outcome=outcome).status == status


@pytest.mark.parametrize(
    ("primary", "outcome", "status"),
    [
        (deployment(), Waiting((UNSCHEDULABLE,)), "CREATING"),
        (deployment(), Failed((UNSCHEDULABLE,)), "CREATE_FAILED"),
        (deployment(generation=2), Failed((UNSCHEDULABLE,)), "UPDATE_FAILED"),
        (
            deployment(generation=2, updated=1, available=1, total=2),
            Failed((UNSCHEDULABLE,)),
            "UPDATE_FAILED",
        ),
        (deployment(available=1, updated=2), Waiting((UNSCHEDULABLE,)), "CREATING"),
        (
            deployment(available=1, updated=2, rolled_out=True),
            Failed((UNSCHEDULABLE,)),
            "DEGRADED",
        ),
        (deployment(available=1, updated=2), Ready((UNSCHEDULABLE,)), "DEGRADED"),
    ],
)
def test_the_status_knowing_its_pods_tells_their_reasons(
    primary: dict[str, Any], outcome: Outcome, status: str
) -> None:
    service = service_of(primary, outcome=outcome)
    assert (service.status, service.status_reason) == (status, UNSCHEDULABLE.sentence)


def test_a_degraded_service_says_how_many_replicas_serve() -> None:
    degraded = deployment(3, updated=3, available=2, rolled_out=True)
    service = service_of(degraded, outcome=Ready())
    assert service.status_reason == "2 of 3 replicas serve."


@pytest.mark.parametrize(
    ("status", "ready_replicas", "is_settled"),
    [
        ("READY", 1, True),
        ("READY", 0, True),
        ("STOPPED", 0, True),
        ("DEGRADED", 1, True),
        ("DEGRADED", 0, False),
        ("CREATING", 0, False),
        ("UPDATE_FAILED", 1, False),
        ("DELETING", 1, False),
    ],
)
def test_a_service_is_settled_when_it_serves_or_is_stopped(
    status: str, ready_replicas: int, is_settled: bool
) -> None:
    service = Service("models", "qwen", status, ready_replicas=ready_replicas)
    assert service.is_settled == is_settled


def test_what_a_table_shows_comes_from_object_and_record() -> None:
    spec = {"deployment": {"model": {"uri": "hf://org/model"}, "gpu": {"count": 4}}}
    primary = deployment(
        2,
        updated=2,
        available=2,
        annotations={
            labels.OWNER: "acme/fleet/prod",
            labels.INCARNATION: "i-1",
            labels.ACCESS_NAME: "w/qwen",
        },
        managedFields=[
            {"manager": "modelfleet-1", "time": "2026-01-02T00:00:00Z"},
            {"manager": "kube-controller-manager", "time": "2026-01-03T00:00:00Z"},
        ],
    )
    service = service_of(primary, outcome=Ready(), cluster_uid="uid", spec=spec)
    assert service == Service(
        namespace="models",
        name="qwen",
        status="READY",
        owner="acme/fleet/prod",
        incarnation="i-1",
        cluster_uid="uid",
        access_name="w/qwen",
        created_at="2026-01-01T00:00:00Z",
        last_updated_at="2026-01-02T00:00:00Z",
        replicas=2,
        ready_replicas=2,
        gpus=8,
        model="hf://org/model",
    )
    assert service.id == "models/qwen"


def test_nothing_was_updated_before_it_was_created() -> None:
    before = {"manager": "modelfleet-1", "time": "2025-12-31T23:59:59Z"}
    service = service_of(deployment(managedFields=[before]), outcome=Ready(), spec={})
    assert service.last_updated_at == service.created_at == "2026-01-01T00:00:00Z"


def test_an_external_service_is_known_by_its_url_and_has_no_replicas() -> None:
    spec = {"provider_settings": {"base_url": "https://api.example.com/v1"}}
    service = service_of(SECRET, outcome=Ready(), spec=spec)
    assert (service.name, service.model) == ("qwen", "https://api.example.com/v1")
    assert (service.replicas, service.gpus) == (0, 0)


def test_one_gpu_is_counted_where_only_a_gpu_is_declared() -> None:
    service = service_of(deployment(3), outcome=Ready(), spec={"deployment": {"gpu": {}}})
    assert service.gpus == 3


def test_what_serves_needs_no_reason() -> None:
    serving = deployment(2, updated=2, available=2, rolled_out=True)
    assert service_of(serving, outcome=Ready((UNSCHEDULABLE,))).status_reason == ""
