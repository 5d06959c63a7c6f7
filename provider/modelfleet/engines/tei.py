"""text-embeddings-inference: embeddings and rankings, on one GPU or none.

Checked in November 2026 against version 1.9: ``router/src/main.rs``, its README, and
``ghcr.io/huggingface/text-embeddings-inference``.

- ``cuda-<version>`` holds a build for each compute capability from 7.5 on and starts the one that
  fits the GPU, so that a service may run on nodes that differ. Images for one architecture alone
  (``86-``, ``89-``, ``hopper-``, ``120-`` …) are smaller; they go into ``deployment.images``.
- It answers to any model name, and says the access name.
- The images listen on port 80, which is not for everyone: here it is 8080. A variable HOSTNAME,
  which every container has, would be taken for the address to listen on: it is given, too.
- The router ends its requests before it ends on SIGTERM.

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
    served_names,
    word,
)
from modelfleet.engines.limits import (
    imaged_hardware,
    served_models,
    setting_variables,
    supported_release,
    unserved_fields,
)
from modelfleet.engines.options import OptionTable, Version, option_rules, spelled
from modelfleet.engines.sources import model_location
from modelfleet.engines.tables.tei import OPTIONS
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.runtime import ProbePaths
from modelfleet.spec.service import ModelServiceSpec, ModelType

NAME: Final = "tei"
DEFAULT_VERSION: Final = "1.9.3"
PORT: Final = 8080
READS: Final = frozenset({"hf"})
HEALTH_PATH: Final = "/health"
LEAST_COMPUTE_CAPABILITY: Final = 7.5

REPOSITORY: Final = "ghcr.io/huggingface/text-embeddings-inference"
PREFIXES: Final = {"cpu": "cpu-", "nvidia": "cuda-"}
"""What stands before the version in a tag, by GPU vendor."""


def release(tag: str) -> Version | None:
    """Return major and minor version of a tag such as ``1.9.3``, else None."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.\d+", tag)
    return (int(match[1]), int(match[2])) if match else None


TABLE: Final = OptionTable(
    engine=NAME,
    first=(1, 9),
    last=(1, 9),
    options=OPTIONS,
    release=release,
    default_tag=DEFAULT_VERSION,
    text=lambda version: ".".join(map(str, version)),
)


