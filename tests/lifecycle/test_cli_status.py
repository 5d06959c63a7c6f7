"""``modelfleet status`` on a real cluster, whose fake nodes let pods go wrong as they are told.

Dimensions: what a service is like (serves, stopped, elsewhere, gone wrong in every way) x who asks.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from command_line import CommandLine
from fleets import OWNER, behaving, desired, external, hosted, out_of_time
from rights import least_kubeconfig

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.errors import NotReadyError
from modelfleet.fleet import Fleet
from modelfleet.local import Plane
from modelfleet.local.api import Api

T = TypeVar("T")

HUSH = "EngineCore failed"
"""A secret that the log of a crashed fake pod happens to repeat."""

READERS: Mapping[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "readers-in-tests"},
    "rules": [
        {"apiGroups": [group], "resources": resources, "verbs": [verb]}
        for group, verb, resources in (
            ("apps", "list", ["deployments", "replicasets", "statefulsets"]),
            ("", "list", ["services", "configmaps", "persistentvolumeclaims", "pods", "events"]),
            ("", "get", ["pods/log", "namespaces"]),
            ("networking.k8s.io", "list", ["networkpolicies"]),
            ("policy", "list", ["poddisruptionbudgets"]),
        )
    ],
}
"""Who may look at most things, but at no Secret."""


@pytest.fixture(scope="module")
def space(plane_api: Api) -> Iterator[str]:
    """A namespace of this module's own."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    yield name
    plane_api.send("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def kubectl(plane: Plane) -> Callable[..., str]:
    """Run the plane's kubectl as its administrator."""

    def run(*arguments: str) -> str:
        program = str(plane.state_folder / "bin" / "kubectl")
        command = [program, "--kubeconfig", str(plane.kubeconfig), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture(scope="module")
def cli(fleet_kubeconfig: Path) -> CommandLine:
    return CommandLine(fleet_kubeconfig)


def applied(kubeconfig: Path, *inputs: dict[str, Any]) -> None:
    """Apply services, at once."""

    async def apply_all(fleet: Fleet) -> None:
        await asyncio.gather(*(fleet.apply(desired(each)) for each in inputs))

    with_fleet(kubeconfig, apply_all)


def with_fleet(kubeconfig: Path, call: Callable[[Fleet], Awaitable[T]]) -> T:
    """Return what ``call`` makes of a fleet."""

    async def called() -> T:
        fleet = Fleet(Client.connect(kubeconfig=str(kubeconfig)))
        try:
            return await call(fleet)
        finally:
            await fleet.aclose()

    return asyncio.run(called())


def named(name: str, declared: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {**declared, "model_service_name": name, **others}


@pytest.fixture(scope="module")
def well(space: str, fleet_kubeconfig: Path) -> str:
    """Services with which nothing is wrong; ``space`` is their namespace."""
    applied(
        fleet_kubeconfig,
        named("serving", hosted(space, {"replicas": 2})),
        named("stopped", hosted(space, {"replicas": 0})),
        named("elsewhere", external(space)),
    )
    return space


def document(cli: CommandLine, *arguments: str) -> dict[str, Any]:
    ran = cli.run("status", *arguments, "--output", "json")
    assert ran.code in (0, 3), ran
    told: dict[str, Any] = json.loads(ran.out)
    return told


def test_a_service_that_serves_is_shown_with_its_pods_and_ends_with_0(
    cli: CommandLine, well: str
) -> None:
    lines = [line.split() for line in cli.printed("status", f"{well}/serving").splitlines()]
    told = [" ".join(line) for line in lines]
    assert told[0] == f"ModelService {well}/serving: READY"
    assert f"base_url http://serving.{well}.svc/v1" in told
    assert f"owner {OWNER}" in told
    assert "access name serving" in told
    assert "replicas 2 declared, 2 updated, 2 ready, 2 available" in told
    assert "rollout 2 of 2 pods available" in told
    assert "Why:" not in told
    pods = lines.index(["POD", "NODE", "PHASE", "READY", "RESTARTS", "AGE", "LACKS"])
    for row in lines[pods + 1 : pods + 3]:
        assert row[0].startswith("serving-")
        assert [*row[2:5], row[6]] == ["Running", "yes", "0", "-"]
    events = lines.index(["AGE", "TIMES", "ABOUT", "REASON", "MESSAGE"])
    assert {"ScalingReplicaSet", "SuccessfulCreate"} <= {row[4] for row in lines[events + 1 :]}


@pytest.mark.parametrize(("name", "status"), [("stopped", "STOPPED"), ("elsewhere", "READY")])
def test_what_is_stopped_or_runs_elsewhere_is_as_declared_and_has_no_pods(
    cli: CommandLine, well: str, name: str, status: str
) -> None:
    ran = cli.run("status", name, "-n", well)
    assert ran.code == 0
    assert ran.out.startswith(f"ModelService {well}/{name}: {status}\n")
    assert "POD " not in ran.out
    told = document(cli, name, "-n", well)
    assert told["pods"] == told["diagnosis"] == []
    assert told["rollout"] is None or told["rollout"]["told"] == "stopped, no pods"


def test_programs_are_told_the_same_as_json(cli: CommandLine, well: str) -> None:
    told = document(cli, f"{well}/serving")
    assert told["service"]["status"] == "READY"
    assert told["service"]["kind"] == "ModelService"
    rollout = {"replicas": 2, "updated": 2, "ready": 2, "available": 2, "former": 0}
    assert told["rollout"] == {**rollout, "told": "2 of 2 pods available"}
    assert [pod["is_ready"] for pod in told["pods"]] == [True, True]
    assert told["diagnosis"] == []
    times = [event["last_at"].removesuffix("Z") for event in told["events"]]
    assert times == sorted(times)
    assert len(times) >= 2


WRONG = {
    "crash-loop": (behaving("crash-loop"), "CrashLoop", ""),
    "image-pull": (behaving("image-pull"), "ImagePull", ""),
    "oom": (behaving("oom"), "OOMKilled", ""),
    "bad-secret": (behaving("bad-secret"), "ConfigMissing", ""),
    "never-ready": (behaving("never-ready"), "ProbeFailing", "readiness probe"),
    "no-node": ({"gpu": {"product": "NVIDIA-A100"}}, "Unschedulable", "node"),
}
"""By service, how it is declared, what it therefore lacks, and what is waited for in vain."""


@pytest.fixture(scope="module")
def reasons(space: str, fleet_kubeconfig: Path) -> Mapping[str, tuple[str, ...]]:
    """What the error of each failed apply said, by service."""
    secret = {"secret_env": {"TOKEN": HUSH}}

    async def failed(fleet: Fleet, name: str) -> tuple[str, ...]:
        fields, _, heard = WRONG[name]
        service = desired(named(name, hosted(space, {**fields, **secret})))
        if heard:
            return (await out_of_time(fleet, service, heard=heard)).reasons
        with pytest.raises(NotReadyError) as caught:
            await fleet.apply(service)
        return caught.value.reasons

    async def all_failed(fleet: Fleet) -> list[tuple[str, ...]]:
        return await asyncio.gather(*(failed(fleet, name) for name in WRONG))

    return dict(zip(WRONG, with_fleet(fleet_kubeconfig, all_failed), strict=True))


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_as_by_the_failed_apply_and_ends_with_3(
    cli: CommandLine, space: str, reasons: Mapping[str, tuple[str, ...]], name: str
) -> None:
    _, lacks, _ = WRONG[name]
    _, *sentences = reasons[name]
    assert sentences, "the apply did not fail"

    told = document(cli, f"{space}/{name}")
    assert [each["sentence"] for each in told["diagnosis"]] == sentences
    (reason,) = told["diagnosis"]
    assert reason["code"] == lacks
    assert reason["field"].startswith("deployment.")
    assert reason["field"] in reason["hint"]
    (pod,) = told["pods"]
    assert (pod["lacks"], pod["is_ready"]) == (lacks, False)
    assert pod["why"]

    ran = cli.run("status", f"{space}/{name}")
    assert ran.code == 3
    assert f"\nWhy:\n- {sentences[0]}\n" in ran.out
    assert f" {lacks}" in ran.out
    assert HUSH not in ran.out


def test_an_unschedulable_pod_is_among_the_events_as_the_scheduler_told_it(
    cli: CommandLine, space: str, reasons: object
) -> None:
    events = document(cli, f"{space}/no-node")["events"]
    (event,) = [each for each in events if each["reason"] == "FailedScheduling"]
    assert event["type"] == "Warning"
    assert event["about"].startswith("Pod no-node-")
    assert "nodes are available" in event["message"]


async def test_events_are_asked_for_once_however_many_pods_there_are(
    fleet: Fleet, namespace: str
) -> None:
    broken = hosted(namespace, {"replicas": 4, **behaving("crash-loop")})
    with pytest.raises(NotReadyError):
        await fleet.apply(desired(broken))
    before = fleet.client.requests["list events"]
    report = await fleet.status(namespace, "qwen")
    assert report is not None
    assert "Last log lines" in report.diagnosis[0].text
    assert fleet.client.requests["list events"] == before + 1


def test_a_rollout_under_way_tells_pods_of_the_former_version_apart(
    cli: CommandLine, fleet_kubeconfig: Path, namespace: str, kubectl: Callable[..., str]
) -> None:
    surge = {"strategy": {"type": "rolling", "max_surge": 1, "max_unavailable": 0}}
    applied(fleet_kubeconfig, hosted(namespace, {"replicas": 1, **surge}))
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"no.such/label": "x"}}}}}
    kubectl("-n", namespace, "patch", "deployment", "qwen", "--patch", json.dumps(nowhere))

    told = document(cli, f"{namespace}/qwen")
    deadline = time.monotonic() + 240
    while not told["diagnosis"] or told["diagnosis"][0]["code"] != "Unschedulable":
        assert time.monotonic() < deadline, told
        told = document(cli, f"{namespace}/qwen")
    assert told["service"]["status"] == "UPDATING"
    assert [(pod["is_former"], pod["lacks"]) for pod in told["pods"]] == [
        (True, ""),
        (False, "Unschedulable"),
    ]
    assert told["rollout"]["told"].endswith("1 of the former version still to stop")
    assert "(former version)" in cli.run("status", f"{namespace}/qwen").out


