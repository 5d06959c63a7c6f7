"""text-generation-inference: its images, its launcher's options, and what it needs of a pod.

In maintenance since 2025: its makers take small repairs only, and point to vLLM and SGLang. Checked
in November 2026 against version 3.3: ``launcher/src/main.rs``, ``router/src``, its Dockerfiles.

- It answers to any model name; ``/v1/models`` says where the model came from.
- The images listen on port 80, which is not for everyone: here it is 8080. A variable HOSTNAME,
  which every container has, would be taken for the address to listen on: it is given, too.
- On SIGTERM the router ends its requests for at most GRACEFUL_TERMINATION_TIMEOUT seconds.
- The images keep Python in root's home since 3.1 and end at once under another user (its issue
  3082). A pod of ours does not run as root: either an image is declared that does not ask for it,
  or ``pod_overrides`` says that the pod may.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelfleet.engines.launch import (
    CACHE_PATH,
    Engine,
    Launch,
    Scalar,
    environment,
    image_of,
    option,
    reserved_env_rules,
    tensor_size,
)
from modelfleet.engines.limits import (
    imaged_hardware,
    served_models,
    setting_variables,
    supported_release,
    unserved_fields,
)
from modelfleet.engines.options import OptionTable, Version, option_rules, spelled, word_rules
from modelfleet.engines.sources import model_location
from modelfleet.engines.tables.tgi import OPTIONS
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.runtime import ProbePaths
from modelfleet.spec.service import ModelServiceSpec, ModelType

NAME: Final = "tgi"
DEFAULT_VERSION: Final = "3.3.7"
PORT: Final = 8080
READS: Final = frozenset({"hf"})
HEALTH_PATH: Final = "/health"

REPOSITORY: Final = "ghcr.io/huggingface/text-generation-inference"
SUFFIXES: Final = {"nvidia": "", "amd": "-rocm"}
"""What stands behind the version in a tag, by GPU vendor."""


def release(tag: str) -> Version | None:
    """Return major and minor version of a tag such as ``3.3.7``, else None."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.\d+", tag)
    return (int(match[1]), int(match[2])) if match else None


TABLE: Final = OptionTable(
    engine=NAME,
    first=(3, 3),
    last=(3, 3),
    options=OPTIONS,
    release=release,
    default_tag=DEFAULT_VERSION,
    text=lambda version: ".".join(map(str, version)),
)


