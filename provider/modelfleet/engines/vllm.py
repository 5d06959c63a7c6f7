"""vLLM: its images, its command line, and which version knows which option.

Checked in November 2026 against docs.vllm.ai/en/v0.30.0/cli/serve (September 2026), vLLM's
``entrypoints/openai/cli_args.py`` and its Dockerfile: the entry point is ``vllm serve MODEL``,
options that take several values take them in one go (``--served-model-name a b``), and the image
runs under any user who has a home to write to. Pure.
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
    served_names,
    tensor_size,
)
from modelfleet.engines.sources import model_location
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec, ProbePaths
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.service import ModelServiceSpec, ModelType
from modelfleet.spec.tree import dotted

NAME: Final = "vllm"
DEFAULT_VERSION: Final = "v0.30.0"
PORT: Final = 8000
READS: Final = frozenset({"hf"})
HEALTH_PATH: Final = "/health"
METRICS_PATH: Final = "/metrics"

Version = tuple[int, int]

REPOSITORIES: Final[Mapping[str, tuple[str, Version]]] = {
    "nvidia": ("vllm/vllm-openai", (0, 11)),
    "amd": ("vllm/vllm-openai-rocm", (0, 14)),
}
"""Image and oldest supported version by GPU vendor. 0.11 is the first with the V1 engine only,
0.14 the first with a ROCm image of its own."""

SINCE: Final[Mapping[str, Version]] = {
    "disable-access-log-for-endpoints": (0, 16),
    "shutdown-timeout": (0, 18),
}
"""Options of ours that older supported versions do not know."""

REPEATED: Final = frozenset({"middleware"})
"""Options that are given once per value; all others take their values in one go."""

_POOLING: Final = (ModelType.TEXT_EMBEDDING, ModelType.RERANK)


def launch(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Launch:
    """Return what vLLM runs for ``spec``."""
    vendor = deployment.gpu.vendor if deployment.gpu else "nvidia"
    tag = deployment.runtime_version or DEFAULT_VERSION
    location = model_location(deployment, reads=READS)
    further = {canonical_name(name): value for name, value in deployment.args.items()}
    options = [
        *((name, value) for name, value in _derived(spec, deployment) if name not in further),
        *sorted(further.items()),
    ]
    return Launch(
        image=image_of(deployment, own=f"{REPOSITORIES[vendor][0]}:{tag}"),
        # Spelled out, because the image's own entry point has changed between versions.
        command=deployment.command or ("vllm", "serve"),
        args=(
            location.path,
            *(
                text
                for name, value in options
                for text in option(name, value, repeated=name in REPEATED)
            ),
        ),
        env=environment(spec, deployment, own={"VLLM_CACHE_ROOT": f"{CACHE_PATH}/vllm"}),
        port=PORT,
        probes=ProbePaths(startup=HEALTH_PATH, readiness=HEALTH_PATH, liveness=HEALTH_PATH),
        metrics_path=METRICS_PATH,
        location=location,
        drains=_knows(tag, "shutdown-timeout"),
    )


def _derived(
    spec: ModelServiceSpec, deployment: DeploymentSpec
) -> Iterator[tuple[str, Scalar | tuple[Scalar, ...]]]:
    """Yield the options that follow from declared fields, in a fixed order."""
    tag = deployment.runtime_version or DEFAULT_VERSION
    tensor, pipeline = tensor_size(deployment), deployment.parallelism.pipeline
    every: dict[str, Scalar | tuple[Scalar, ...] | None] = {
        "revision": deployment.model.revision,
        "served-model-name": tuple(served_names(spec)),
        "port": PORT,
        # Most pooling models are recognised; those built on a causal model are not.
        "runner": "pooling" if spec.model_type in _POOLING else None,
        "tensor-parallel-size": tensor if tensor > 1 else None,
        "pipeline-parallel-size": pipeline if pipeline > 1 else None,
        "max-model-len": deployment.max_model_len,
        "dtype": deployment.dtype,
        "quantization": deployment.quantization,
        "kv-cache-dtype": deployment.kv_cache_dtype,
        "gpu-memory-utilization": deployment.gpu_memory_utilization,
        "shutdown-timeout": deployment.drain_seconds,
        # Probes and scrapes would drown the requests in the access log.
        "disable-access-log-for-endpoints": f"{HEALTH_PATH},{METRICS_PATH}",
    }
    for name, value in every.items():
        if value is not None and _knows(tag, name):
            yield name, value


def canonical_name(name: str) -> str:
    """Return an option's name as vLLM reads it: underscores before the first dot are dashes."""
    head, dot, rest = name.partition(".")
    return head.replace("_", "-") + dot + rest


def version_of(tag: str) -> Version | None:
    """Return major and minor version of an image tag such as ``v0.30.0-cu129``, else None."""
    match = re.match(r"v(\d+)\.(\d+)\.\d+(?!\d)", tag)
    return (int(match[1]), int(match[2])) if match else None


