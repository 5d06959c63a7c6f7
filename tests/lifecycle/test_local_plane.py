"""A plane comes up, stays up, survives crashes, and goes without a trace."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from modelfleet.local import LocalError, NotRunningError, Plane, control_plane
from modelfleet.local.api import Api
from modelfleet.local.components import PROGRAMS
from modelfleet.local.settings import become_free, read_settings
from modelfleet.local.stages import BEHAVIOURS, node_selector, toleration

PlaneFactory = Callable[[str], Plane]

SMALL = "l4-24gb:1x1"

# One plane for all tests that start one: most want it running and leave it so.
one_plane = pytest.mark.xdist_group("local-plane")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a plane that each test finds as another one left it."""
    folder = tmp_path_factory.mktemp("local") / "project"
    yield folder
    Plane(folder).down(purge=True)


@pytest.fixture
def idle(state: Path) -> Plane:
    """That plane, running or not."""
    return Plane(state)


@pytest.fixture
def running(idle: Plane) -> Plane:
    """That plane, running, with one small node."""
    idle.up(gpus=SMALL)
    return idle


def processes_of(plane: Plane) -> list[psutil.Process]:
    return control_plane.find(plane.state_folder / "plane")


def pids_of(plane: Plane) -> dict[str, int]:
    return dict(plane.status().components)


def kill(plane: Plane, *programs: str) -> None:
    """Kill programs of a plane, and return when nothing is left of them, no port either."""
    running = pids_of(plane)
    pids = {running[each] for each in programs}
    assert all(pids)
    known = read_settings(plane.state_folder / "plane" / "settings.json")
    assert known is not None
    for pid in pids:
        psutil.Process(pid).kill()
    while pids & {each.pid for each in processes_of(plane)}:
        time.sleep(0.1)
    held = {"kube-apiserver": known.ports.api_server, "kwok": known.ports.kubelet}
    assert become_free([held[each] for each in programs if each in held], timeout_seconds=240)


def cluster_uid(plane: Plane) -> str:
    with plane.api() as api:
        return str(api.send("GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"])


def node_names(plane: Plane) -> list[str]:
    with plane.api() as api:
        return sorted(node["metadata"]["name"] for node in api.list_nodes())


@one_plane
def test_a_second_up_changes_nothing(idle: Plane) -> None:
    first = idle.up(gpus=SMALL)
    assert first.state == "running"
    assert [(group.name, group.nodes, group.ready) for group in first.node_groups] == [
        ("fake-cpu", 2, 2),
        ("fake-l4-24gb-1x", 1, 1),
    ]
    assert idle.up() == first


@one_plane
def test_changed_gpus_converge_the_nodes_of_a_running_plane(idle: Plane) -> None:
    pids = idle.up(gpus="l4-24gb:4x2").components
    status = idle.up(gpus="l4-24gb:8x1,mi300x-192gb:8x1")
    assert status.components == pids
    assert node_names(idle) == ["cpu-0", "cpu-1", "l4-24gb-0", "mi300x-192gb-0"]
    with idle.api() as api:
        node = api.send("GET", "/api/v1/nodes/l4-24gb-0")
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert node["metadata"]["labels"]["nvidia.com/gpu.count"] == "8"


@one_plane
def test_a_plane_whose_processes_were_all_killed_is_recovered_with_its_data_on_free_ports(
    running: Plane,
) -> None:
    uid, old = cluster_uid(running), httpx.URL(running.status().server)
    kill(running, *PROGRAMS)
    assert running.status().state == "stopped"
    assert old.port is not None
    with listening_on(old.port):  # somebody who took it meanwhile
        status = running.up()
        assert status.state == "running"
        assert status.server != str(old)
    assert cluster_uid(running) == uid


