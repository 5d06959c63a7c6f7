"""vLLM: its images, its command line, and which version knows which option.

Checked in November 2026 against the sources of v0.30.0 (its documentation and Dockerfiles are part
of them), the option tables against those of v0.11 to v0.33:

- The entry point is ``vllm serve MODEL``; options that take several values take them in one go
  (``--served-model-name a b``).
- The images run under any user who has a home to write to.
- Only the image for NVIDIA's GPUs brings what reads ModelScope (``modelscope``) and buckets
  (``runai-model-streamer``, which vLLM chooses by itself for ``s3://`` and ``gs://``).
- On SIGTERM requests are ended at once, unless ``--shutdown-timeout`` (v0.18) gives them time.

Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelfleet.engines.launch import (
    CACHE_PATH,
    Engine,
    Launch,
    Scalar,
    declares_image,
    environment,
    image_of,
    option,
    reserved_env_rules,
    served_names,
    tensor_size,
)
from modelfleet.engines.limits import ANY_ARCHITECTURE, imaged_hardware, served_models
from modelfleet.engines.options import Version, option_rules, primary, spelled, word_rules
from modelfleet.engines.sources import BUCKETS, model_location
from modelfleet.engines.vllm_options import (
    DEFAULT_VERSION,
    DERIVED,
    NAME,
    REPEATED,
    TABLE,
    version_of,
)
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.runtime import ProbePaths
from modelfleet.spec.service import ModelServiceSpec, ModelType

PORT: Final = 8000
READS: Final = frozenset({"hf", "modelscope"})
HEALTH_PATH: Final = "/health"
METRICS_PATH: Final = "/metrics"

REPOSITORIES: Final[Mapping[str, tuple[str, Version]]] = {
    "nvidia": ("vllm/vllm-openai", (0, 11)),
    "amd": ("vllm/vllm-openai-rocm", (0, 14)),
    "intel": ("vllm/vllm-openai-xpu", (0, 26)),
    "cpu": ("vllm/vllm-openai-cpu", (0, 24)),
}
"""Image and oldest supported version by GPU vendor; cpu is none.