def test_a_service_whose_record_was_spoilt_is_still_told(
    cli: CommandLine, fleet_kubeconfig: Path, namespace: str, kubectl: Callable[..., str]
) -> None:
    applied(fleet_kubeconfig, hosted(namespace))
    edit = ["annotate", "deployment", "qwen", "--overwrite", f"{labels.RECORD}={{"]
    kubectl("-n", namespace, *edit)
    told = document(cli, "qwen", "-n", namespace)
    assert told["service"]["status"] == "READY"
    assert told["base_url"] == ""


def test_who_may_read_no_secrets_is_told_all_the_same(
    plane: Plane, plane_api: Api, tmp_path: Path, well: str
) -> None:
    kubeconfig = least_kubeconfig(
        plane, plane_api, tmp_path, user="reader", role="rbac-chat.yaml", beside=[READERS]
    )
    reader = CommandLine(kubeconfig)
    assert document(reader, f"{well}/serving") == document(
        CommandLine(plane.kubeconfig), f"{well}/serving"
    )
    assert "fake node" in reader.printed("logs", f"{well}/serving")


def test_who_may_read_one_namespace_is_told_of_a_service_there(
    plane: Plane, plane_api: Api, tmp_path: Path, well: str
) -> None:
    kubeconfig = least_kubeconfig(
        plane, plane_api, tmp_path, user="local-reader", role="rbac-chat.yaml"
    )
    bindings = "/apis/rbac.authorization.k8s.io/v1"
    plane_api.send("DELETE", f"{bindings}/clusterrolebindings/local-reader-modelfleet-chat")
    binding = {
        "metadata": {"name": "local-reader"},
        "subjects": [{"kind": "User", "name": "local-reader"}],
        "roleRef": {"kind": "ClusterRole", "name": "view"},
    }
    plane_api.send("POST", f"{bindings}/namespaces/{well}/rolebindings", json=binding)
    reader = CommandLine(kubeconfig)
    deadline = time.monotonic() + 240
    while reader.run("status", "serving", "-n", well).code != 0:
        assert time.monotonic() < deadline, reader.run("status", "serving", "-n", well)
    told = document(reader, "serving", "-n", well)
    assert told["service"]["cluster_uid"] == ""
    assert len(told["pods"]) == 2
    assert "forbidden" in reader.refused("status", "serving").lower()


