"""The catalogue on a real API server: what it tells of every resource, over restarts too."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fleets import desired, external, hold, hosted, let_go
from proxies import desired as desired_proxy
from proxies import proxy
from rights import least_kubeconfig

from conftest import PlaneFactory
from modelfleet.catalogue import Catalogue, Entry
from modelfleet.cluster.client import Client
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.cluster.mirror import Key
from modelfleet.cluster.retry import RetryPolicy
from modelfleet.fleet import Desired, Fleet
from modelfleet.local.api import Api

NOWHERE = {"node_selector": {"example.com/no-such-node": "yes"}}


async def until(
    catalogue: Catalogue, key: Key, condition: Callable[[Entry], object], *, seconds: float = 240
) -> Entry:
    """Return an entry once ``condition`` holds for it, without asking the server for anything."""
    async with asyncio.timeout(seconds):
        while (entry := catalogue.last_known().by_key.get(key)) is None or not condition(entry):
            await catalogue.changed(timeout_seconds=1)
    return entry


def is_(status: str) -> Callable[[Entry], bool]:
    return lambda entry: entry.service.status == status


async def applied(fleet: Fleet, wanted: Desired) -> Key:
    await fleet.apply(wanted, wait=False)
    return wanted.key


async def test_every_kind_of_resource_has_an_entry_and_none_holds_a_secret(
    fleet: Fleet, namespace: str
) -> None:
    settings = {"api_key": "hush-hush", "model_names": ["m"]}
    outside = desired({**external(namespace, **settings), "model_service_name": "ext"})
    inside = desired(hosted(namespace, {"secret_env": {"TOKEN": "hush-hush"}}))
    gate = desired_proxy(proxy(namespace, api_keys={"ci": {"key": "hush-hush-hush-hush"}}))
    for each in (outside, inside, gate):
        await fleet.apply(each, wait=False)
    snapshot = await fleet.catalogue.fresh()
    own = [each for each in snapshot.entries if each.key.namespace == namespace]
    assert [each.key for each in own] == [gate.key, outside.key, inside.key]
    uid = await fleet.client.cluster_uid()
    for entry in own:
        assert entry.spec is not None and entry.record is not None
        assert entry.service.cluster_uid == uid
        told = json.dumps(entry.primary) + entry.spec.model_dump_json() + repr(entry)
        assert "hush" not in told and "data" not in entry.primary
    assert [each.service.model for each in own] == [
        "1 route: chat",
        "https://api.example.com/v1",
        "file:///models/qwen",
    ]


async def test_statuses_come_with_their_reasons_from_the_pods(
    fleet: Fleet, plane_api: Api, namespace: str
) -> None:
    catalogue = fleet.catalogue
    await catalogue.fresh()
    before = dict(fleet.client.requests)

    def named(name: str, fields: Any = None) -> Desired:
        return desired(hosted(namespace, fields, model_service_name=name))

    nowhere = await applied(fleet, named("nowhere", NOWHERE))
    stopped = await applied(fleet, named("stopped", {"replicas": 0}))
    dies = await applied(fleet, named("dies"))
    goes = await applied(fleet, named("goes"))
    waiting = await until(catalogue, nowhere, lambda each: "schedul" in each.service.status_reason)
    assert waiting.service.status == "CREATING"
    await until(catalogue, stopped, is_("STOPPED"))
    await until(catalogue, goes, is_("READY"))
    await until(catalogue, dies, is_("READY"))
    crash_pods(plane_api, namespace, "dies")
    degraded = await until(catalogue, dies, is_("DEGRADED"))
    assert degraded.service.status_reason
    hold(plane_api, namespace, name="goes")
    try:
        plane_api.send("DELETE", f"/apis/apps/v1/namespaces/{namespace}/deployments/goes")
        await until(catalogue, goes, is_("DELETING"))
    finally:
        let_go(plane_api, namespace, name="goes")
    await until_missing(catalogue, goes)
    asked = fleet.client.requests
    for plural in ("deployments", "secrets", "pods", "replicasets"):
        assert asked[f"list {plural}"] == before[f"list {plural}"]


def crash_pods(api: Api, namespace: str, name: str) -> None:
    """Have the pods of a service report, as a kubelet would, that they have crashed."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    found = api.send("GET", pods, params={"labelSelector": f"modelfleet.dev/name={name}"})
    for pod in found["items"]:
        status = pod["status"]
        for each in status["conditions"]:
            if each["type"] in ("Ready", "ContainersReady"):
                each |= {"status": "False", "reason": "ContainersNotReady"}
        for each in status["containerStatuses"]:
            ended = {"exitCode": 1, "reason": "Error"}
            state = {"waiting": {"reason": "CrashLoopBackOff"}}
            each |= {"ready": False, "state": state, "lastState": {"terminated": ended}}
            each["restartCount"] = 1
        api.send("PUT", f"{pods}/{pod['metadata']['name']}/status", json=pod)


