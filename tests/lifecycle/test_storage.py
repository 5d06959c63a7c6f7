"""The cache of a service on a claim, its disruption budget, and overrides: on a real API server.

Dimensions: what is declared x what it was before x how the update ends. Volumes are made by hand
for each test: no provisioner runs here, but the controllers that bind, protect and admit do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fleets import desired, hosted, names_in, pods_in, until_gone, updated, writes
from module_fleet import ON_ONE_LOOP, module_fleet

from modelfleet.cluster.apply import apply_objects
from modelfleet.cluster.objects import (
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    Kind,
    Object,
    Ref,
)
from modelfleet.desired import Kept
from modelfleet.errors import ForbiddenError, ImmutableFieldError, NotReadyError
from modelfleet.fleet import Desired, Fleet
from modelfleet.local.api import Api
from modelfleet.plan import plan
from modelfleet.render.claim import claim_name_of

__all__ = ["module_fleet"]  # a fixture, in the place of each test's own

pytestmark = ON_ONE_LOOP

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"

MakeVolume = Callable[[str], str]


@pytest.fixture
def volume(plane_api: Api, namespace: str) -> Iterator[MakeVolume]:
    """``volume(name)`` makes a class of that name with one volume, and returns the class."""
    made: list[str] = []

    def send(path: str, obj: dict[str, Any]) -> None:
        plane_api.send(
            "PATCH",
            f"{path}/{obj['metadata']['name']}",
            params={"fieldManager": "tests", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            json=obj,
        )

    def make(name: str) -> str:
        name = f"{name}-{namespace}"
        made.append(name)
        meta = {"name": name}
        send(
            CLASSES,
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": meta,
                "provisioner": "kubernetes.io/no-provisioner",
                "allowVolumeExpansion": True,
            },
        )
        spec = {
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "storageClassName": name,
            "hostPath": {"path": f"/nowhere/{name}"},
        }
        send(
            VOLUMES,
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec},
        )
        return name

    yield make
    for name in made:
        plane_api.send("DELETE", f"{VOLUMES}/{name}")
        plane_api.send("DELETE", f"{CLASSES}/{name}")


def cached(class_name: str, *, size_gib: float = 10, **fields: Any) -> dict[str, Any]:
    """Return what a deployment declares to have its cache on a shared claim of its own."""
    storage = {
        "kind": "pvc",
        "size_gib": size_gib,
        "class_name": class_name,
        "access_mode": "ReadWriteMany",
    }
    return {"storage": storage, **fields}


def claim_of(service: Desired) -> str:
    return str(claim_name_of(service.spec))


async def live(fleet: Fleet, kind: Kind, namespace: str, name: str) -> Object:
    found = await fleet.client.get(Ref(kind, namespace, name))
    assert found is not None
    return found


async def until_claims_are(fleet: Fleet, namespace: str, *names: str) -> None:
    """Wait until the service has these claims and no other, not even one that is going."""
    async with asyncio.timeout(240):
        while True:
            claims = await fleet.client.list(PERSISTENT_VOLUME_CLAIM, namespace=namespace)
            if sorted(claim["metadata"]["name"] for claim in claims.items) == sorted(names):
                return
            await asyncio.sleep(0.05)


async def test_a_claim_of_the_service_s_own_lives_and_goes_with_it(
    fleet: Fleet, namespace: str, volume: MakeVolume
) -> None:
    service = desired(hosted(namespace, cached(volume("fast"), replicas=2)))
    await fleet.apply(service)
    assert f"PersistentVolumeClaim {claim_of(service)}" in await names_in(fleet.client, namespace)
    found = await fleet.drift(service)
    assert found is not None
    assert found.drift == {}
    before = writes(fleet.client)
    await fleet.apply(service)
    assert writes(fleet.client) == before

    await fleet.delete(service)
    await until_gone(fleet.client, namespace)


async def test_a_claim_grows_in_place_and_no_pod_is_replaced(
    fleet: Fleet, namespace: str, volume: MakeVolume
) -> None:
    fast = volume("fast")
    first = desired(hosted(namespace, cached(fast, size_gib=10)))
    await fleet.apply(first)
    pods = await pods_in(fleet.client, namespace)
    grown = updated(first, hosted(namespace, cached(fast, size_gib=20)))
    await fleet.apply(grown)
    assert await pods_in(fleet.client, namespace) == pods
    assert claim_of(grown) == claim_of(first)
    claim = await live(fleet, PERSISTENT_VOLUME_CLAIM, namespace, claim_of(grown))
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"


async def test_another_class_is_another_claim_and_the_former_one_goes_after_its_pods(
    fleet: Fleet, namespace: str, volume: MakeVolume
) -> None:
    first = desired(hosted(namespace, cached(volume("fast"))))
    await fleet.apply(first)
    moved = updated(first, hosted(namespace, cached(volume("slow"))))
    assert claim_of(moved) != claim_of(first)
    await fleet.apply(moved)
    await until_claims_are(fleet, namespace, claim_of(moved))
    without = updated(moved, hosted(namespace))
    await fleet.apply(without)
    await until_claims_are(fleet, namespace)


async def test_an_update_that_fails_leaves_the_claim_it_can_return_to(
    fleet: Fleet, namespace: str, volume: MakeVolume
) -> None:
    first = desired(hosted(namespace, cached(volume("fast"))))
    await fleet.apply(first)
    moved = updated(first, hosted(namespace, cached("class-without-volumes")))
    with pytest.raises(NotReadyError) as raised:
        await fleet.apply(moved, timeout_seconds=2, on_failure="rollback")
    assert raised.value.taken_back
    await until_claims_are(fleet, namespace, claim_of(first))
    found = await fleet.drift(first)
    assert found is not None
    assert found.drift == {}


async def test_a_claim_that_is_not_bound_is_told_by_its_field(fleet: Fleet, namespace: str) -> None:
    service = desired(
        hosted(namespace, cached("class-without-volumes"), wait={"until": "accepted"})
    )
    await fleet.apply(service)
    async with asyncio.timeout(240):
        while True:
            found = await fleet.status(namespace, "qwen")
            assert found is not None
            if "volume to be bound" in found.service.status_reason:
                break
            await asyncio.sleep(0.05)
    assert "deployment.storage" in found.service.status_reason


async def test_a_deletion_finds_the_claim_that_an_interrupted_update_has_left(
    fleet: Fleet, namespace: str, volume: MakeVolume
) -> None:
    first = desired(hosted(namespace, cached(volume("fast"))))
    await fleet.apply(first)
    moved = updated(first, hosted(namespace, cached("slow")))
    objects = moved.objects(cluster_uid="", kept=Kept())
    claims = [each for each in objects if each["kind"] == "PersistentVolumeClaim"]
    await apply_objects(fleet.client, claims, ownership=moved.ownership)
    await until_claims_are(fleet, namespace, claim_of(first), claim_of(moved))

    await fleet.delete(first)
    await until_gone(fleet.client, namespace)


async def test_a_claim_that_somebody_has_grown_is_drift_of_its_size(
    fleet: Fleet, namespace: str, volume: MakeVolume, plane_api: Api
) -> None:
    service = desired(hosted(namespace, cached(volume("fast"), size_gib=10)))
    await fleet.apply(service)
    plane_api.send(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim_of(service)}",
        params={"fieldManager": "kubectl-edit"},
        headers={"Content-Type": "application/merge-patch+json"},
        json={"spec": {"resources": {"requests": {"storage": "40Gi"}}}},
    )
    async with asyncio.timeout(240):
        found = await fleet.drift(service)
        while found is None or not found.drift:
            await asyncio.sleep(0.05)
            found = await fleet.drift(service)
    assert found.live == {("deployment", "storage", "size_gib"): 40}
    inputs = hosted(namespace, cached("c", size_gib=10))
    problems = plan(inputs, prior=hosted(namespace, cached("c", size_gib=40))).problems
    assert [str(problem) for problem in problems] == [
        "deployment.storage.size_gib: is 10, and a claim of 40 GiB cannot shrink; for another "
        "claim set another class_name or access_mode, or storage kind empty_dir for one update: "
        "what it holds is fetched again"
    ]


async def test_a_claim_whose_class_or_size_does_not_let_it_change_says_which_field_to_set(
    fleet: Fleet, namespace: str, volume: MakeVolume, plane_api: Api
) -> None:
    fast = volume("fast")
    first = desired(hosted(namespace, cached(fast, size_gib=20)))
    await fleet.apply(first)
    # Of a state that does not know how large the claim is, a plan cannot tell.
    with pytest.raises(ImmutableFieldError, match=r"set deployment\.storage\.size_gib to what it"):
        await fleet.apply(updated(first, hosted(namespace, cached(fast, size_gib=10))))
    plane_api.send(
        "PATCH",
        f"{CLASSES}/{fast}",
        params={"fieldManager": "tests"},
        headers={"Content-Type": "application/merge-patch+json"},
        json={"allowVolumeExpansion": False},
    )
    with pytest.raises(ForbiddenError, match="allowVolumeExpansion"):
        for size_gib in range(21, 100):  # until the admission plugin has heard of it
            await fleet.apply(updated(first, hosted(namespace, cached(fast, size_gib=size_gib))))


async def test_a_disruption_budget_comes_changes_and_goes_in_place(
    fleet: Fleet, namespace: str
) -> None:
    plain = desired(hosted(namespace, {"replicas": 2}))
    await fleet.apply(plain)
    pods = await pods_in(fleet.client, namespace)
    guarded = updated(plain, hosted(namespace, {"replicas": 2, "disruption": {}}))
    await fleet.apply(guarded)
    budget = await live(fleet, POD_DISRUPTION_BUDGET, namespace, "qwen")
    assert budget["spec"]["maxUnavailable"] == 1
    other = {"replicas": 2, "disruption": {"min_available": 1}}
    changed = updated(guarded, hosted(namespace, other))
    await fleet.apply(changed)
    budget = await live(fleet, POD_DISRUPTION_BUDGET, namespace, "qwen")
    assert budget["spec"]["minAvailable"] == 1
    assert "maxUnavailable" not in budget["spec"]
    found = await fleet.drift(changed)
    assert found is not None
    assert found.drift == {}
    await fleet.apply(updated(changed, hosted(namespace, {"replicas": 2})))
    former = Ref(POD_DISRUPTION_BUDGET, namespace, "qwen")
    async with asyncio.timeout(240):  # the garbage collector has the last word
        while await fleet.client.get(former):  # noqa: ASYNC110 - a cluster, not a task
            await asyncio.sleep(0.1)
    assert await pods_in(fleet.client, namespace) == pods


OVERRIDES: dict[str, Any] = {
    "metadata": {"labels": {"team": "search"}, "annotations": {"note": "a"}},
    "spec": {
        "terminationGracePeriodSeconds": 5.0,
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["models.internal"]}],
        "securityContext": {"supplementalGroups": [109.0], "fsGroup": {"$patch": "delete"}},
        "containers": [
            {
                "name": "engine",
                "ports": [{"containerPort": 9000}],
                "env": [{"name": "EMPTY", "value": ""}, {"name": "USER", "value": "other"}],
                "resources": {"requests": {"memory": "1024Mi"}, "limits": {"memory": "1.5Gi"}},
            }
        ],
        "volumes": [{"name": "shm", "$patch": "replace", "emptyDir": {"medium": "Memory"}}],
    },
}


async def test_overrides_are_stored_as_written_and_never_look_like_drift(
    fleet: Fleet, namespace: str
) -> None:
    fields = {"pod_overrides": OVERRIDES, "secret_env": {"TOKEN": "hush"}}
    service = desired(hosted(namespace, fields))
    await fleet.apply(service)
    found = await fleet.drift(service)
    assert found is not None
    assert found.drift == {}
    before = writes(fleet.client)
    await fleet.apply(service)
    assert writes(fleet.client) == before
    plain = updated(service, hosted(namespace, {"secret_env": {"TOKEN": "hush"}}))
    await fleet.apply(plain)
    found = await fleet.drift(plain)
    assert found is not None
    assert found.drift == {}
