"""Nodes: what they look like (pure), and making a cluster have exactly those (I/O).

A node belongs to a pool; converging one pool never touches the nodes of another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from modelfleet.local.api import Api
from modelfleet.local.gpus import REAL_GPU, GpuPool, gpu_labels, gpu_resource

POOL_LABEL = "modelfleet.local/pool"
FLEET_POOL = "fleet"
CHAOS_POOL = "chaos"
PODS_POOL = "pods"

# Whether what is scheduled there really runs; for a node selector.
NODE_LABEL = "modelfleet.local/node"
REAL, FAKE = "real", "fake"

# Set on a node of the chaos pool; a pod that selects it is treated as its value says.
BEHAVIOUR_LABEL = "modelfleet.test/behaviour"

Object = dict[str, Any]

_REQUESTS_IN_FLIGHT = 16


def node_objects(pools: Sequence[GpuPool], *, pool: str = FLEET_POOL) -> list[Object]:
    """The nodes of ``pools``, named after the GPU model and numbered from 0."""
    prefix = "" if pool == FLEET_POOL else f"{pool}-"
    return [
        _gpu_node(f"{prefix}{gpu_pool.model_name}-{number}", gpu_pool=gpu_pool, pool=pool)
        for gpu_pool in pools
        for number in range(gpu_pool.nodes)
    ]


def cpu_node_objects(count: int) -> list[Object]:
    """Nodes without a GPU and without a taint, for what needs none."""
    return [
        _node(
            f"cpu-{number}",
            pool=FLEET_POOL,
            labels={"node.kubernetes.io/instance-type": "fake-cpu"},
            taints=[],
            resources={"cpu": "64", "memory": "256Gi"},
        )
        for number in range(count)
    ]


def real_node_objects(names: Sequence[str], *, gpus: int) -> list[Object]:
    """What a plane says of its real nodes, beside what their kubelets say of them.

    What asks for nothing in particular lands elsewhere while there is room.
    """
    resources = {gpu_resource(REAL_GPU): str(gpus)}
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {
                    "topology.kubernetes.io/region": "local",
                    "topology.kubernetes.io/zone": "local-a",
                    "node.kubernetes.io/instance-type": "real",
                    NODE_LABEL: REAL,
                    POOL_LABEL: PODS_POOL,
                    **gpu_labels(REAL_GPU, count=gpus),
                },
            },
            "spec": {"taints": [{"key": NODE_LABEL, "value": REAL, "effect": "PreferNoSchedule"}]},
            "status": {"capacity": resources, "allocatable": dict(resources)},
        }
        for name in names
    ]


def chaos_node_objects(behaviours: Sequence[str]) -> list[Object]:
    """One roomy node per misbehaviour, which only a pod that asks for it lands on."""
    roomy = GpuPool("h100-80gb", 8, 1)
    nodes = []
    for behaviour in behaviours:
        node = _gpu_node(f"chaos-{behaviour}", gpu_pool=roomy, pool=CHAOS_POOL)
        node["metadata"]["labels"][BEHAVIOUR_LABEL] = behaviour
        node["spec"]["taints"].append({"key": BEHAVIOUR_LABEL, "effect": "NoSchedule"})
        for resources in (node["status"]["capacity"], node["status"]["allocatable"]):
            resources.update(
                {"cpu": "100k", "memory": "100Ti", "pods": "10k", "nvidia.com/gpu": "10k"}
            )
        nodes.append(node)
    return nodes


def _gpu_node(name: str, *, gpu_pool: GpuPool, pool: str) -> Object:
    model, count = gpu_pool.model, gpu_pool.gpus_per_node
    resource = gpu_resource(model)
    return _node(
        name,
        pool=pool,
        labels={
            "node.kubernetes.io/instance-type": f"fake-{gpu_pool.model_name}-{count}x",
            **gpu_labels(model, count=count),
        },
        # As managed Kubernetes taints GPU nodes, so that only GPU work lands there.
        taints=[{"key": resource, "value": "present", "effect": "NoSchedule"}],
        resources={
            "cpu": str(model.host_cpus * count),
            "memory": f"{model.host_memory_gib * count}Gi",
            resource: str(count),
        },
    )


def _node(
    name: str,
    *,
    pool: str,
    labels: Mapping[str, str],
    taints: list[Object],
    resources: Mapping[str, str],
) -> Object:
    everything = {"ephemeral-storage": "4Ti", "pods": "110", **resources}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
                "topology.kubernetes.io/region": "local",
                "topology.kubernetes.io/zone": "local-a",
                "type": "kwok",
                NODE_LABEL: FAKE,
                POOL_LABEL: pool,
                **labels,
            },
        },
        "spec": {"taints": taints},
        "status": {"capacity": everything, "allocatable": dict(everything)},
    }


def converge_nodes(api: Api, desired: Sequence[Object], *, pool: str) -> None:
    """Make the nodes of ``pool`` be exactly ``desired``; pods on a node that goes, go too."""
    live = {node["metadata"]["name"]: node for node in api.list_nodes(pool=pool)}
    names = {node["metadata"]["name"] for node in desired}
    changed = [node for node in desired if not _matches(node, live.get(node["metadata"]["name"]))]
    with ThreadPoolExecutor(_REQUESTS_IN_FLIGHT) as threads:
        list(threads.map(api.apply_node, changed))
        list(threads.map(api.remove_node, sorted(live.keys() - names)))


def _matches(desired: Object, live: Object | None) -> bool:
    """Whether a live node has every label, taint and resource that is desired of it."""
    if live is None:
        return False
    metadata = live["metadata"]
    ours = {key: metadata["labels"].get(key) for key in desired["metadata"]["labels"]}
    taints = live.get("spec", {}).get("taints", [])
    return (
        ours == desired["metadata"]["labels"]
        and all(taint in taints for taint in desired["spec"]["taints"])
        and all(
            desired["status"][kind].items() <= live.get("status", {}).get(kind, {}).items()
            for kind in ("capacity", "allocatable")
        )
    )


def is_ready(node: Object) -> bool:
    """Whether a node says it can take pods."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def not_ready(live: Sequence[Object], *, held: Collection[str]) -> list[str]:
    """Names of fake nodes that cannot take pods, or that nobody keeps alive.

    ``held`` are the nodes with a lease; without one, "ready" is what a KWOK that is gone said.
    """
    ours = (node for node in live if POOL_LABEL in node["metadata"].get("labels", {}))
    names = {node["metadata"]["name"]: is_ready(node) for node in ours}
    return sorted(name for name, ready in names.items() if not ready or name not in held)
