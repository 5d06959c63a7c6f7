"""SGLang: its images, its command line, and which version knows which option.

Checked in November 2026 against the sources of v0.5.21 and the workflows that publish its images,
the option table against those of v0.5.6 to v0.5.23:

- ``/health`` is 503 until a first request of the server's own has been answered. Then it would
  generate a token at every probe, and a long prefill would fail it: told not to, it answers while
  the server does. A scheduler that hangs ends the server by itself (``--watchdog-timeout``).
- On SIGTERM the server is unready, goes on with what runs however long it takes, and ends; it looks
  every 5 s. Only with several tokenizers (``--tokenizer-worker-num``) it ends at once.
- It lists one name (``--served-model-name``) and answers to every one without a colon, which
  separates the name of a LoRA adapter.
- The images run under any user who has a home to write to. Those for AMD are made for one
  generation of GPUs. They bring ``modelscope``, and nothing that reads buckets.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
from modelfleet.engines.limits import (
    ANY_ARCHITECTURE,
    imaged_hardware,
    served_models,
    supported_release,
)
from modelfleet.engines.options import Version, option_rules, primary, spelled, word_rules
from modelfleet.engines.sglang_options import (
    DEFAULT_VERSION,
    DERIVED,
    NAME,
    REPEATED,
    TABLE,
    version_of,
)
from modelfleet.engines.sources import model_location
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.runtime import ProbePaths
from modelfleet.spec.service import ModelServiceSpec, ModelType

PORT: Final = 30000
READS: Final = frozenset({"hf", "modelscope"})
HEALTH_PATH: Final = "/health"
METRICS_PATH: Final = "/metrics"

REPOSITORY: Final = "lmsysorg/sglang"
AMD_SINCE: Final[Version] = (0, 5, 9)
"""The first release with images for ROCm 7.2."""
AMD_TAGS: Final[Mapping[str, str]] = {"MI30": "mi30x", "MI32": "mi30x", "MI35": "mi35x"}
"""What the tag of AMD's image ends with, by what the product's name contains."""

MOVING: Final = frozenset({"latest", "dev", "nightly", "latest-runtime"})

CACHE: Final = f"{CACHE_PATH}/sglang"

OWN_ENV: Final[Mapping[str, str]] = {
    "SGLANG_CACHE_DIR": CACHE,
    "TRITON_CACHE_DIR": f"{CACHE}/triton",
    "TORCHINDUCTOR_CACHE_DIR": f"{CACHE}/inductor",
    "FLASHINFER_WORKSPACE_BASE": CACHE,
}
"""Where compiled kernels go: the places that newer releases choose themselves."""

QUIET_HEALTH: Final = "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION"

_EMBEDS: Final = (ModelType.TEXT_EMBEDDING, ModelType.RERANK)


def launch(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Launch:
    """Return what SGLang runs for ``spec``."""
    location = model_location(deployment, reads=READS)
    further = {spelled(name): value for name, value in deployment.args.items()}
    given = {primary(TABLE, name) for name in further}
    options = [
        ("model-path", location.path),
        *((name, value) for name, value in _derived(spec, deployment) if name not in given),
        *sorted(further.items()),
    ]
    own = dict(OWN_ENV)
    if QUIET_HEALTH not in {*deployment.env, *deployment.secret_env}:
        own[QUIET_HEALTH] = "false"
    if deployment.model.uri.startswith("modelscope://"):
        own["SGLANG_USE_MODELSCOPE"] = "true"
    return Launch(
        image=image_of(deployment, own=_own_image(deployment)),
        command=deployment.command or ("python3", "-m", "sglang.launch_server"),
        args=tuple(
            text
            for name, value in options
            for text in option(name, value, repeated=name in REPEATED)
        ),
        env=environment(spec, deployment, own=own),
        port=PORT,
        probes=ProbePaths(startup=HEALTH_PATH, readiness=HEALTH_PATH, liveness=HEALTH_PATH),
        metrics_path=METRICS_PATH,
        location=location,
        drains=further.get("tokenizer-worker-num", 1) in (1, "1"),
    )


def _own_image(deployment: DeploymentSpec) -> str:
    tag = deployment.runtime_version or DEFAULT_VERSION
    if deployment.gpu is None or deployment.gpu.vendor != "amd":
        return f"{REPOSITORY}:{tag}"
    return f"{REPOSITORY}:{tag}-rocm720-{_generation(deployment.gpu.product) or 'mi30x'}"


def _generation(product: str | None) -> str | None:
    """Return how the images call the generation of AMD's ``product``; None for one they do not."""
    return next((name for part, name in AMD_TAGS.items() if part in (product or "").upper()), None)


