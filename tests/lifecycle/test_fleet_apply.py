"""Applying services: what is written, what is left behind, and what a failure leaves.

Dimensions: what is there before (nothing, half of it, the service, somebody else's) x what is
declared x how the apply ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fleets import (
    OTHER_OWNER,
    OWNER,
    Gate,
    behaving,
    desired,
    external,
    hold,
    hosted,
    let_go,
    names_in,
    objects_in,
    out_of_time,
    pods_in,
    updated,
    writes,
)

from modelfleet import labels
from modelfleet.cluster.apply import apply_objects
from modelfleet.cluster.client import Client
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.cluster.objects import DEPLOYMENT, SECRET, Object, Ref
from modelfleet.cluster.records import record_of
from modelfleet.cluster.tls import tls_context
from modelfleet.desired import Kept
from modelfleet.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    NotReadyError,
)
from modelfleet.fleet import Desired, Fleet
from modelfleet.local.api import Api

HOSTED = ["NetworkPolicy qwen", "Service qwen", "Deployment qwen"]
WITH_SECRET = ["Secret qwen-env", *HOSTED]
EXTERNAL = ["Secret qwen-external"]

BROKEN = behaving("crash-loop")


async def deployment_in(fleet: Fleet, namespace: str) -> Object:
    live = await fleet.client.get(Ref(DEPLOYMENT, namespace, "qwen"))
    assert live is not None
    return live


async def incarnations_in(fleet: Fleet, namespace: str) -> set[str]:
    objects = await objects_in(fleet.client, namespace)
    return {obj["metadata"]["annotations"][labels.INCARNATION] for obj in objects.values()}


# Converging


@pytest.mark.parametrize("count", [1, 3, 4])
async def test_a_create_goes_on_where_an_interrupted_one_stopped(
    fleet: Fleet, namespace: str, count: int
) -> None:
    declared = hosted(namespace, {"secret_env": {"TOKEN": "hush"}})
    interrupted = desired(declared)
    uid = await fleet.client.cluster_uid()
    objects = interrupted.objects(cluster_uid=uid, kept=Kept(hash_key=b"key"))[:count]
    await apply_objects(fleet.client, objects, ownership=interrupted.ownership)

    again = desired(declared)
    service = await fleet.apply(again)

    assert service.status == "READY"
    assert service.ready_replicas == 1
    assert await names_in(fleet.client, namespace) == WITH_SECRET
    assert await incarnations_in(fleet, namespace) == {again.incarnation}


async def test_an_update_without_a_change_writes_nothing(fleet: Fleet, namespace: str) -> None:
    declared = hosted(namespace, {"secret_env": {"TOKEN": "hush"}, "env": {"A": "1"}})
    first = desired(declared)
    service = await fleet.apply(first)
    before = writes(fleet.client)

    assert await fleet.apply(updated(first, declared)) == service

    assert writes(fleet.client) == before


async def test_scaling_restarts_nothing(fleet: Fleet, namespace: str) -> None:
    first = desired(hosted(namespace))
    await fleet.apply(first)
    pods = await pods_in(fleet.client, namespace)

    service = await fleet.apply(updated(first, hosted(namespace, {"replicas": 3})))

    assert (service.replicas, service.ready_replicas) == (3, 3)
    assert pods < await pods_in(fleet.client, namespace)


async def test_a_service_without_replicas_is_stopped(fleet: Fleet, namespace: str) -> None:
    first = desired(hosted(namespace))
    await fleet.apply(first)
    service = await fleet.apply(updated(first, hosted(namespace, {"replicas": 0})))
    assert service.status == "STOPPED"
    assert await pods_in(fleet.client, namespace) == set()


async def test_until_accepted_nothing_is_waited_for(fleet: Fleet, namespace: str) -> None:
    declared = hosted(namespace, BROKEN, wait={"until": "accepted"})
    service = await fleet.apply(desired(declared))
    assert service.status == "CREATING"


async def test_the_record_says_who_declared_what_and_never_a_secret(
    fleet: Fleet, namespace: str
) -> None:
    declared = hosted(namespace, {"secret_env": {"TOKEN": "hush-do-not-tell"}})
    service = desired(declared, urn="urn:pulumi:prod::fleet::ModelService::qwen")
    await fleet.apply(service)

    live = await deployment_in(fleet, namespace)

    record = record_of(live)
    assert record is not None
    assert (record.owner, record.urn) == (OWNER, "urn:pulumi:prod::fleet::ModelService::qwen")
    assert record.incarnation == service.incarnation
    assert record.spec["deployment"]["secret_env"] == {"TOKEN": ""}
    assert "hush" not in str(live)


# What is no longer declared


def secret_hash(live: Object) -> str:
    template = live["spec"]["template"]["metadata"].get("annotations") or {}
    return str(template.get(labels.SECRET_HASH, ""))


async def test_a_secret_environment_comes_changes_and_goes(fleet: Fleet, namespace: str) -> None:
    first = desired(hosted(namespace))
    await fleet.apply(first)
    assert await names_in(fleet.client, namespace) == HOSTED

    hashes = []
    service = first
    for value in ("one", "one", "two", "one"):
        service = updated(service, hosted(namespace, {"secret_env": {"TOKEN": value}}))
        await fleet.apply(service)
        hashes.append(secret_hash(await deployment_in(fleet, namespace)))
    assert await names_in(fleet.client, namespace) == WITH_SECRET
    assert hashes[0] == hashes[1] == hashes[3] != hashes[2]

    await fleet.apply(updated(service, hosted(namespace)))
    assert await names_in(fleet.client, namespace) == HOSTED
    assert secret_hash(await deployment_in(fleet, namespace)) == ""


async def test_pods_see_a_new_value_of_a_secret_and_no_others_restart(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace, {"secret_env": {"TOKEN": "one"}}))
    await fleet.apply(first)
    pods = await pods_in(fleet.client, namespace)
    same = updated(first, hosted(namespace, {"secret_env": {"TOKEN": "one"}}, description="x"))
    await fleet.apply(same)
    assert await pods_in(fleet.client, namespace) == pods
    await fleet.apply(updated(same, hosted(namespace, {"secret_env": {"TOKEN": "two"}})))
    assert not await pods_in(fleet.client, namespace) & pods


async def test_hosted_and_external_leave_nothing_of_one_another(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace, {"secret_env": {"TOKEN": "hush"}}))
    await fleet.apply(first)
    outside = updated(first, external(namespace))
    await fleet.apply(outside)
    assert await names_in(fleet.client, namespace) == EXTERNAL
    await fleet.apply(updated(outside, hosted(namespace)))
    assert await names_in(fleet.client, namespace) == HOSTED


# Whose it is


async def test_a_service_of_another_stack_is_refused_and_its_owner_named(
    fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired(hosted(namespace)))
    before = await objects_in(fleet.client, namespace)
    with pytest.raises(AlreadyExistsError, match=f"belongs to stack {OWNER}"):
        await fleet.apply(desired(hosted(namespace, {"cpu": 2}), owner=OTHER_OWNER))
    assert (await objects_in(fleet.client, namespace)).keys() == before.keys()
    assert await incarnations_in(fleet, namespace) == {
        obj["metadata"]["annotations"][labels.INCARNATION] for obj in before.values()
    }


async def test_a_renamed_stack_relabels_what_it_has_and_restarts_nothing(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace))
    await fleet.apply(first)
    pods = await pods_in(fleet.client, namespace)

    service = await fleet.apply(updated(first, hosted(namespace), owner=OTHER_OWNER))

    assert service.owner == OTHER_OWNER
    assert await pods_in(fleet.client, namespace) == pods
    assert [each.id for each in await fleet.list(owner=OTHER_OWNER, namespace=namespace)] == [
        f"{namespace}/qwen"
    ]
    assert await fleet.list(owner=OWNER, namespace=namespace) == []


async def test_another_cluster_behind_the_same_name_is_an_error_of_every_verb(
    fleet: Fleet, namespace: str
) -> None:
    elsewhere = desired(hosted(namespace), cluster_uid="uid-of-another")
    verbs = (fleet.apply, fleet.drift, fleet.delete)
    for verb in verbs:
        with pytest.raises(ConflictError, match=r"is another cluster .* uid-of-another"):
            await verb(elsewhere)
    assert await names_in(fleet.client, namespace) == []


async def test_a_missing_namespace_is_an_error_that_says_so(fleet: Fleet) -> None:
    with pytest.raises(NotFoundError, match="Create the Namespace first"):
        await fleet.apply(desired(hosted("not-there")))


# Failing


async def failed(fleet: Fleet, service: Desired, **options: Any) -> NotReadyError:
    with pytest.raises(NotReadyError) as caught:
        await fleet.apply(service, **options)
    return caught.value


async def test_a_create_that_fails_is_kept_with_its_reason(fleet: Fleet, namespace: str) -> None:
    service = desired(hosted(namespace, BROKEN))
    error = await failed(fleet, service)

    assert str(error).startswith(f"ModelService {namespace}/qwen: failed. Pod qwen-")
    assert not error.taken_back
    assert await names_in(fleet.client, namespace) == HOSTED
    kept = await fleet.incomplete(service, error)
    assert (kept.status, kept.incarnation) == ("CREATE_FAILED", service.incarnation)
    assert kept.status_reason in str(error)


async def test_a_failed_create_goes_on_as_an_update(fleet: Fleet, namespace: str) -> None:
    service = desired(hosted(namespace, BROKEN))
    await failed(fleet, service)
    repaired = await fleet.apply(updated(service, hosted(namespace)))
    assert repaired.status == "READY"


async def test_time_is_up_when_the_caller_says_so_before_the_spec_does(
    fleet: Fleet, namespace: str
) -> None:
    declared = hosted(namespace, {"gpu": {"product": "not-made-yet"}})
    error = await out_of_time(fleet, desired(declared), heard="node", timeout_seconds=2)
    assert "is not ready after 2 s." in str(error)
    assert "deployment.gpu.product" in str(error)


async def test_a_create_is_rolled_back_to_nothing(fleet: Fleet, namespace: str) -> None:
    declared = hosted(namespace, {**BROKEN, "secret_env": {"TOKEN": "hush"}})
    error = await failed(fleet, desired(declared), on_failure="rollback")
    assert error.taken_back
    assert str(error).endswith("It was removed again.")
    assert await names_in(fleet.client, namespace) == []


async def test_what_was_there_before_a_create_is_not_rolled_back(
    fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired(hosted(namespace)))
    error = await failed(fleet, desired(hosted(namespace, BROKEN)), on_failure="rollback")
    assert not error.taken_back
    assert await names_in(fleet.client, namespace) == HOSTED


async def test_an_update_is_rolled_back_to_what_was_in_force(fleet: Fleet, namespace: str) -> None:
    first = desired(hosted(namespace, {"env": {"A": "1"}}))
    await fleet.apply(first)
    pods = await pods_in(fleet.client, namespace)
    broken = hosted(
        namespace,
        {**BROKEN, "env": {"B": "2"}, "secret_env": {"TOKEN": "hush"}},
        wait={"on_failure": "rollback"},
    )

    error = await failed(fleet, updated(first, broken, owner=OTHER_OWNER))

    assert error.taken_back
    assert str(error).endswith("It was put back.")
    assert await names_in(fleet.client, namespace) == HOSTED
    found = await fleet.drift(first)
    assert found is not None
    assert (found.drift, found.live, found.service.owner) == ({}, {}, OWNER)
    assert pods <= await pods_in(fleet.client, namespace)


async def test_an_update_that_fails_says_so_while_the_former_pods_serve(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace))
    await fleet.apply(first)
    broken = updated(first, hosted(namespace, BROKEN))

    error = await failed(fleet, broken)

    kept = await fleet.incomplete(broken, error)
    assert (kept.status, kept.ready_replicas) == ("UPDATE_FAILED", 1)
    (listed,) = await fleet.list(namespace=namespace)
    assert (listed.status, listed.ready_replicas) == ("UPDATING", 1)


@pytest.fixture
def no_deployments(plane_api: Api, namespace: str) -> Iterator[Callable[[], None]]:
    """Have a quota of the namespace refuse Deployments; calling it lifts the quota."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/deployments.apps": "0"}}}
    plane_api.send("POST", path, json=quota)

    def lift() -> None:
        plane_api.send("DELETE", f"{path}/none")

    yield lift