@contextlib.contextmanager
def listening_on(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


@one_plane
def test_a_crash_that_takes_every_file_about_processes_along_is_recovered_from(
    running: Plane,
) -> None:
    uid = cluster_uid(running)
    kill(running, *PROGRAMS)
    (running.state_folder / "plane" / "settings.json").unlink()
    (running.state_folder / "lock").unlink()
    assert running.up().state == "running"
    assert cluster_uid(running) == uid


@one_plane
def test_a_killed_program_is_started_again_with_all_that_rely_on_it(idle: Plane) -> None:
    idle.up(gpus="l4-24gb:8x1")
    for program, restarted in {
        "etcd": set(PROGRAMS),
        "kube-apiserver": set(PROGRAMS) - {"etcd"},
        "kube-controller-manager": {"kube-controller-manager"},
        "kube-scheduler": {"kube-scheduler"},
        "kwok": {"kwok"},
    }.items():
        before = pids_of(idle)
        kill(idle, program)
        broken = idle.status()
        assert broken.state == "broken"
        assert program in broken.trouble
        assert idle.up().state == "running"
        after = pids_of(idle)
        assert {name for name in PROGRAMS if after[name] != before[name]} == restarted
        with idle.api() as api:
            create_pod(api, "default", pod(program))
            wait_for_pod(api, "default", program, is_ready)


@one_plane
def test_a_program_that_does_not_start_is_named_with_the_end_of_its_log(
    running: Plane, tmp_path: Path
) -> None:
    stages = tmp_path / "stages.yaml"
    stages.write_text("apiVersion: kwok.x-k8s.io/v1alpha1\nkind: Stage\nspec: {resourceRef: 1}\n")
    with pytest.raises(LocalError) as caught:
        running.up(stage_files=[stages])
    text = str(caught.value)
    assert text.startswith("kwok: ")
    assert "resourceRef" in text
    assert "kwok.log" in text
    assert running.up(stage_files=[]).state == "running"


@one_plane
def test_a_plane_whose_folder_was_deleted_is_found_and_replaced(running: Plane) -> None:
    uid, pids = cluster_uid(running), pids_of(running)
    shutil.rmtree(running.state_folder)
    assert running.up(gpus=SMALL).state == "running"
    assert cluster_uid(running) != uid
    assert set(pids.values()).isdisjoint(pids_of(running).values())
    assert len(processes_of(running)) == len(PROGRAMS)


@one_plane
def test_data_that_no_program_starts_on_is_replaced(running: Plane) -> None:
    uid = cluster_uid(running)
    running.down()
    for file in (running.state_folder / "plane" / "etcd").rglob("*"):
        if file.is_file():
            file.write_bytes(b"\xff" * 4096)
    assert running.up().state == "running"
    assert cluster_uid(running) != uid


@one_plane
def test_down_and_up_again_keep_the_cluster(running: Plane) -> None:
    uid = cluster_uid(running)
    assert running.down() == list(PROGRAMS)
    assert running.down() == []
    running.up()
    assert cluster_uid(running) == uid


@one_plane
def test_purge_does_not_keep_the_cluster_and_two_ups_at_once_make_one_new_one(
    running: Plane,
) -> None:
    uid = cluster_uid(running)
    running.down(purge=True)
    left = {path.name for path in running.state_folder.iterdir()}
    assert left == {".gitignore", "lock"}
    with ThreadPoolExecutor() as threads:
        one, two = threads.map(lambda _: running.up(gpus=SMALL), range(2))
    assert one == two
    assert len(processes_of(running)) == len(PROGRAMS)
    assert cluster_uid(running) != uid


@one_plane
def test_down_ends_a_plane_whose_folder_was_deleted(running: Plane) -> None:
    shutil.rmtree(running.state_folder)
    assert running.down() == list(PROGRAMS)
    assert processes_of(running) == []


@one_plane
def test_the_command_line_starts_shows_and_ends_a_plane(idle: Plane) -> None:
    idle.down(purge=True)
    state = idle.state_folder
    assert modelfleet(state, "status").returncode == 3
    missing = modelfleet(state, "env")
    assert (missing.returncode, missing.stdout) == (3, "")
    assert "modelfleet local up" in missing.stderr

    up = modelfleet(state, "up", "--gpus", SMALL)
    assert up.returncode == 0, up.stderr
    status = modelfleet(state, "status", "--output", "json")
    document = json.loads(status.stdout)
    assert (status.returncode, document["state"]) == (0, "running")
    assert all(document["components"].values())

    exports = modelfleet(state, "env")
    script = f"{exports.stdout}\nkubectl get nodes -o name && pulumi version && pulumi whoami -v"
    reply = run(["/bin/sh", "-ec", script], {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
    assert reply.returncode == 0, reply.stderr
    assert "node/l4-24gb-0" in reply.stdout
    assert "pulumi-state" in reply.stdout

    down = modelfleet(state, "down", "--purge")
    assert down.returncode == 0
    assert "kube-apiserver" in down.stdout
    assert modelfleet(state, "status").returncode == 3


@one_plane
def test_two_planes_started_at_once_do_not_meet(idle: Plane, plane_factory: PlaneFactory) -> None:
    idle.down(purge=True)
    outer = plane_factory("project")
    inner = plane_factory("project/tests/other")  # one inside the other's folder, at that
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda each: each.up(gpus=SMALL), (outer, inner)))
    assert cluster_uid(outer) != cluster_uid(inner)
    assert set(pids_of(outer).values()).isdisjoint(pids_of(inner).values())
    outer.down(purge=True)
    assert inner.status().state == "running"


def test_nobody_gets_in_without_a_token_or_with_an_unknown_one(plane: Plane) -> None:
    ca = plane.state_folder / "plane" / "certificates" / "apiserver.crt"
    assert ca.exists()
    server = plane.status().server
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(f"{server}/api/v1/nodes", trust_env=False)
    for headers in ({}, {"Authorization": "Bearer guess"}):
        reply = httpx.get(f"{server}/api/v1/nodes", headers=headers, verify=False, trust_env=False)  # noqa: S501
        assert reply.status_code in (401, 403)


def test_other_users_of_the_machine_cannot_read_the_planes_folder(plane: Plane) -> None:
    assert stat.S_IMODE((plane.state_folder / "plane").stat().st_mode) == 0o700


def test_everything_listens_on_loopback_only(plane: Plane) -> None:
    addresses = {
        connection.laddr.ip
        for process in processes_of(plane)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_the_limited_user_may_do_nothing_until_rbac_says_so(
    plane_environment: Mapping[str, str], limited_kubeconfig: Path, namespace: str
) -> None:
    def may_list_pods() -> bool:
        command = ["kubectl", "--kubeconfig", str(limited_kubeconfig), "-n", namespace]
        reply = run([*command, "get", "pods"], plane_environment)
        return reply.returncode == 0

    assert not may_list_pods()
    create = ["kubectl", "-n", namespace, "create", "rolebinding", "view"]
    run([*create, "--clusterrole=view", "--user=modelfleet"], plane_environment, check=True)
    assert may_list_pods()


def pod(name: str, *, behaviour: str = "") -> dict[str, Any]:
    limits = {"nvidia.com/gpu": "1"}
    container = {"name": "engine", "image": "vllm:1", "resources": {"limits": limits}}
    spec = {
        "containers": [container],
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}, toleration()],
        "nodeSelector": node_selector(behaviour) if behaviour else {},
    }
    return {"metadata": {"name": name}, "spec": spec}