def _derived(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Iterator[tuple[str, Scalar]]:
    """Yield the options that follow from declared fields, in a fixed order."""
    tensor, pipeline = tensor_size(deployment), deployment.parallelism.pipeline
    every: dict[str, Scalar | None] = {
        "revision": deployment.model.revision,
        "served-model-name": served_names(spec)[0],
        "host": "0.0.0.0",  # noqa: S104  (the pod's addresses; loopback otherwise)
        "port": PORT,
        "enable-metrics": True,
        # Most embedding models are recognised; those built on a causal model are not.
        "is-embedding": spec.model_type in _EMBEDS or None,
        "tensor-parallel-size": tensor if tensor > 1 else None,
        "pipeline-parallel-size": pipeline if pipeline > 1 else None,
        "context-length": deployment.max_model_len,
        "dtype": deployment.dtype,
        "quantization": deployment.quantization,
        "kv-cache-dtype": deployment.kv_cache_dtype,
        "mem-fraction-static": deployment.gpu_memory_utilization,
    }
    for name, value in every.items():
        if value is not None:
            yield name, value


@rule("deployment.runtime", "provider_settings.model_names")
def _names_have_no_colons(runtime: Any, names: Sequence[str] | None) -> Problems:
    for index, name in enumerate(names or () if runtime == NAME else ()):
        if ":" in name:
            yield Problem(
                f"provider_settings.model_names[{index}]",
                "must not contain colons: sglang takes what follows for a LoRA adapter",
            )


@rule(
    "deployment.runtime",
    "deployment.runtime_version",
    "deployment.gpu.vendor",
    "deployment.gpu.product",
    "deployment.cpu_architecture",
    "deployment.images",
    names_only=True,
)
def _amd_images_are_by_generation(
    runtime: Any,
    tag: str | None,
    vendor: str | None,
    product: str | None,
    architecture: str | None,
    images: Mapping[str, Any] | None,
) -> Problems:
    own = declares_image(images, vendor=vendor, architecture=architecture)
    if runtime != NAME or vendor != "amd" or own:
        return
    version = version_of(tag or DEFAULT_VERSION)
    if _generation(product) is None:
        yield Problem(
            "deployment.gpu.product",
            "must name the GPU, such as AMD_Instinct_MI300X_OAM: sglang's images for AMD are made "
            "for MI300X and MI325X, or for MI350X and MI355X; or declare deployment.images.amd",
        )
    if version is not None and TABLE.first <= version < AMD_SINCE:
        yield Problem(
            "deployment.runtime_version",
            f"{tag} has no image for AMD that is known here: {TABLE.text(AMD_SINCE)} is the first; "
            "declare deployment.images.amd",
        )


@rule("deployment.runtime", "deployment.runtime_version")
def _version_says_no_hardware(runtime: Any, tag: str | None) -> Problems:
    if runtime == NAME and re.search(r"-(rocm|xeon|cann|npu|xpu)", tag or ""):
        yield Problem(
            "deployment.runtime_version",
            f"must be the release alone, such as {DEFAULT_VERSION}: the image follows from "
            "deployment.gpu, or is declared as deployment.images",
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
    supported_release(TABLE, moving=MOVING, like="a release"),
    served_models(
        NAME, frozenset(ModelType) - {ModelType.TTS}, instead="declare a runtime in full"
    ),
    imaged_hardware(NAME, {"nvidia": ANY_ARCHITECTURE, "amd": frozenset({"amd64"})}),
    _names_have_no_colons,
    _amd_images_are_by_generation,
    _version_says_no_hardware,
    *reserved_env_rules(
        {
            **dict.fromkeys(OWN_ENV, f"is set by modelfleet to a place under {CACHE_PATH}"),
            "SGLANG_USE_MODELSCOPE": "is derived; set deployment.model.uri to modelscope://org/model",
            "SGL_FORCE_SHUTDOWN": "would cut requests on SIGTERM; set deployment.drain_seconds",
        },
        applies=lambda runtime: runtime == NAME,
    ),
)

ENGINE: Final = Engine(
    name=NAME, default_version=DEFAULT_VERSION, launch=launch, rules=RULES, reads=READS
)