async def quota_counts(fleet: Fleet, namespace: str) -> None:
    """Wait until the quota is in force, which its controller has to count for first."""
    probe = desired(hosted(namespace, {"replicas": 0}, model_service_name="probe"))
    async with asyncio.timeout(240):
        while True:
            try:
                await fleet.apply(probe)
            except NotReadyError:
                await fleet.delete(probe)
                return
            await fleet.delete(probe)
            await asyncio.sleep(0.2)


async def test_a_write_that_is_refused_half_way_is_told_and_kept(
    fleet: Fleet, namespace: str, no_deployments: Callable[[], None]
) -> None:
    await quota_counts(fleet, namespace)
    service = desired(hosted(namespace))

    error = await failed(fleet, service)

    assert "was not written wholly. Deployment" in str(error)
    assert "exceeded quota" in str(error)
    assert await names_in(fleet.client, namespace) == HOSTED[:2]
    kept = await fleet.incomplete(service, error)
    assert (kept.status, kept.incarnation) == ("CREATE_FAILED", service.incarnation)

    no_deployments()
    assert (await fleet.apply(updated(service, hosted(namespace)))).status == "READY"


class NoPods(httpx.AsyncBaseTransport):
    """The network to the plane, on which pods may not be looked at."""

    def __init__(self, kubeconfig: Path) -> None:
        self.access = load_access(kubeconfig=str(kubeconfig))
        self._network = httpx.AsyncHTTPTransport(verify=tls_context(self.access))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/pods"):
            status = {"kind": "Status", "reason": "Forbidden", "message": "pods is forbidden"}
            return httpx.Response(403, json=status)
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        await self._network.aclose()