def create_pod(api: Api, namespace: str, body: dict[str, Any]) -> None:
    api.send("POST", f"/api/v1/namespaces/{namespace}/pods", json=body)


def wait_for_pod(
    api: Api, namespace: str, name: str, accepts: Callable[[Any], bool], *, seconds: float = 240
) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        status = api.send("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")["status"]
        if accepts(status):
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.05)


def is_ready(status: Any) -> bool:
    return bool(condition(status, "Ready").get("status") == "True")


def condition(status: Any, kind: str) -> Any:
    found = [each for each in status.get("conditions", []) if each["type"] == kind]
    return found[0] if found else {}


def has_containers(status: Any) -> bool:
    return "containerStatuses" in status


def test_a_pod_that_asks_for_nothing_special_is_ready_at_once(
    plane_api: Api, namespace: str
) -> None:
    create_pod(plane_api, namespace, pod("p"))
    wait_for_pod(plane_api, namespace, "p", is_ready)


@pytest.mark.parametrize(
    ("behaviour", "reason", "exit_code", "last_reason"),
    [
        ("crash-loop", "CrashLoopBackOff", 1, "Error"),
        ("oom", "CrashLoopBackOff", 137, "OOMKilled"),
        ("image-pull", "ImagePullBackOff", None, None),
        ("bad-secret", "CreateContainerConfigError", None, None),
        ("creating", "ContainerCreating", None, None),
    ],
)
def test_a_pod_fails_as_a_kubelet_would_report_it(
    plane_api: Api,
    namespace: str,
    behaviour: str,
    reason: str,
    exit_code: int | None,
    last_reason: str | None,
) -> None:
    create_pod(plane_api, namespace, pod("p", behaviour=behaviour))
    status = wait_for_pod(plane_api, namespace, "p", has_containers)
    (container,) = status["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == reason
    last = container["lastState"].get("terminated", {})
    assert (last.get("exitCode"), last.get("reason")) == (exit_code, last_reason)
    assert condition(status, "Ready")["status"] == "False"
    assert status["phase"] == ("Running" if exit_code else "Pending")


def test_a_pod_that_is_never_ready_runs_all_the_same(plane_api: Api, namespace: str) -> None:
    create_pod(plane_api, namespace, pod("p", behaviour="never-ready"))
    status = wait_for_pod(plane_api, namespace, "p", has_containers)
    assert status["phase"] == "Running"
    assert "running" in status["containerStatuses"][0]["state"]
    assert condition(status, "Ready")["reason"] == "ContainersNotReady"


def test_a_slow_pod_is_ready_after_a_while(plane_api: Api, namespace: str) -> None:
    told = statuses(plane_api, namespace, pod("p", behaviour="slow"), until=is_ready)
    assert any(has_containers(each) for each in told[:-1])


def test_a_pod_that_dies_later_is_ready_first(plane_api: Api, namespace: str) -> None:
    told = statuses(plane_api, namespace, pod("p", behaviour="dies-later"), until=has_died)
    assert any(is_ready(each) for each in told)
    assert not is_ready(told[-1])
    assert told[-1]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1


def has_died(status: Any) -> bool:
    return any("terminated" in each["lastState"] for each in status.get("containerStatuses", []))


def statuses(
    api: Api, namespace: str, body: dict[str, Any], *, until: Callable[[Any], bool]
) -> list[Any]:
    """Create a pod and return every status that it had, however short, up to the last."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    since = api.send("POST", path, json=body)["metadata"]["resourceVersion"]
    asked = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "240"}
    told: list[Any] = []
    with api._http.stream("GET", path, params=asked, timeout=240) as events:
        for line in events.iter_lines():
            told.append(json.loads(line)["object"]["status"])
            if until(told[-1]):
                return told
    raise AssertionError(told)


def test_every_behaviour_has_a_node_and_takes_nobody_who_does_not_ask(plane: Plane) -> None:
    assert {f"chaos-{behaviour}" for behaviour in BEHAVIOURS} <= set(node_names(plane))


def test_a_crashed_pod_has_a_last_log(
    plane_api: Api, plane_environment: Mapping[str, str], namespace: str
) -> None:
    create_pod(plane_api, namespace, pod("p", behaviour="crash-loop"))
    wait_for_pod(plane_api, namespace, "p", has_containers)
    command = ["kubectl", "-n", namespace, "logs", "p", "--previous", "--tail=2"]
    reply = run(command, plane_environment, check=True)
    assert "CUDA out of memory" in reply.stdout


def run(
    command: list[str], environ: Mapping[str, str], *, check: bool = False
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=dict(environ), capture_output=True, text=True, check=check, timeout=600
    )


def modelfleet(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("modelfleet")
    environ = {**os.environ, "MODELFLEET_STATE": str(state)}
    return run([str(program), "local", *arguments], environ)


def test_wrong_gpus_are_one_sentence_on_stderr(tmp_path: Path) -> None:
    reply = modelfleet(tmp_path / "one", "up", "--gpus", "h100:1")
    assert reply.returncode == 1
    assert "Traceback" not in reply.stderr
    assert reply.stderr.startswith("modelfleet local: --gpus h100:1:")
    assert not (tmp_path / "one").exists()


def test_a_plane_that_does_not_run_has_no_environment(plane_factory: PlaneFactory) -> None:
    with pytest.raises(NotRunningError):
        plane_factory("one").environment()
