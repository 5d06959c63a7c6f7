"""Declarations of every field, and ways to spoil them, as a tired person might."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

SHA256 = "0" * 64
IN_FULL: dict[str, Any] = {
    "name": "engine",
    "image": "registry.example.com/engine:1",
    "command": ["/engine"],
    "args": ["--model", "$(MODEL_PATH)"],
    "port": 9000,
    "probes": {"startup": "/ready", "liveness": "/live"},
    "metrics_path": "/metrics",
}

MODELS: list[dict[str, Any]] = [
    {"uri": "hf://org/model", "revision": "main", "credential_name": "hub/token"},
    {"uri": "hf://org/model/path/m.gguf", "sha256": SHA256},
    {"uri": "s3://bucket/folder", "credential_name": "keys"},
    {"uri": "gs://bucket/m.gguf", "sha256": SHA256},
    {"uri": "https://host.example.com/m.gguf"},
    {"uri": "oci://registry.example.com/model:v1#/weights"},
    {"uri": "pvc://claim/m.gguf", "sha256": SHA256},
    {"uri": "file:///models/x"},
]
GPUS: list[dict[str, Any] | None] = [
    None,
    {},
    {"product": "NVIDIA-L4", "count": 2, "min_memory_gib": 20, "compute_capability": 8.9},
    {"mig_profile": "1g.10gb"},
    {"vendor": "amd", "product": "AMD_Instinct_MI300X", "count": 8},
    {"vendor": "intel", "resource_name": "gpu.intel.com/xe"},
    {"vendor": "gaudi", "count": 2.0},
    {"vendor": "ascend", "product": "910B3"},
]
PLACES: list[dict[str, Any]] = [
    {},
    {"replicas": 0},
    {"replicas": 3, "disruption": {"min_available": 2}},
    {"replicas": 2.0, "disruption": {"max_unavailable": 1}, "strategy": {"max_surge": 1}},
    {"storage": {"size_gib": 50}},
    {"storage": {"kind": "host_path", "path": "/var/lib/models"}},
    {"storage": {"kind": "pvc", "claim": "models"}, "replicas": 4},
    {"storage": {"kind": "pvc", "size_gib": 1.5}, "strategy": {"type": "recreate"}},
    {
        "storage": {
            "kind": "pvc",
            "size_gib": 200,
            "class_name": "nfs",
            "access_mode": "ReadWriteMany",
        },
        "replicas": 5,
    },
]
OVERRIDES: list[dict[str, Any]] = [
    {},
    {"metadata": {"labels": {"team": "a"}}},
    {
        "spec": {
            "hostNetwork": True,
            "containers": [
                {"name": "engine", "env": [{"name": "X", "value": "1"}]},
                {"name": "sidecar", "image": "a:1", "ports": [{"containerPort": 1.0}]},
            ],
            "volumes": [{"name": "shm", "$patch": "delete"}],
            "tolerations": [{"key": "a"}],
        }
    },
]
OTHERS: dict[str, list[Any]] = {
    "images": [{}, {"default": "a.example.com/b:1", "nvidia": "a.example.com/c:1"}],
    "cpu_architecture": ["amd64", "arm64"],
    "command": [[], ["/start", "now"]],
    "env": [{}, {"A": 1, "B": True, "C": {"secret": "s/k"}, "HTTPS_PROXY": "http://p:1"}],
    "secret_env": [{}, {"TOKEN": "hush"}],
    "cpu": [1, 0.5, 64],
    "memory_gib": [16, 3.5, 512],
    "shm_gib": [0, 1],
    "startup_seconds": [10, 3600],
    "drain_seconds": [0, 60.0],
    "node_selector": [{}, {"pool": "a"}],
    "tolerations": [[], [{"key": "a", "operator": "Equal", "value": "b"}]],
    "affinity": [{}, {"podAffinity": {}}],
    "priority_class": ["high"],
    "queue": ["inference"],
    "runtime_class_name": ["nvidia"],
    "service_account": ["models"],
}
SHARED: dict[str, list[Any]] = {
    "namespace": ["models"],
    "cluster": ["west"],
    "workspace_id": ["team"],
    "model_type": ["llm", "text-embedding"],
    "description": ["for people"],
    "tags": [{"a": "b"}],
    "deletion_protection": [True],
    "wait": [{"until": "all", "timeout_seconds": 60, "on_failure": "rollback"}],
    "network_configuration": [{"allow_from": [{"namespace_labels": {"a": "b"}}]}],
    "model_info_configs": [
        [{"model_name": "m", "model_parameter_rules": [{"name": "n", "min": 0, "max": 1.5}]}]
    ],
}


def _optional(fields: Mapping[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in fields.items()}
    )


def _declaration(
    model: dict[str, Any],
    runtime: Any,
    gpu: dict[str, Any] | None,
    place: dict[str, Any],
    overrides: dict[str, Any],
    others: dict[str, Any],
    shared: dict[str, Any],
) -> dict[str, Any]:
    deployment = {"model": model, "runtime": runtime, "gpu": gpu, "pod_overrides": overrides}
    return {
        "model_service_name": "qwen",
        **shared,
        "deployment": {**deployment, **place, **others},
    }


declarations = st.builds(
    _declaration,
    st.sampled_from(MODELS),
    st.sampled_from([IN_FULL, IN_FULL, "vllm", "llama.cpp"]),
    st.sampled_from(GPUS),
    st.sampled_from(PLACES),
    st.sampled_from(OVERRIDES),
    _optional(OTHERS),
    _optional(SHARED),
)
"""Most of them have no problem; a few ask an engine for what it does not do."""

RUBBISH: list[Any] = [
    "",
    " ",
    "UPPER",
    "a" * 64,
    "a" * 5000,
    "-dash",
    "späti",
    "a\nb",
    "a\x00b",
    "../../etc",
    "${{ secrets }}",
    "$(reboot)",
    "{0.__class__}",
    "{min_length}",
    0,
    -1,
    1.5,
    1e308,
    float("inf"),
    float("nan"),
    10**30,
    True,
    False,
    [],
    [[]],
    ["a", 1],
    [None],
    {},
    {"": ""},
    {"a": {"b": {"c": []}}},
    {"$patch": "replace"},
    {"secret": {"secret": "x"}},
    "hf://",
    "s3://",
    "://",
    "https://u:p@h/a",
    "8Gi",
    "500m",
    "1g.10gb",
    "nvidia.com/gpu",
]
NAMES: list[str] = [
    "replica",
    "requestCpu",
    "modelServiceName",
    "nodeSelector",
    "vpc_id",
    "autoscaling",
    "yaml",
    "status",
    "x",
    "",
    "a.b",
    "$patch",
    "späti",
    "model",
    "gpu",
    "spec",
]


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a declaration with one to three mistakes in it."""
    tree: Any = draw(declarations)
    for _ in range(draw(st.integers(1, 3))):
        paths = list(paths_in(tree))
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        kind = draw(st.sampled_from(["replace", "replace", "add", "remove", "move"]))
        if kind == "replace":
            tree = with_value(tree, path, draw(st.sampled_from(RUBBISH)))
        elif kind == "add":
            maps = [each for each in [(), *paths] if isinstance(at(tree, each), dict)]
            owner = draw(st.sampled_from(maps))
            name, value = draw(st.sampled_from(NAMES)), draw(st.sampled_from(RUBBISH))
            tree = with_value(tree, (*owner, name), value)
        elif kind == "remove":
            tree = without(tree, path)
        else:
            tree = with_value(tree, path, at(tree, draw(st.sampled_from(paths))))
    result: dict[str, Any] = tree
    return result


def paths_in(tree: Any, place: Path = ()) -> Iterator[Path]:
    """Yield the path of everything below ``tree``."""
    items: Any = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        yield (*place, key)
        yield from paths_in(value, (*place, key))


def at(tree: Any, path: Path) -> Any:
    """Return the value at ``path``."""
    for step in path:
        tree = tree[step]
    return tree


def with_value(tree: Any, path: Path, value: Any) -> Any:
    """Return ``tree`` with ``value`` at ``path``; the argument is left alone."""
    if not path:
        return value
    step, *rest = path
    copy: Any = list(tree) if isinstance(tree, list) else dict(tree)
    copy[step] = with_value(copy[step], tuple(rest), value) if rest else value
    return copy


def without(tree: Any, path: Path) -> Any:
    """Return ``tree`` without what is at ``path``; the argument is left alone."""
    *above, last = path
    inner = at(tree, tuple(above))
    if isinstance(inner, list):
        kept: Any = [item for index, item in enumerate(inner) if index != last]
    else:
        kept = {key: item for key, item in inner.items() if key != last}
    return with_value(tree, tuple(above), kept)
