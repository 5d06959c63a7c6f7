"""Real nodes come, survive what kills them, and leave the machine as it was."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from modelfleet.local import Plane
from modelfleet.local.pods import real_nodes

SMALL = "l4-24gb:1x1"


@pytest.fixture
def own_plane(tmp_path: Path) -> Iterator[Plane]:
    """A plane of the test's own, not started."""
    plane = Plane(tmp_path / "own")
    yield plane
    plane.down(purge=True)


def machine() -> dict[str, list[str]]:
    """Return what nodes could leave behind, as a person would look for it."""
    cgroups = [path for path in Path("/sys/fs/cgroup").glob("**/modelfleet-*") if path.is_dir()]
    return {
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "addresses": _printed("ip", "-oneline", "address"),
        "routes": _printed("ip", "route", "show", "table", "all"),
        "rules": _printed("nft", "list", "ruleset"),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "namespaces": sorted(path.name for path in Path("/run").glob("netns/*")),
        "cgroups": sorted(map(str, cgroups)),
        "folders": sorted(
            str(path)
            for path in map(Path, ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet"))
            if path.exists()
        ),
        "programs": sorted(
            process.info["name"]
            for process in psutil.process_iter(["name"])
            if process.info["name"] in ("containerd", "containerd-shim", "kubelet", "kube-proxy")
        ),
    }


def _printed(*command: str) -> list[str]:
    """Return the lines of a listing, without the counters and lifetimes that pass by themselves."""
    reply = subprocess.run(command, capture_output=True, text=True, check=True)
    return sorted(line.split(" valid_lft")[0] for line in reply.stdout.splitlines())


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
        deadline = time.monotonic() + 120
        while api.send("GET", f"{pods}/{name}").get("status", {}).get("phase") != "Running":
            assert time.monotonic() < deadline, api.send("GET", f"{pods}/{name}")["status"]
            time.sleep(0.2)


def test_two_cycles_of_up_and_down_leave_the_machine_as_it_was(own_plane: Plane) -> None:
    before = machine()
    for cycle in range(2):
        status = own_plane.up(gpus=SMALL, pods=True)
        assert status.state == "running"
        run_pod(own_plane, f"cycle-{cycle}")
        own_plane.down()
        assert machine() == before
    own_plane.down(purge=True)
    assert sorted(path.name for path in own_plane.state_folder.iterdir()) == [".gitignore", "lock"]


def test_a_second_up_changes_nothing_and_no_pods_takes_the_real_nodes_away(
    own_plane: Plane,
) -> None:
    before = machine()
    first = own_plane.up(gpus=SMALL, pods=True, pod_gpus=2)
    real = next(group for group in first.node_groups if group.pool == "pods")
    assert (real.nodes, real.ready, real.gpus) == (2, 2, 4)
    assert own_plane.up() == first
    without = own_plane.up(pods=False)
    assert [group.pool for group in without.node_groups] == ["fleet", "fleet"]
    assert machine()["interfaces"] == before["interfaces"]


def test_what_was_killed_comes_back_with_the_next_up_and_so_do_its_pods(own_plane: Plane) -> None:
    before = machine()
    own_plane.up(gpus=SMALL, pods=True)
    run_pod(own_plane, "survivor")
    for victim in ("pods-0/kubelet", "pods-1/containerd", "pods-0/kube-proxy", "pods-1/pause"):
        psutil.Process(own_plane.status().components[victim]).kill()
        deadline = time.monotonic() + 10
        while own_plane.status().state != "broken":
            assert time.monotonic() < deadline, victim
        assert victim in own_plane.status().trouble
        assert own_plane.up().state == "running"
    with own_plane.api() as api:
        deadline = time.monotonic() + 120
        pod = "/api/v1/namespaces/default/pods/survivor"
        while not api.send("GET", pod)["status"]["containerStatuses"][0]["state"].get("running"):
            assert time.monotonic() < deadline, api.send("GET", pod)["status"]
            time.sleep(0.2)
    own_plane.down()
    assert machine() == before


def test_two_planes_on_one_machine_have_nodes_of_their_own(
    real_plane: Plane, own_plane: Plane
) -> None:
    own_plane.up(gpus=SMALL, pods=True)
    run_pod(own_plane, "here")
    assert real_plane.status().state == "running"
    own_plane.down()
    assert real_plane.status().state == "running"
    assert real_nodes.pids(real_plane.state_folder / "plane")