def launch(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Launch:
    """Return what text-generation-inference runs for ``spec``."""
    vendor = deployment.gpu.vendor if deployment.gpu else "nvidia"
    tag = deployment.runtime_version or DEFAULT_VERSION
    location = model_location(deployment, reads=READS)
    further = {spelled(name): value for name, value in deployment.args.items()}
    options = [
        ("model-id", location.path),
        *((name, value) for name, value in _derived(deployment) if name not in further),
        *sorted(further.items()),
    ]
    return Launch(
        image=image_of(deployment, own=f"{REPOSITORY}:{tag}{SUFFIXES.get(vendor, '')}"),
        # The image's own entry point enters its Python environment before the launcher starts.
        command=deployment.command,
        args=tuple(text for name, value in options for text in option(name, value, repeated=True)),
        env=environment(
            spec,
            deployment,
            own={
                "HUGGINGFACE_HUB_CACHE": f"{CACHE_PATH}/huggingface/hub",
                "GRACEFUL_TERMINATION_TIMEOUT": str(deployment.drain_seconds),
                "USAGE_STATS": "off",
            },
        ),
        port=PORT,
        probes=ProbePaths(startup=HEALTH_PATH, readiness=HEALTH_PATH, liveness=HEALTH_PATH),
        metrics_path="/metrics",
        location=location,
    )


def _derived(deployment: DeploymentSpec) -> Iterator[tuple[str, Scalar]]:
    """Yield the options that follow from declared fields, in a fixed order."""
    every: dict[str, Scalar | None] = {
        "revision": deployment.model.revision,
        "hostname": "0.0.0.0",  # noqa: S104  (the pod's addresses)
        "port": PORT,
        "num-shard": tensor_size(deployment),
        "max-total-tokens": deployment.max_model_len,
        "dtype": None if deployment.dtype == "auto" else deployment.dtype,
        "quantize": deployment.quantization,
        "kv-cache-dtype": deployment.kv_cache_dtype,
        "cuda-memory-fraction": deployment.gpu_memory_utilization,
    }
    for name, value in every.items():
        if value is not None:
            yield name, value


_ENDS: Final = "ends the server at once"

DERIVED: Final[Mapping[str, str]] = {
    "model-id": "is derived; set deployment.model.uri",
    "revision": "is derived; set deployment.model.revision",
    "num-shard": "is derived; set deployment.parallelism.tensor",
    "sharded": "is derived; set deployment.parallelism.tensor",
    "max-total-tokens": "is derived; set deployment.max_model_len",
    "max-input-length": "is the old name of max-input-tokens; use that",
    "dtype": "is derived; set deployment.dtype",
    "quantize": "is derived; set deployment.quantization",
    "kv-cache-dtype": "is derived; set deployment.kv_cache_dtype",
    "cuda-memory-fraction": "is derived; set deployment.gpu_memory_utilization",
    "graceful-termination-timeout": "is derived; set deployment.drain_seconds",
    "hostname": "is fixed: the engine listens on the pod's addresses",
    "port": "is fixed: callers use port 80 of the Service, whatever the engine's",
    "huggingface-hub-cache": f"is set by modelfleet to a place under {CACHE_PATH}",
    "api-key": "would show the key; set API_KEY in deployment.secret_env",
    "ngrok": "cannot be set: it would publish the service past its NetworkPolicy",
    "ngrok-authtoken": "cannot be set: it would publish the service past its NetworkPolicy",
    "ngrok-edge": "cannot be set: it would publish the service past its NetworkPolicy",
    "lora-adapters": "is not available yet",
    "env": _ENDS,
    "help": _ENDS,
    "version": _ENDS,
}
"""Options that ``deployment.args`` may not give, and what to set instead."""

UNSERVED: Final[Mapping[str, str]] = {
    "deployment.parallelism.pipeline": "has no option in tgi, which spreads a model by tensor "
    "parallelism only; set deployment.parallelism.tensor",
}
"""Fields that mean nothing to this engine, and what does."""


@rule("deployment.runtime", "deployment.dtype", "deployment.quantization")
def _has_one_type(runtime: Any, dtype: str | None, quantization: str | None) -> Problems:
    if runtime != NAME:
        return
    if dtype == "float32":
        yield Problem("deployment.dtype", "must be one of auto, float16, bfloat16 for tgi")
    elif dtype not in (None, "auto") and quantization is not None:
        yield Problem("deployment.dtype", "excludes deployment.quantization in tgi; keep one")


@rule(
    "deployment.runtime",
    "deployment.gpu",
    "deployment.gpu.vendor",
    "deployment.cpu_architecture",
    "deployment.images",
    "deployment.pod_overrides",
    names_only=True,
)
def _needs_root(
    runtime: Any,
    gpu: Any,
    vendor: str | None,
    architecture: str | None,
    images: Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None,
) -> Problems:
    if runtime != NAME or gpu is None or vendor not in SUFFIXES:
        return
    keys = {f"{vendor}/{architecture}", vendor, architecture, "default"}
    if not keys & set(images or {}) and not _says_who_runs(overrides):
        yield Problem(
            "deployment.images",
            "the images of tgi run as root only, since their Python is in root's home: declare one "
            "built with UV_PYTHON_INSTALL_DIR=/opt/python, or let the pod be root with "
            "deployment.pod_overrides (spec.securityContext: runAsUser 0, runAsNonRoot false)",
        )


def _says_who_runs(overrides: Mapping[str, Any] | None) -> bool:
    """Return whether ``overrides`` of a pod touch the user it runs as."""
    pod = (overrides or {}).get("spec")
    if not isinstance(pod, Mapping):
        return False
    containers = pod.get("containers")
    inner = containers if isinstance(containers, list | tuple) else ()
    return any(isinstance(each, Mapping) and "securityContext" in each for each in (pod, *inner))


RULES: Final[tuple[Rule, ...]] = (
    *option_rules(TABLE, derived=DERIVED),
    *word_rules(
        TABLE,
        fields={
            "deployment.quantization": "quantize",
            "deployment.kv_cache_dtype": "kv-cache-dtype",
        },
    ),
    *unserved_fields(NAME, UNSERVED),
    served_models(
        NAME,
        frozenset({ModelType.LLM, ModelType.MODERATION}),
        instead="use tei for text-embedding and rerank, or another runtime",
    ),
    imaged_hardware(NAME, {"nvidia": frozenset({"amd64"}), "amd": frozenset({"amd64"})}),
    supported_release(TABLE, moving=frozenset({"latest", "3", "3.3"}), like="a release"),
    *setting_variables(
        TABLE,
        variables={each.name.upper().replace("-", "_"): each.name for each in OPTIONS},
        derived={
            name: reason
            for name, reason in DERIVED.items()
            if name not in ("api-key", "huggingface-hub-cache", "env", "help", "version")
        },
    ),
    _has_one_type,
    _needs_root,
    *reserved_env_rules(
        {"HUGGINGFACE_HUB_CACHE": f"is set by modelfleet to a place under {CACHE_PATH}"},
        applies=lambda runtime: runtime == NAME,
    ),
)

ENGINE: Final = Engine(
    name=NAME, default_version=DEFAULT_VERSION, launch=launch, rules=RULES, reads=READS
)