0.11 is the first with the V1 engine only, 0.14 and 0.26 the first with images for AMD and Intel,
0.24 the first that measures its KV cache on CPUs by the pod's memory, not by the node's."""

CPU_TAGS: Final[Mapping[str, str]] = {"amd64": "x86_64", "arm64": "arm64"}
"""What the tag of an image without GPUs ends with, by CPU architecture."""

_POOLING: Final = (ModelType.TEXT_EMBEDDING, ModelType.RERANK)


def launch(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Launch:
    """Return what vLLM runs for ``spec``."""
    tag = deployment.runtime_version or DEFAULT_VERSION
    location = model_location(deployment, reads=reads(deployment))
    further = {spelled(name): value for name, value in deployment.args.items()}
    given = {primary(TABLE, name) for name in further}
    options = [
        *((name, value) for name, value in _derived(spec, deployment) if name not in given),
        *sorted(further.items()),
    ]
    own = {"VLLM_CACHE_ROOT": f"{CACHE_PATH}/vllm"}
    if deployment.model.uri.startswith("modelscope://"):
        own["VLLM_USE_MODELSCOPE"] = "true"
    return Launch(
        image=image_of(deployment, own=_own_image(deployment, tag=tag)),
        # Spelled out, because the image's own entry point has changed between versions.
        command=deployment.command or ("vllm", "serve"),
        args=(
            location.path,
            *(text for name, value in options for text in _words(name, value)),
        ),
        env=environment(spec, deployment, own=own),
        port=PORT,
        probes=ProbePaths(startup=HEALTH_PATH, readiness=HEALTH_PATH, liveness=HEALTH_PATH),
        metrics_path=METRICS_PATH,
        location=location,
        drains=TABLE.knows(tag, "shutdown-timeout"),
    )


def _words(name: str, value: Scalar | tuple[Scalar, ...]) -> list[str]:
    """Return the words of one option; what is given to a key of one is always one JSON value."""
    if "." in name and isinstance(value, bool | tuple):
        return [f"--{name}", json.dumps(value)]
    return option(name, value, repeated=name in REPEATED)


def reads(deployment: DeploymentSpec) -> frozenset[str]:
    """Return the URI schemes of models that vLLM reads by itself in ``deployment``.

    A bucket is streamed into GPU memory where the image can, unless ``load-format`` asks for
    another way: then the model is fetched into the cache first.
    """
    formats = [value for name, value in deployment.args.items() if spelled(name) == "load-format"]
    streams = all(str(each).startswith(("auto", "runai_")) for each in formats)
    vendor = deployment.gpu.vendor if deployment.gpu else "cpu"
    return READS | BUCKETS if vendor == "nvidia" and streams else READS


def _own_image(deployment: DeploymentSpec, *, tag: str) -> str:
    """Return vLLM's own image; the one for NVIDIA's GPUs where it has none."""
    vendor = deployment.gpu.vendor if deployment.gpu else "cpu"
    repository, _ = REPOSITORIES.get(vendor, REPOSITORIES["nvidia"])
    if vendor == "cpu":
        tag = f"{tag}-{CPU_TAGS[deployment.cpu_architecture or 'amd64']}"
    return f"{repository}:{tag}"


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
        if value is not None and TABLE.knows(tag, name):
            yield name, value


@rule(
    "deployment.runtime",
    "deployment.gpu",
    "deployment.cpu_architecture",
    "deployment.images",
    names_only=True,
)
def _images_without_gpus_are_by_architecture(
    runtime: Any, gpu: Any, architecture: str | None, images: Mapping[str, Any] | None
) -> Problems:
    own = declares_image(images, vendor=None, architecture=architecture)
    if runtime == NAME and gpu is None and architecture is None and not own:
        yield Problem(
            "deployment.gpu",
            "is required, or deployment.cpu_architecture: vllm's images that need no GPU are "
            "made for one architecture",
        )


@rule(
    "deployment.runtime",
    "deployment.model.uri",
    "deployment.gpu.vendor",
    "deployment.cpu_architecture",
    "deployment.images",
    names_only=True,
)
def _reads_modelscope_with_the_images_that_can(
    runtime: Any,
    uri: str | None,
    vendor: str | None,
    architecture: str | None,
    images: Mapping[str, Any] | None,
) -> Problems:
    is_asked = runtime == NAME and (uri or "").startswith("modelscope://") and vendor != "nvidia"
    if is_asked and not declares_image(images, vendor=vendor, architecture=architecture):
        yield Problem(
            "deployment.model.uri",
            "vllm's own image reads modelscope:// with NVIDIA's GPUs only; declare an image "
            f"that has the package modelscope as deployment.images.{vendor or 'cpu'}",
        )


@rule("deployment.runtime", "deployment.gpu_memory_utilization", "deployment.args", names_only=True)
def _memory_is_shared_out_once(
    runtime: Any, share: float | None, args: Mapping[str, Any] | None
) -> Problems:
    for name in args or {} if runtime == NAME and share is not None else ():
        if primary(TABLE, name) == "kv-cache-memory-bytes":
            yield Problem(
                f"deployment.args.{name}",
                "overrides deployment.gpu_memory_utilization; remove one of them",
            )


@rule(
    "deployment.runtime",
    "deployment.runtime_version",
    "deployment.gpu.vendor",
    "deployment.cpu_architecture",
    "deployment.images",
    names_only=True,
)
def _version_is_supported(
    runtime: Any,
    tag: str | None,
    vendor: str | None,
    architecture: str | None,
    images: Mapping[str, Any] | None,
) -> Problems:
    if runtime != NAME or tag is None:
        return
    path, version = "deployment.runtime_version", version_of(tag)
    _, first = REPOSITORIES.get(vendor or "cpu", REPOSITORIES["nvidia"])
    if declares_image(images, vendor=vendor, architecture=architecture):
        first = TABLE.first
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
    elif version < first:
        major, minor = first
        yield Problem(
            path, f"{tag} is too old: v{major}.{minor}.0 is the first that is supported here"
        )


RULES: Final[tuple[Rule, ...]] = (
    *option_rules(TABLE, derived=DERIVED),
    *word_rules(
        TABLE,
        fields={
            "deployment.dtype": "dtype",
            "deployment.quantization": "quantization",
            "deployment.kv_cache_dtype": "kv-cache-dtype",
        },
    ),
    served_models(
        NAME, frozenset(ModelType) - {ModelType.TTS}, instead="declare a runtime in full"
    ),
    imaged_hardware(
        NAME,
        {
            "nvidia": ANY_ARCHITECTURE,
            "amd": frozenset({"amd64"}),
            "intel": frozenset({"amd64"}),
            "cpu": ANY_ARCHITECTURE,
        },
    ),
    _images_without_gpus_are_by_architecture,
    _reads_modelscope_with_the_images_that_can,
    _memory_is_shared_out_once,
    _version_is_supported,
    *reserved_env_rules(
        {
            "VLLM_CACHE_ROOT": f"is set by modelfleet to a place under {CACHE_PATH}",
            "VLLM_USE_MODELSCOPE": "is derived; set deployment.model.uri to modelscope://org/model",
        },
        applies=lambda runtime: runtime == NAME,
    ),
)

ENGINE: Final = Engine(
    name=NAME, default_version=DEFAULT_VERSION, launch=launch, rules=RULES, reads=READS
)