def test_a_name_that_nothing_has_is_not_found(cli: CommandLine, namespace: str) -> None:
    assert cli.refused("status", "absent", "-n", namespace) == (
        f"absent: no ModelService or ModelProxy is called so in namespace {namespace}. "
        "modelfleet ls lists those there are."
    )


def test_a_deployment_of_others_is_not_taken_for_a_service(
    cli: CommandLine, namespace: str, kubectl: Callable[..., str]
) -> None:
    kubectl("-n", namespace, "create", "deployment", "theirs", "--image", "example.com/theirs")
    for verb in ("status", "logs", "delete"):
        assert cli.refused(verb, f"{namespace}/theirs").startswith(
            f"Deployment {namespace}/theirs: was not made by modelfleet. "
        )


def test_a_name_in_several_namespaces_is_told_with_how_to_call_each(
    cli: CommandLine, fleet_kubeconfig: Path, space: str, namespace: str
) -> None:
    name = f"twice-{uuid.uuid4().hex[:6]}"
    declared = [named(name, external(each)) for each in (space, namespace)]
    applied(fleet_kubeconfig, *declared)
    called = ", ".join(f"service/{each}/{name}" for each in sorted((space, namespace)))
    for verb in ("status", "logs", "delete"):
        assert cli.refused(verb, name) == (
            f"{name} is there several times: {called}. Say which one is meant, as it is called "
            "here."
        )
    assert cli.run("status", name, "-n", space).code == 0