def _knows(tag: str, name: str) -> bool:
    version = version_of(tag)
    return version is None or version >= SINCE.get(name, (0, 0))


_SERVED_PLAINLY: Final = "cannot be set: proxies and probes reach the pod over plain HTTP"
_ONE_POD: Final = "is not available yet: a replica is one pod; set deployment.replicas"

DERIVED: Final[Mapping[str, str]] = {
    "model": "is derived; set deployment.model.uri",
    "revision": "is derived; set deployment.model.revision",
    "hf-token": "would show the token; set deployment.model.credential_name",
    "served-model-name": "is derived; set provider_settings.model_names",
    "runner": "is derived; set model_type",
    "task": "is derived; set model_type",
    "tensor-parallel-size": "is derived; set deployment.parallelism.tensor",
    "pipeline-parallel-size": "is derived; set deployment.parallelism.pipeline",
    "max-model-len": "is derived; set deployment.max_model_len",
    "dtype": "is derived; set deployment.dtype",
    "quantization": "is derived; set deployment.quantization",
    "kv-cache-dtype": "is derived; set deployment.kv_cache_dtype",
    "gpu-memory-utilization": "is derived; set deployment.gpu_memory_utilization",
    "shutdown-timeout": "is derived; set deployment.drain_seconds",
    "api-key": "would show the key; set VLLM_API_KEY in deployment.secret_env",
    "port": "is fixed: callers use port 80 of the Service, whatever the engine's",
    "host": "is fixed: the engine listens on the pod's addresses",
    "uds": "is fixed: the engine listens on the pod's addresses",
    "grpc": "cannot be set: callers and probes speak HTTP",
    "ssl-keyfile": _SERVED_PLAINLY,
    "ssl-certfile": _SERVED_PLAINLY,
    "data-parallel-size": _ONE_POD,
    "nnodes": _ONE_POD,
    "node-rank": _ONE_POD,
    "headless": _ONE_POD,
}
"""Options that ``deployment.args`` may not give, and what to set instead."""


@rule("deployment.runtime", "deployment.args", names_only=True)
def _arguments_contradict_no_field(runtime: Any, args: Mapping[str, Any] | None) -> Problems:
    for name in args or {} if runtime == NAME else ():
        if (reason := DERIVED.get(canonical_name(name))) is not None:
            yield Problem(dotted(("deployment", "args", name)), reason)


@rule("deployment.runtime", "deployment.args", names_only=True)
def _arguments_are_given_once(runtime: Any, args: Mapping[str, Any] | None) -> Problems:
    given = args or {} if runtime == NAME else {}
    for name in given:
        same = canonical_name(name)
        if name != same and same in given:
            yield Problem(dotted(("deployment", "args", name)), f"is the same option as {same}")


@rule("deployment.runtime", "deployment.gpu.vendor")
def _needs_a_gpu(runtime: Any, vendor: str | None) -> Problems:
    if runtime == NAME and vendor is None:
        yield Problem(
            "deployment.gpu",
            "is required: the images of vllm need a GPU; or declare a runtime in full",
        )


@rule("deployment.runtime", "model_type")
def _speaks_no_words(runtime: Any, model_type: str) -> Problems:
    if runtime == NAME and model_type == ModelType.TTS:
        yield Problem("model_type", "vllm does not serve tts models; declare a runtime in full")


@rule("deployment.runtime", "deployment.runtime_version", "deployment.gpu.vendor")
def _version_is_supported(runtime: Any, tag: str | None, vendor: str | None) -> Problems:
    if runtime != NAME or tag is None:
        return
    path, version = "deployment.runtime_version", version_of(tag)
    _, (major, minor) = REPOSITORIES.get(vendor or "", REPOSITORIES["nvidia"])
    if tag.startswith(("nightly", "latest")):
        yield Problem(
            path,
            f"{tag} is another engine every day, and pods of one service would differ; "
            f"name a release such as {DEFAULT_VERSION}",
        )
    elif version is None:
        yield Problem(
            path,
            f"must be a release such as {DEFAULT_VERSION}, because options depend on it; "
            "an image of your own goes into deployment.images",
        )
    elif version < (major, minor):
        yield Problem(
            path, f"{tag} is too old: v{major}.{minor}.0 is the first that is supported here"
        )


RULES: Final[tuple[Rule, ...]] = (
    _arguments_contradict_no_field,
    _arguments_are_given_once,
    _needs_a_gpu,
    _speaks_no_words,
    _version_is_supported,
    *reserved_env_rules(
        {"VLLM_CACHE_ROOT": f"is set by modelfleet to a place under {CACHE_PATH}"},
        applies=lambda runtime: runtime == NAME,
    ),
)

ENGINE: Final = Engine(name=NAME, default_version=DEFAULT_VERSION, launch=launch, rules=RULES)
