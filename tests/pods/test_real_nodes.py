"""Real nodes come, survive what kills them, and leave the machine as it was."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from modelfleet.local import Plane, processes
from modelfleet.local.api import Api
from modelfleet.local.pods import real_nodes
from modelfleet.local.pods.network import Network
from modelfleet.local.settings import read_settings
from modelfleet.local.stages import digest

SMALL = "l4-24gb:1x1"


@pytest.fixture
def own_plane(tmp_path: Path) -> Iterator[Plane]:
    """A plane of the test's own, not started."""
    plane = Plane(tmp_path / "own")
    yield plane
    plane.down(purge=True)


Standing = tuple[Plane, dict[str, list[str]]]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A plane for tests that leave it running or not, and the machine before it was started."""
    plane = Plane(tmp_path_factory.mktemp("standing"))
    yield plane, machine(plane)
    plane.down(purge=True)


def machine(plane: Plane) -> dict[str, list[str]]:
    """Return what nodes could leave behind, as a person would look for it.

    Other planes of this machine come and go meanwhile: what has a mark of theirs is not looked at.
    """
    folders = map(Path, ("/run/containerd", "/run/netns", "/var/lib/cni", "/var/lib/kubelet"))
    found = {
        "interfaces": [path.name for path in Path("/sys/class/net").iterdir()],
        "addresses": _printed("ip", "-oneline", "address"),
        "routes": _printed("ip", "route", "show", "table", "all"),
        "rules": _printed("nft", "list", "ruleset"),
        "mounts": Path("/proc/self/mounts").read_text().splitlines(),
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob("**/modelfleet-*")],
        "folders": [str(path) for path in folders if path.exists()],
        "programs": [
            " ".join(process.info["cmdline"])
            for process in psutil.process_iter(["cmdline"])
            if str(plane.state_folder) in " ".join(process.info["cmdline"] or [])
        ],
    }
    settings = read_settings(plane.state_folder / "plane" / "settings.json")
    ours = {
        digest(str(plane.state_folder / "plane")),
        f"mfleet{settings.block if settings else ''}-",
    }
    return {
        kind: sorted(
            line for line in lines if not _MARK.search(line) or any(mark in line for mark in ours)
        )
        for kind, lines in found.items()
    }


_MARK = re.compile(r"\bmfleet\d+-|/modelfleet-[0-9a-f]+")


def _printed(*command: str) -> list[str]:
    """Return the lines of a listing, without the counters and lifetimes that pass by themselves."""
    reply = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split(" valid_lft")[0] for line in reply.stdout.splitlines()]


@contextlib.contextmanager
def worlds(plane: Plane) -> Iterator[set[int]]:
    """Yield the pid namespaces of a running plane's nodes: whatever a node ran was in one.

    They are held open, or else the next plane's could have their numbers.
    """
    pids = real_nodes.pids(plane.state_folder / "plane")
    with contextlib.ExitStack() as held:
        files = [
            held.enter_context(Path(f"/proc/{pid}/ns/pid").open("rb"))
            for name, pid in pids.items()
            if name.endswith("/pause")
        ]
        yield {os.fstat(file.fileno()).st_ino for file in files}


def inhabitants(of: set[int]) -> list[int]:
    """Return the processes of this machine that are in one of those namespaces."""
    return [pid for pid in psutil.pids() if _world(pid) in of]


def _world(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino
    except OSError:
        return 0


def run_pod(plane: Plane, name: str) -> None:
    """Start a pod of the sandbox image on a real node, and wait until it runs."""
    with plane.api() as api:
        pods = "/api/v1/namespaces/default/pods"
        pod = {
            "metadata": {"name": name},
            "spec": {
                "automountServiceAccountToken": False,
                "nodeSelector": {"modelfleet.local/node": "real"},
                "containers": [
                    {
                        "name": "only",
                        "image": "modelfleet.local/pause:1",
                        "volumeMounts": [{"name": "memory", "mountPath": "/memory"}],
                    }
                ],
                "volumes": [{"name": "memory", "emptyDir": {"medium": "Memory"}}],
            },
        }
        api.send("POST", pods, json=pod)
        deadline = time.monotonic() + 300
        while api.send("GET", f"{pods}/{name}").get("status", {}).get("phase") != "Running":
            assert time.monotonic() < deadline, api.send("GET", f"{pods}/{name}")["status"]
            time.sleep(0.2)


def test_two_cycles_of_up_and_down_leave_the_machine_and_a_plane_beside_as_they_were(
    real_plane: Plane, own_plane: Plane
) -> None:
    before = machine(own_plane)
    nodes_beside = real_nodes.pids(real_plane.state_folder / "plane")
    for cycle in range(2):
        status = own_plane.up(gpus=SMALL, pods=True)
        assert status.state == "running"
        run_pod(own_plane, f"cycle-{cycle}")
        assert real_plane.status().state == "running"
        with worlds(own_plane) as nodes:
            assert len(nodes) == 2
            assert len(inhabitants(nodes)) > 10
            assert machine(own_plane) != before
            own_plane.down()
            assert machine(own_plane) == before
            assert inhabitants(nodes) == []
    assert real_plane.status().state == "running"
    assert real_nodes.pids(real_plane.state_folder / "plane") == nodes_beside
    own_plane.down(purge=True)
    assert sorted(path.name for path in own_plane.state_folder.iterdir()) == [".gitignore", "lock"]


def test_what_was_killed_comes_back_with_the_next_up_and_so_do_its_pods(standing: Standing) -> None:
    plane, _ = standing
    plane.up(gpus=SMALL, pods=True)
    run_pod(plane, "survivor")
    for victim in ("pods-0/kubelet", "pods-1/containerd", "pods-0/kube-proxy", "pods-1/pause"):
        psutil.Process(plane.status().components[victim]).kill()
        deadline = time.monotonic() + 120
        while plane.status().state != "broken":
            assert time.monotonic() < deadline, victim
        assert victim in plane.status().trouble
        assert plane.up().state == "running"
    with plane.api() as api:
        deadline = time.monotonic() + 300
        pod = "/api/v1/namespaces/default/pods/survivor"
        while not api.send("GET", pod)["status"]["containerStatuses"][0]["state"].get("running"):
            assert time.monotonic() < deadline, api.send("GET", pod)["status"]
            time.sleep(0.2)


def test_a_relay_that_was_killed_comes_back_with_the_next_up(standing: Standing) -> None:
    plane, _ = standing
    plane.up(gpus=SMALL, pods=True)
    folder = plane.state_folder / "plane"
    settings = read_settings(folder / "settings.json")
    assert settings is not None
    address = (str(Network(settings.block).api_address), settings.ports.api_server)
    listener, *connections = processes.find(folder, ["socat"])
    assert connections, "those of the kubelets, with the same command line"
    listener.kill()
    listener.wait(timeout=120)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=120)
    assert plane.up().state == "running"
    socket.create_connection(address, timeout=120).close()


def test_nodes_that_were_not_finished_are_made_anew(standing: Standing) -> None:
    plane, before = standing
    pids = plane.up(gpus=SMALL, pods=True).components
    # As a run leaves it that was killed right before the end.
    Path(f"/proc/{pids['pods-1/pause']}/root/run/modelfleet-node").unlink()
    again = plane.up()
    assert again.state == "running"
    assert again.components["pods-0/pause"] != pids["pods-0/pause"]
    plane.down()
    assert machine(plane) == before


def test_a_second_up_changes_nothing_and_no_pods_takes_the_real_nodes_away(
    standing: Standing,
) -> None:
    plane, before = standing
    first = plane.up(gpus=SMALL, pods=True, pod_gpus=2)
    real = next(group for group in first.node_groups if group.pool == "pods")
    assert (real.nodes, real.ready, real.gpus) == (2, 2, 4)
    assert plane.up() == first
    without = plane.up(pods=False)
    assert [group.pool for group in without.node_groups] == ["fleet", "fleet"]
    assert machine(plane)["interfaces"] == before["interfaces"]
    assert machine(plane)["cgroups"] == []


ASK_THE_API_SERVER = """
import ssl, sys, urllib.error, urllib.request
host = "https://kubernetes.default.svc.cluster.local/version"
unverified = ssl._create_unverified_context()
sys.stdout.write(urllib.request.urlopen(host, context=unverified, timeout=120).read().decode())
"""


@pytest.mark.parametrize("node", ["pods-0", "pods-1"])
def test_a_pod_reaches_the_api_server_by_its_name(node: str, api: Api, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    container = {
        "name": "only",
        "image": "modelfleet.local/base:1",
        "command": ["python3", "-c", ASK_THE_API_SERVER],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    spec = {
        "automountServiceAccountToken": False,
        "restartPolicy": "OnFailure",  # the first connection of a new pod may be too early
        "nodeName": node,
        "containers": [container],
    }
    api.send("POST", pods, json={"metadata": {"name": "asks"}, "spec": spec})
    deadline = time.monotonic() + 300
    while (status := api.send("GET", f"{pods}/asks").get("status", {}))["phase"] != "Succeeded":
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
