"""What runs in a plane, as a person and as a program want to read it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modelfleet.local.nodes import POOL_LABEL, is_ready

Object = dict[str, Any]


@dataclass(frozen=True)
class NodeGroup:
    """Nodes that are alike: how many, how many ready, and their GPUs in all and in use."""

    name: str
    pool: str
    nodes: int
    ready: int
    gpus: int
    gpus_in_use: int


@dataclass(frozen=True)
class Status:
    """One plane.

    ``state`` is *running* when everything runs and answers, *stopped* when nothing runs, else
    *broken*. ``components`` maps program to pid, 0 when it does not run; ``trouble`` says what is
    wrong with a broken plane.
    """

    state: Literal["running", "stopped", "broken"]
    folder: Path
    components: Mapping[str, int]
    server: str = ""
    kubeconfig: str = ""
    node_groups: tuple[NodeGroup, ...] = ()
    trouble: str = ""


def node_groups(nodes: Sequence[Object], pods: Sequence[Object]) -> tuple[NodeGroup, ...]:
    """Nodes grouped by pool and instance type, sorted; GPUs in use are those of assigned pods."""
    in_use: dict[str, int] = {}
    for pod in pods:
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            node_name = pod["spec"].get("nodeName", "")
            in_use[node_name] = in_use.get(node_name, 0) + _gpus_of_pod(pod)
    groups: dict[tuple[str, str], list[Object]] = {}
    for node in nodes:
        labels = node["metadata"].get("labels", {})
        kind = labels.get("node.kubernetes.io/instance-type", node["metadata"]["name"])
        groups.setdefault((labels.get(POOL_LABEL, ""), kind), []).append(node)
    return tuple(
        NodeGroup(
            name=kind,
            pool=pool,
            nodes=len(members),
            ready=sum(map(is_ready, members)),
            gpus=sum(_gpus(node["status"].get("capacity", {})) for node in members),
            gpus_in_use=sum(in_use.get(node["metadata"]["name"], 0) for node in members),
        )
        for (pool, kind), members in sorted(groups.items())
    )


def _gpus_of_pod(pod: Object) -> int:
    containers = pod["spec"].get("containers", [])
    return sum(_gpus(c.get("resources", {}).get("limits", {})) for c in containers)


def _gpus(resources: Mapping[str, str]) -> int:
    return sum(_quantity(n) for name, n in resources.items() if name.endswith(".com/gpu"))


def _quantity(text: str) -> int:
    """A whole Kubernetes quantity; fake nodes use no suffix but ``k``."""
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)