async def test_a_service_that_cannot_be_watched_is_kept_and_told_so(
    fleet_kubeconfig: Path, namespace: str
) -> None:
    network = NoPods(fleet_kubeconfig)
    fleet = Fleet(Client(network.access, http=network))
    try:
        error = await failed(fleet, desired(hosted(namespace)))
        assert "was written, but not seen to be ready. Pod objects" in str(error)
        assert error.live is not None
        assert await names_in(fleet.client, namespace) == HOSTED
    finally:
        await fleet.aclose()


async def test_a_write_that_is_refused_half_way_is_rolled_back(
    fleet: Fleet, namespace: str, no_deployments: Callable[[], None]
) -> None:
    await quota_counts(fleet, namespace)
    error = await failed(fleet, desired(hosted(namespace)), on_failure="rollback")
    assert error.taken_back
    assert await names_in(fleet.client, namespace) == []


class Watcher:
    """A progress that notes what it is told, and does something at the first word."""

    def __init__(self, happens: Callable[[], None] = lambda: None) -> None:
        self.told: list[str] = []
        self.is_over = False
        self._happens = happens

    def __call__(self, text: str) -> None:
        self.told.append(text)
        self._happens()

    def tell(self, text: str) -> None:
        self.told.append(text)

    def end(self) -> None:
        self.is_over = True


