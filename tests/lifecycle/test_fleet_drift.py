"""Reading services: what others changed and who, what is missing, what is gone.

Dimensions: what was changed (a declared field, another one, a whole object) x by whom x is it the
first read or the one after a refresh.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from fleets import (
    OTHER_OWNER,
    OWNER,
    behaving,
    desired,
    external,
    hold,
    hosted,
    let_go,
    objects_in,
    planned,
    updated,
    writes,
)
from writing import Kubectl, in_thread

from modelfleet import labels
from modelfleet.cluster.objects import DEPLOYMENT, SERVICE, Ref
from modelfleet.errors import ConflictError, NotReadyError
from modelfleet.fleet import Desired, Fleet, Found
from modelfleet.local.api import Api
from modelfleet.spec.tree import with_values


@pytest.fixture
def kubectl(plane_environment: Mapping[str, str], namespace: str) -> Kubectl:
    return Kubectl(plane_environment, namespace)


def declared(namespace: str) -> dict[str, Any]:
    fields = {
        "env": {"A": "1", "B": "2"},
        "memory_gib": 8,
        "node_selector": {"type": "kwok"},
        "secret_env": {"TOKEN": "hush"},
    }
    return hosted(namespace, fields)


async def read(fleet: Fleet, service: Desired) -> Found:
    found = await fleet.drift(service)
    assert found is not None
    return found


async def read_when_seen(fleet: Fleet, service: Desired, word: str) -> Found:
    """Read until a change made elsewhere shows, which the watch has to deliver first."""
    async with asyncio.timeout(240):
        while word not in str((found := await read(fleet, service)).drift):
            pass  # each read lets the watch catch up
    return found


async def test_a_service_that_nobody_touched_has_not_drifted(fleet: Fleet, namespace: str) -> None:
    for inputs in (declared(namespace), external(namespace, api_key="hush")):
        service = desired(inputs)
        await fleet.apply(service)
        found = await read(fleet, service)
        assert (found.drift, found.live) == ({}, {})
        assert found.service.status == "READY"
        await fleet.delete(service)


EDITS = [
    pytest.param(
        ["scale", "deployment/qwen", "--replicas=3"],
        {"deployment.replicas": "set to 3 by kubectl"},
        {("deployment", "replicas"): 3},
        id="scaled",
    ),
    pytest.param(
        ["set", "image", "deployment/qwen", "engine=registry.example.com/engine:2"],
        {"deployment.runtime.image": "set to registry.example.com/engine:2 by kubectl-set"},
        {("deployment", "runtime", "image"): "registry.example.com/engine:2"},
        id="another image",
    ),
    pytest.param(
        ["set", "env", "deployment/qwen", "A=9"],
        {"deployment.env.A": "set to 9 by kubectl-set"},
        {("deployment", "env", "A"): "9"},
        id="a variable",
    ),
    pytest.param(
        ["set", "env", "deployment/qwen", "A-"],
        {"deployment.env.A": "removed"},
        {("deployment", "env", "A"): None},
        id="a variable taken away",
    ),
    pytest.param(
        ["set", "resources", "deployment/qwen", "--limits=memory=9Gi"],
        {"deployment.memory_gib": "set to 9Gi by kubectl-set"},
        {("deployment", "memory_gib"): 9},
        id="memory",
    ),
    pytest.param(
        [
            "patch",
            "deployment",
            "qwen",
            "--type=json",
            "-p",
            '[{"op":"remove","path":"/spec/template/spec/nodeSelector/type"}]',
        ],
        {"deployment.node_selector.type": "removed"},
        {("deployment", "node_selector", "type"): None},
        id="a node selector",
    ),
    pytest.param(
        ["annotate", "service", "qwen", "example.com/note=mine"],
        {},
        {},
        id="a field that we say nothing about",
    ),
    pytest.param(
        [
            "patch",
            "service",
            "qwen",
            "--type=json",
            "-p",
            '[{"op":"replace","path":"/spec/ports/0/targetPort","value":9}]',
        ],
        {"Service spec.ports[port=80,protocol=TCP].targetPort": "set to 9 by kubectl-patch"},
        {},
        id="a field that is not declared",
    ),
    pytest.param(
        ["set", "resources", "deployment/qwen", "--requests=cpu=2000"],
        {
            "Deployment spec.template.spec.containers[name=engine].resources.requests.cpu": ""
            "set to 2k by kubectl-set"
        },
        {},
        id="what could not be declared",
    ),
    pytest.param(
        ["patch", "secret", "qwen-env", "-p", '{"stringData":{"TOKEN":"mine-in-secret"}}'],
        {"Secret data.TOKEN": "set to (secret) by kubectl-patch"},
        {},
        id="a secret",
    ),
    pytest.param(
        ["annotate", "deployment", "qwen", "--overwrite", f"{labels.RECORD}={{"],
        {f"Deployment metadata.annotations.{labels.RECORD}": "set to { by kubectl-annotate"},
        {},
        id="the record",
    ),
    pytest.param(["delete", "service", "qwen"], {"Service": "is missing"}, {}, id="a Service gone"),
    pytest.param(
        ["delete", "secret", "qwen-env"], {"Secret": "is missing"}, {}, id="a Secret gone"
    ),
]


@pytest.mark.parametrize(("edit", "drift", "live"), EDITS)
async def test_an_edit_is_told_by_field_and_by_whom_and_the_next_apply_puts_it_back(
    fleet: Fleet,
    namespace: str,
    kubectl: Kubectl,
    edit: list[str],
    drift: dict[str, str],
    live: dict[Any, Any],
) -> None:
    inputs = {**declared(namespace), "wait": {"until": "accepted"}}
    service = desired(inputs)
    await fleet.apply(service)
    await in_thread(lambda: kubectl(*edit))
    names = {"Service": f"Service {namespace}/qwen", "Secret": f"Secret {namespace}/qwen-env"}
    drift = {names.get(path, path): told for path, told in drift.items()}

    if drift:
        found = await read_when_seen(fleet, service, next(iter(drift)))
        assert (found.drift, found.live) == (drift, live)
    else:
        assert (await read(fleet, service)).drift == {}

    # What a refresh has put into the state is not taken for what was declared.
    refreshed = with_values(inputs, live)
    again = await read(fleet, replace(service, spec=planned(refreshed)))
    assert again.drift == drift
    assert with_values(refreshed, again.live) == refreshed

    await fleet.apply(updated(service, inputs))
    found = await read(fleet, service)
    assert (found.drift, found.live) == ({}, {})


async def test_a_read_tells_what_a_run_declared_whose_state_was_lost(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace, {"env": {"A": "1", "B": "2"}, "secret_env": {"T": "hush"}}))
    await fleet.apply(first)
    lost = updated(
        first, hosted(namespace, {"env": {"A": "9"}, "secret_env": {"T": "hush"}}, description="x")
    )
    await fleet.apply(lost)

    found = await read(fleet, first)

    assert found.drift == {}
    assert found.live == {
        ("deployment", "env", "A"): "9",
        ("deployment", "env", "B"): None,
        ("description",): "x",
    }


async def test_a_service_that_another_stack_took_over_says_whose_it_is(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(hosted(namespace))
    await fleet.apply(first)
    await fleet.apply(updated(first, hosted(namespace, {"replicas": 2}), owner=OTHER_OWNER))
    found = await read(fleet, first)
    assert (found.drift, found.live) == ({"owner": f"now belongs to {OTHER_OWNER}"}, {})


async def test_what_an_autoscaler_holds_is_told_and_not_taken_back(
    fleet: Fleet, namespace: str, kubectl: Kubectl
) -> None:
    service = desired(hosted(namespace))
    await fleet.apply(service)
    scale = json.dumps(
        {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": "qwen", "namespace": namespace},
            "spec": {"replicas": 2},
        }
    )
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/qwen/scale?fieldManager=keda"
    await in_thread(lambda: kubectl("replace", "--raw", path, "-f", "-", given=json.loads(scale)))

    found = await read_when_seen(fleet, service, "keda")

    assert found.drift == {"deployment.replicas": "set to 2 by keda"}
    with pytest.raises(ConflictError, match=r"spec\.replicas \(by keda"):
        await fleet.apply(updated(service, hosted(namespace)))


async def until_missing(fleet: Fleet, service: Desired) -> None:
    async with asyncio.timeout(240):
        while await fleet.drift(service) is not None:
            pass  # each read lets the watch catch up


@pytest.mark.parametrize("what", ["nothing was made", "its Deployment is gone"])
async def test_a_service_is_gone_when_its_primary_object_is(
    fleet: Fleet, namespace: str, kubectl: Kubectl, what: str
) -> None:
    service = desired(hosted(namespace))
    if what == "its Deployment is gone":
        await fleet.apply(service)
        await in_thread(lambda: kubectl("delete", "deployment", "qwen"))
    await until_missing(fleet, service)


async def test_a_service_that_is_being_deleted_is_gone(
    fleet: Fleet, namespace: str, plane_api: Api
) -> None:
    service = desired(hosted(namespace))
    await fleet.apply(service)
    hold(plane_api, namespace)
    with pytest.raises(NotReadyError):
        await fleet.delete(service, timeout_seconds=0.1)
    await until_missing(fleet, service)
    (listed,) = await fleet.list(namespace=namespace)
    assert listed.status == "DELETING"
    let_go(plane_api, namespace)


async def test_reading_ten_services_costs_the_requests_of_one(fleet: Fleet, namespace: str) -> None:
    services = [
        desired(external(namespace) | {"model_service_name": f"api-{number}"})
        for number in range(10)
    ]
    for service in services:
        await fleet.apply(service)
    await read(fleet, services[0])
    after_one = dict(fleet.client.requests)
    for service in services:
        assert (await read(fleet, service)).drift == {}
    assert dict(fleet.client.requests) == after_one


async def test_a_read_writes_nothing(fleet: Fleet, namespace: str) -> None:
    service = desired(hosted(namespace))
    await fleet.apply(service)
    before = writes(fleet.client)
    await read(fleet, service)
    await fleet.list()
    await fleet.status(namespace, "qwen")
    assert writes(fleet.client) == before


# list and status


async def test_services_are_listed_by_owner_and_namespace(fleet: Fleet, namespace: str) -> None:
    declarations = [
        (hosted(namespace, {"replicas": 2}), OWNER),
        (external(namespace) | {"model_service_name": "api"}, OWNER),
        (external(namespace) | {"model_service_name": "their-api"}, OTHER_OWNER),
    ]
    for inputs, owner in declarations:
        await fleet.apply(desired(inputs, owner=owner))

    async def names(**by: str) -> list[str]:
        return [each.name for each in await fleet.list(**by) if each.namespace == namespace]

    assert await names() == ["api", "qwen", "their-api"]
    assert await names(namespace=namespace, owner=OWNER) == ["api", "qwen"]
    assert await names(owner=OTHER_OWNER) == ["their-api"]
    assert await names(namespace="default") == []
    hosted_one = next(each for each in await fleet.list() if each.id == f"{namespace}/qwen")
    assert (hosted_one.replicas, hosted_one.model) == (2, "file:///models/qwen")
    assert hosted_one.created_at <= hosted_one.last_updated_at


async def test_a_record_that_somebody_has_spoilt_keeps_no_other_service_from_being_listed(
    fleet: Fleet, namespace: str, kubectl: Kubectl
) -> None:
    await fleet.apply(desired(hosted(namespace)))
    await fleet.apply(desired(external(namespace) | {"model_service_name": "api"}))
    edit = ["annotate", "deployment", "qwen", "--overwrite", f"{labels.RECORD}={{"]
    await in_thread(lambda: kubectl(*edit))
    listed = await fleet.list(namespace=namespace)
    assert [each.name for each in listed] == ["api", "qwen"]


async def test_the_status_of_one_service_tells_what_its_pods_lack(
    fleet: Fleet, namespace: str
) -> None:
    service = desired(hosted(namespace, behaving("image-pull")))
    with pytest.raises(NotReadyError):
        await fleet.apply(service)

    status = await fleet.status(namespace, "qwen")

    assert status is not None
    assert status.service.status == "CREATE_FAILED"
    assert "registry.example.com/engine:1" in status.service.status_reason
    assert await fleet.status(namespace, "other") is None


async def test_the_status_of_an_external_service_is_ready(fleet: Fleet, namespace: str) -> None:
    await fleet.apply(desired(external(namespace)))
    status = await fleet.status(namespace, "qwen")
    assert status is not None
    assert status.service.status == "READY"


async def test_only_pods_of_the_present_version_speak_for_it(fleet: Fleet, namespace: str) -> None:
    first = desired(hosted(namespace, behaving("crash-loop")))
    with pytest.raises(NotReadyError):
        await fleet.apply(first)
    await fleet.apply(updated(first, hosted(namespace)))
    status = await fleet.status(namespace, "qwen")
    assert status is not None
    assert (status.service.status, status.service.status_reason) == ("READY", "")


async def test_objects_of_other_kinds_of_resources_are_no_services(
    fleet: Fleet, namespace: str
) -> None:
    await fleet.apply(desired(hosted(namespace)))
    objects = await objects_in(fleet.client, namespace)
    assert {Ref(SERVICE, namespace, "qwen"), Ref(DEPLOYMENT, namespace, "qwen")} <= objects.keys()
    assert len(await fleet.list(namespace=namespace)) == 1