async def test_a_snapshot_does_not_change_while_the_fleet_does(
    fleet: Fleet, namespace: str
) -> None:
    first = desired(external(namespace))
    await fleet.apply(first)
    before = await fleet.catalogue.fresh()
    entry = before.by_key[first.key]
    told = json.dumps(entry.primary)
    await fleet.apply(desired({**external(namespace), "model_service_name": "other"}))
    await fleet.delete(first)
    await until_missing(fleet.catalogue, first.key)
    assert before.by_key[first.key] is entry
    assert json.dumps(entry.primary) == told
    assert "other" not in [
        each.key.name for each in before.entries if each.key.namespace == namespace
    ]


async def until_missing(catalogue: Catalogue, key: Key) -> None:
    """Return once a resource is gone, without asking the server for anything."""
    async with asyncio.timeout(240):
        while key in catalogue.last_known().by_key:
            await catalogue.changed(timeout_seconds=1)


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(240):
        while not condition():  # noqa: ASYNC110 - a cluster, not a task
            await asyncio.sleep(0.05)


def is_current(catalogue: Catalogue) -> bool:
    return catalogue.freshness.age_seconds == 0


@pytest.mark.timeout(900)
async def test_it_outlives_the_api_server_and_begins_anew_where_it_was_given_up(
    plane_factory: PlaneFactory, tmp_path: Path
) -> None:
    plane = plane_factory("restarts")
    await asyncio.to_thread(plane.up, gpus="h100-80gb:8x1")
    with plane.api() as api:
        kubeconfig = least_kubeconfig(plane, api, tmp_path, user="catalogue-under-test")
    soon = RetryPolicy(first_delay_seconds=0.1, longest_delay_seconds=0.2, budget_seconds=0.5)
    client = Client(load_access(kubeconfig=str(kubeconfig)), retry=soon)
    patient, hasty = Catalogue(client), Catalogue(client, unreachable_seconds=0.5)
    fleet = Fleet(Client.connect(kubeconfig=str(kubeconfig)))
    try:
        first = desired(external("default"))
        second = desired(hosted("default", model_service_name="other"))
        await fleet.apply(first)
        for each in (patient, hasty):
            assert [entry.key for entry in (await each.fresh()).entries] == [first.key]
            await eventually(partial(is_current, each))
        clock = asyncio.get_running_loop().time
        lost_at = clock()
        os.kill(plane.status().components["kube-apiserver"], signal.SIGKILL)
        await eventually(lambda: all(watch.has_ended for watch in hasty._watches))
        for each in (patient, hasty):
            assert [entry.key for entry in each.last_known().entries] == [first.key]
            assert 0.5 <= each.freshness.age_seconds <= clock() - lost_at
            assert each.freshness.trouble
        lists = client.requests["list deployments"]
        await asyncio.to_thread(plane.up)
        await fleet.apply(second, wait=False)
        for each in (patient, hasty):
            assert second.key in (await each.fresh()).by_key
            await eventually(partial(is_current, each))
        assert client.requests["list deployments"] <= lists + 3
    finally:
        await patient.aclose()
        await hasty.aclose()
        await client.aclose()
        await fleet.aclose()