async def test_what_is_waited_for_is_told_until_the_waiting_is_over(
    fleet: Fleet, namespace: str, gate: Gate
) -> None:
    watcher = Watcher(gate.open)
    await fleet.apply(desired(hosted(namespace, gate.deployment)), progress=watcher)
    assert watcher.told
    assert all(text.startswith("waiting: ") for text in watcher.told)
    assert watcher.is_over


async def test_a_bug_after_the_writes_passes_and_the_next_apply_goes_on(
    fleet: Fleet, namespace: str, gate: Gate
) -> None:
    def fails() -> None:
        raise LookupError("nobody thought of this")

    watcher = Watcher(fails)
    service = desired(hosted(namespace, gate.deployment))
    with pytest.raises(LookupError):
        await fleet.apply(service, on_failure="rollback", progress=watcher)
    assert watcher.is_over
    assert await names_in(fleet.client, namespace) == HOSTED
    gate.open()
    assert (await fleet.apply(service)).status == "READY"


async def test_a_cancelled_apply_leaves_what_it_wrote_and_the_next_one_goes_on(
    fleet: Fleet, namespace: str, gate: Gate
) -> None:
    service = desired(hosted(namespace, gate.deployment))
    waiting = asyncio.Event()
    watcher = Watcher(waiting.set)
    task = asyncio.create_task(fleet.apply(service, progress=watcher))
    await waiting.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert watcher.is_over
    assert await names_in(fleet.client, namespace) == HOSTED
    gate.open()
    assert (await fleet.apply(service)).status == "READY"


async def test_a_service_that_is_being_deleted_is_waited_for_and_made_anew(
    fleet: Fleet, namespace: str, plane_api: Api
) -> None:
    first = desired(hosted(namespace))
    await fleet.apply(first)
    uid = (await deployment_in(fleet, namespace))["metadata"]["uid"]
    hold(plane_api, namespace)
    with pytest.raises(NotReadyError, match="is still being deleted"):
        await fleet.delete(first, timeout_seconds=0.1)

    second = asyncio.create_task(fleet.apply(desired(hosted(namespace))))
    await asyncio.sleep(0.3)
    assert not second.done()
    let_go(plane_api, namespace)

    assert (await second).status == "READY"
    assert (await deployment_in(fleet, namespace))["metadata"]["uid"] != uid


async def test_the_secret_of_an_external_service_holds_what_a_proxy_needs(
    fleet: Fleet, namespace: str
) -> None:
    service = await fleet.apply(desired(external(namespace, api_key="hush")))
    live = await fleet.client.get(Ref(SECRET, namespace, "qwen-external"))
    assert live is not None
    assert live["data"].keys() == {"api_key", "base_url", "model_names"}
    assert (service.status, service.model) == ("READY", "https://api.example.com/v1")


def test_the_user_of_these_tests_is_not_an_administrator(
    fleet_kubeconfig: Path, kubeconfig: Path, admin_kubeconfig: Path
) -> None:
    assert "as: " in fleet_kubeconfig.read_text()
    assert "as: " in kubeconfig.read_text()
    assert "as: " not in admin_kubeconfig.read_text()