def launch(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Launch:
    """Return what text-embeddings-inference runs for ``spec``."""
    vendor = deployment.gpu.vendor if deployment.gpu else "cpu"
    tag = deployment.runtime_version or DEFAULT_VERSION
    location = model_location(deployment, reads=READS)
    further = {
        spelled(name): _said(spelled(name), value) for name, value in deployment.args.items()
    }
    options = [
        ("model-id", location.path),
        *((name, value) for name, value in _derived(spec, deployment) if name not in further),
        *sorted(further.items()),
    ]
    return Launch(
        image=image_of(deployment, own=f"{REPOSITORY}:{PREFIXES.get(vendor, '')}{tag}"),
        # The entry point is another one in the image that holds several builds.
        command=deployment.command,
        args=tuple(text for name, value in options for text in option(name, value, repeated=True)),
        env=environment(
            spec,
            deployment,
            own={"HUGGINGFACE_HUB_CACHE": f"{CACHE_PATH}/huggingface/hub"},
        ),
        port=PORT,
        probes=ProbePaths(startup=HEALTH_PATH, readiness=HEALTH_PATH, liveness=HEALTH_PATH),
        metrics_path="/metrics",
        location=location,
        min_compute_capability=LEAST_COMPUTE_CAPABILITY if vendor == "nvidia" else None,
    )


def _said(name: str, value: Scalar | tuple[Scalar, ...]) -> Scalar | tuple[Scalar, ...]:
    """Return ``value`` as a word where the option has true and false for words."""
    return word(value) if name == "auto-truncate" and isinstance(value, bool) else value


def _derived(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Iterator[tuple[str, Scalar]]:
    """Yield the options that follow from declared fields, in a fixed order."""
    every: dict[str, Scalar | None] = {
        "revision": deployment.model.revision,
        "served-model-name": served_names(spec)[0],
        "hostname": "0.0.0.0",  # noqa: S104  (the pod's addresses)
        "port": PORT,
        "dtype": None if deployment.dtype == "auto" else deployment.dtype,
        # It would count the node's cores.
        "tokenization-workers": max(1, int(deployment.cpu)),
    }
    for name, value in every.items():
        if value is not None:
            yield name, value


_TOKEN: Final = "would show the token; set deployment.model.credential_name"  # noqa: S105
_ENDS: Final = "ends the server at once"

DERIVED: Final[Mapping[str, str]] = {
    "model-id": "is derived; set deployment.model.uri",
    "revision": "is derived; set deployment.model.revision",
    "dtype": "is derived; set deployment.dtype",
    "served-model-name": "is derived from model_service_name and workspace_id; tei answers to any",
    "hf-token": _TOKEN,
    "hf-api-token": _TOKEN,
    "hostname": "is fixed: the engine listens on the pod's addresses",
    "port": "is fixed: callers use port 80 of the Service, whatever the engine's",
    "huggingface-hub-cache": f"is set by modelfleet to a place under {CACHE_PATH}",
    "api-key": "would show the key; set API_KEY in deployment.secret_env",
    "help": _ENDS,
    "version": _ENDS,
}
"""Options that ``deployment.args`` may not give, and what to set instead."""

_IN_THE_FILES: Final = "has no option in tei: weights are used as they are"
_ONE_GPU: Final = "has no meaning for tei, which uses one GPU; set deployment.replicas"

UNSERVED: Final[Mapping[str, str]] = {
    "deployment.max_model_len": "has no option in tei: it is the model's. Longer inputs are cut "
    "off, or refused with args auto-truncate: false",
    "deployment.quantization": _IN_THE_FILES,
    "deployment.kv_cache_dtype": "has no meaning for tei: its models keep no KV cache",
    "deployment.gpu_memory_utilization": "has no option in tei, which takes what it needs; set "
    "args max-batch-tokens",
    "deployment.parallelism.tensor": _ONE_GPU,
    "deployment.parallelism.pipeline": _ONE_GPU,
}
"""Fields that mean nothing to this engine, and what does."""


@rule("deployment.runtime", "deployment.gpu.count")
def _uses_one_gpu(runtime: Any, count: float | None) -> Problems:
    if runtime == NAME and (count or 1) > 1:
        yield Problem(
            "deployment.gpu.count", "must be 1: tei uses one GPU; set deployment.replicas"
        )


@rule("deployment.runtime", "deployment.dtype")
def _types_are_plain(runtime: Any, dtype: str | None) -> Problems:
    if runtime == NAME and dtype == "bfloat16":
        yield Problem("deployment.dtype", "must be one of auto, float16, float32 for tei")


RULES: Final[tuple[Rule, ...]] = (
    *option_rules(TABLE, derived=DERIVED),
    *unserved_fields(NAME, UNSERVED),
    served_models(
        NAME,
        frozenset({ModelType.TEXT_EMBEDDING, ModelType.RERANK}),
        instead="set model_type to text-embedding or rerank, or use another runtime",
    ),
    imaged_hardware(NAME, {"cpu": frozenset({"amd64"}), "nvidia": frozenset({"amd64"})}),
    supported_release(TABLE, moving=frozenset({"latest", "1", "1.9"}), like="a release"),
    *setting_variables(
        TABLE,
        variables={each.name.upper().replace("-", "_"): each.name for each in OPTIONS},
        derived={
            name: reason
            for name, reason in DERIVED.items()
            if name not in ("hf-token", "api-key", "huggingface-hub-cache", "help", "version")
        },
    ),
    _uses_one_gpu,
    _types_are_plain,
    *reserved_env_rules(
        {"HUGGINGFACE_HUB_CACHE": f"is set by modelfleet to a place under {CACHE_PATH}"},
        applies=lambda runtime: runtime == NAME,
    ),
)

ENGINE: Final = Engine(
    name=NAME, default_version=DEFAULT_VERSION, launch=launch, rules=RULES, reads=READS
)
