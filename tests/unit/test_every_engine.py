"""Every field of a deployment, for every engine: it changes what runs, or is refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from engine_cases import problems

from modelfleet.engines import ENGINES
from modelfleet.render import Identity, objects_of
from modelfleet.spec import ModelServiceSpec
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.hardware import Gpu, Parallelism
from modelfleet.spec.merge import merged
from modelfleet.spec.model_source import ModelSource

FULL: Final = "a runtime in full"

SMALLEST: Final[Mapping[str, dict[str, Any]]] = {
    "vllm": {"runtime": "vllm", "model": {"uri": "hf://org/model"}, "gpu": {"count": 4}},
    "sglang": {"runtime": "sglang", "model": {"uri": "hf://org/model"}, "gpu": {"count": 4}},
    "llama.cpp": {
        "runtime": "llama.cpp",
        "model": {"uri": "hf://org/model/m.gguf"},
        "gpu": {"count": 4},
    },
    "tgi": {
        "runtime": "tgi",
        "model": {"uri": "hf://org/model"},
        "gpu": {"count": 4},
        "images": {"amd64": "registry.example.com/tgi:3.3.7", "amd": "registry.example.com/tgi:a"},
        "cpu_architecture": "amd64",
    },
    "ollama": {"runtime": "ollama", "model": {"uri": "hf://org/m/m.gguf"}, "gpu": {"count": 4}},
    "tei": {"runtime": "tei", "model": {"uri": "hf://org/model"}, "gpu": {}},
    FULL: {
        "runtime": {"name": "engine", "image": "registry.example.com/engine:1"},
        "model": {"uri": "hf://org/model"},
        "gpu": {"count": 4},
    },
}
"""A deployment of each engine with as little as it needs, on several GPUs where it can."""

MODEL_TYPES: Final = {"tei": "text-embedding"}

FIELDS: Final[Mapping[str, Any]] = {
    "model.uri": "pvc://weights/other.gguf",
    "model.revision": "abc",
    "model.sha256": "0" * 64,
    "model.credential_name": "hub",
    "runtime_version": "b99999",
    "images": {"default": "registry.example.com/mine:1", "amd64": "registry.example.com/mine:1"},
    "command": ["/start"],
    "args": {"port": 1},
    "env": {"A": "1"},
    "secret_env": {"A": "1"},
    "replicas": 2,
    "gpu.vendor": "amd",
    "gpu.product": "NVIDIA-L40S",
    "gpu.count": 2,
    "gpu.min_memory_gib": 40,
    "gpu.compute_capability": 9.0,
    "gpu.mig_profile": "1g.10gb",
    "gpu.resource_name": "nvidia.com/gpu.shared",
    "cpu": 8,
    "memory_gib": 32,
    "shm_gib": 4,
    "cpu_architecture": "arm64",
    "storage": {"kind": "host_path", "path": "/var/lib/models"},
    "parallelism.tensor": 2,
    "parallelism.pipeline": 4,
    "max_model_len": 4096,
    "dtype": "float16",
    "quantization": "fp8",
    "kv_cache_dtype": "fp8",
    "gpu_memory_utilization": 0.5,
    "startup_seconds": 60,
    "drain_seconds": 30,
    "strategy": {"type": "recreate"},
    "disruption": {"max_unavailable": 1},
    "node_selector": {"disk": "fast"},
    "tolerations": [{"key": "spot"}],
    "affinity": {"podAntiAffinity": {}},
    "priority_class": "high",
    "queue": "team",
    "runtime_class_name": "nvidia",
    "service_account": "reader",
    "pod_overrides": {"spec": {"hostNetwork": True}},
}
"""For each field of a deployment, a value that no deployment of SMALLEST has."""

IDENTITY: Final = Identity(owner="a/b/c", urn="urn", incarnation="0" * 16, cluster_uid="uid")


def declared_fields() -> Iterator[str]:
    """Yield every field that an engine may look at, those of its parts by dotted path."""
    parts = {"model": ModelSource, "gpu": Gpu, "parallelism": Parallelism}
    for name in DeploymentSpec.model_fields:
        if name in parts:
            yield from (f"{name}.{below}" for below in parts[name].model_fields)
        elif name != "runtime":
            yield name


def nested(path: str, value: Any) -> dict[str, Any]:
    for step in reversed(path.split(".")):
        value = {step: value}
    return dict(value)


def service(engine: str, further: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model_service_name": "qwen",
        "model_type": MODEL_TYPES.get(engine, "llm"),
        "deployment": merged(SMALLEST[engine], dict(further)),
    }


def rendered(declaration: Mapping[str, Any]) -> list[dict[str, Any]]:
    spec = ModelServiceSpec.model_validate(declaration)
    return [dict(each) for each in objects_of(spec, identity=IDENTITY, hash_key=b"key")]


def test_every_field_and_every_engine_is_in_these_tables() -> None:
    assert set(FIELDS) == set(declared_fields())
    assert set(ENGINES) <= set(SMALLEST)


@pytest.mark.parametrize("engine", [*ENGINES, FULL])
def test_the_smallest_deployment_of_an_engine_is_accepted(engine: str) -> None:
    assert problems(service(engine, {})) == []


@pytest.mark.parametrize("engine", [*ENGINES, FULL])
@pytest.mark.parametrize("path", FIELDS)
def test_a_declared_field_changes_what_runs_or_is_refused(path: str, engine: str) -> None:
    declaration = service(engine, nested(path, FIELDS[path]))
    refused = [each for each in problems(declaration) if each.startswith("deployment.")]
    assert refused or rendered(declaration) != rendered(service(engine, {}))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_renders_something_for_every_hardware_also_where_rules_refuse_it(
    engine: str,
) -> None:
    for vendor in (None, "nvidia", "amd", "intel", "gaudi", "ascend"):
        gpu = {"gpu": None if vendor is None else {"vendor": vendor}}
        assert rendered(service(engine, gpu))


@pytest.mark.parametrize("engine", [*ENGINES, FULL])
def test_a_repository_of_gguf_files_is_for_engines_that_choose_one(engine: str) -> None:
    found = problems(service(engine, {"model": {"uri": "hf://org/model:Q4_K_M"}}))
    expected = engine in ("llama.cpp", "ollama", FULL)
    assert (not found) is expected
    assert all("names a quantisation of GGUF files" in each for each in found)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_hub_token_and_the_caches_stay_where_the_pod_has_put_them(engine: str) -> None:
    found = problems(service(engine, {"env": {"HF_HOME": "/elsewhere", "HOME": "/"}}))
    assert [each.partition(":")[0] for each in found] == [
        "deployment.env.HF_HOME",
        "deployment.env.HOME",
    ]
