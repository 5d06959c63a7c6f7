"""llama.cpp's server: its images, its command line, and what a GGUF file decides by itself.

Checked in November 2026 against build b11312 (1 October 2026): ``common/arg.cpp`` (options and the
variables that set them), ``tools/server`` (names, health, shutdown), ``.devops/*.Dockerfile`` and
the workflow that publishes the images, as ``server-<backend>-<build>`` for one build a day.

- Options are ``--name value``; a value is never attached, and one that begins with a dash is fine.
- ``/health`` is 503 until the model is loaded. On SIGTERM the server ends at once and cuts what
  runs: the pod waits before.
- ``--ctx-size`` is shared by the slots that ``--parallel`` asks for; without it each may take all.
- The model decides its data types; only the KV cache has a type of its own.
- Over several GPUs layers are split (``parallelism.pipeline``, the default) or rows (``tensor``).

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
    environment,
    image_of,
    option,
    reserved_env_rules,
    served_names,
    word,
)
from modelfleet.engines.limits import (
    ANY_ARCHITECTURE,
    imaged_hardware,
    known_variables,
    served_models,
    setting_variables,
    supported_release,
    unserved_fields,
)
from modelfleet.engines.options import (
    OptionTable,
    Version,
    option_rules,
    primary,
    spelled,
    word_rules,
)
from modelfleet.engines.sources import HUBS, is_one_file, model_location
from modelfleet.engines.tables.llama_cpp import GONE, OPTIONS, VARIABLES
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.model_source import ModelSource
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.runtime import ProbePaths
from modelfleet.spec.service import ModelServiceSpec, ModelType

NAME: Final = "llama.cpp"
DEFAULT_VERSION: Final = "b11312"
PORT: Final = 8080
READS: Final = frozenset({"hf"})
HEALTH_PATH: Final = "/health"

REPOSITORY: Final = "ghcr.io/ggml-org/llama.cpp"
BACKENDS: Final = {"cpu": "", "nvidia": "-cuda", "amd": "-rocm", "intel": "-intel"}
"""What stands between ``server`` and the build in a tag, by GPU vendor."""


def release(tag: str) -> Version | None:
    """Return the build number of a tag such as ``b11312``, else None."""
    match = re.fullmatch(r"b(\d+)", tag)
    return (int(match[1]),) if match else None


TABLE: Final = OptionTable(
    engine=NAME,
    first=(11312,),
    last=(11312,),
    options=OPTIONS,
    release=release,
    default_tag=DEFAULT_VERSION,
    text=lambda version: f"b{version[0]}",
)


def launch(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Launch:
    """Return what llama.cpp's server runs for ``spec``."""
    vendor = deployment.gpu.vendor if deployment.gpu else "cpu"
    tag = deployment.runtime_version or DEFAULT_VERSION
    location = model_location(deployment, reads=READS)
    further = {spelled(name): value for name, value in deployment.args.items()}
    given = {primary(TABLE, name) for name in further}
    options = [
        ("model" if location.path.startswith("/") else "hf-repo", location.path),
        *((name, value) for name, value in _derived(spec, deployment) if name not in given),
        *sorted(further.items()),
    ]
    return Launch(
        image=image_of(deployment, own=f"{REPOSITORY}:server{BACKENDS.get(vendor, '')}-{tag}"),
        command=deployment.command or ("/app/llama-server",),
        args=tuple(
            text
            for name, value in options
            for text in option(name, value, repeated=False, attached=False)
        ),
        env=environment(spec, deployment, own={"LLAMA_CACHE": f"{CACHE_PATH}/llama.cpp"}),
        port=PORT,
        probes=ProbePaths(startup=HEALTH_PATH, readiness=HEALTH_PATH, liveness=HEALTH_PATH),
        metrics_path="/metrics",
        location=location,
        drains=False,
    )


def _derived(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Iterator[tuple[str, Scalar]]:
    """Yield the options that follow from declared fields, in a fixed order."""
    length = deployment.max_model_len
    # A model that pools needs a whole input in one physical batch, which is 512 tokens otherwise.
    batch = length if spec.model_type in _POOLING else None
    every: dict[str, Scalar | None] = {
        "alias": ",".join(served_names(spec)),
        "host": "0.0.0.0",  # noqa: S104  (the pod's addresses; loopback outside the image)
        "port": PORT,
        "embedding": spec.model_type is ModelType.TEXT_EMBEDDING or None,
        "rerank": spec.model_type is ModelType.RERANK or None,
        "ctx-size": length * _slots(deployment) if length is not None else None,
        "batch-size": batch,
        "ubatch-size": batch,
        "cache-type-k": deployment.kv_cache_dtype,
        "cache-type-v": deployment.kv_cache_dtype,
        # The pod's share, where the server would count the node's cores.
        "threads": max(1, int(deployment.cpu)),
        # Else layers that do not fit stay on the CPU, and nobody is told why it is slow.
        "gpu-layers": "all" if deployment.gpu else None,
        "split-mode": _split_mode(deployment),
        "metrics": True,
    }
    for name, value in every.items():
        if value is not None:
            yield name, value


_POOLING: Final = (ModelType.TEXT_EMBEDDING, ModelType.RERANK)


def _slots(deployment: DeploymentSpec) -> int:
    """Return among how many requests the context is divided up."""
    given = {spelled(name): value for name, value in deployment.args.items()}
    slots = given.get("parallel", 1)
    if given.get("kv-unified") is True or isinstance(slots, tuple):
        return 1
    return int(word(slots)) if re.fullmatch(r"[1-9]\d{0,5}", word(slots)) else 1


def _split_mode(deployment: DeploymentSpec) -> str | None:
    if (deployment.parallelism.tensor or 1) > 1:
        return "row"
    return "layer" if deployment.parallelism.pipeline > 1 else None


_SERVED_PLAINLY: Final = "cannot be set: proxies and probes reach the pod over plain HTTP"
_MODEL: Final = "is derived; set deployment.model.uri"
_ONE_MODEL: Final = "cannot be set: a service serves one model; declare another ModelService"
_ENDS: Final = "ends the server at once"

DERIVED: Final[Mapping[str, str]] = {
    "model": _MODEL,
    "model-url": _MODEL,
    "docker-repo": _MODEL,
    "hf-repo": _MODEL,
    "hf-file": _MODEL,
    "hf-token": "would show the token; set deployment.model.credential_name",
    "alias": "is derived; set provider_settings.model_names",
    "ctx-size": "is derived; set deployment.max_model_len",
    "kv-unified-per-slot": "is derived; set deployment.max_model_len",
    "cache-type-k": "is derived; set deployment.kv_cache_dtype",
    "cache-type-v": "is derived; set deployment.kv_cache_dtype",
    "split-mode": "is derived; set deployment.parallelism.tensor (by rows) or pipeline (by layers)",
    "embedding": "is derived; set model_type",
    "rerank": "is derived; set model_type",
    "host": "is fixed: the engine listens on the pod's addresses",
    "port": "is fixed: callers use port 80 of the Service, whatever the engine's",
    "api-prefix": "is fixed: callers find the API at /v1",
    "metrics": "is always on",
    "api-key": "would show the key; set LLAMA_API_KEY in deployment.secret_env",
    "ssl-key-file": _SERVED_PLAINLY,
    "ssl-cert-file": _SERVED_PLAINLY,
    "rpc": "cannot be set: a replica is one pod",
    "models-dir": _ONE_MODEL,
    "models-preset": _ONE_MODEL,
    "models-max": _ONE_MODEL,
    "models-autoload": _ONE_MODEL,
    "help": _ENDS,
    "version": _ENDS,
    "cache-list": _ENDS,
    "completion-bash": _ENDS,
    "list-devices": _ENDS,
    **{name: f"has been removed from llama.cpp; {advice}" for name, advice in GONE.items()},
}
"""Options that ``deployment.args`` may not give, and what to set instead."""

_IN_THE_FILE: Final = "is decided by the GGUF file; choose one with deployment.model.uri, such as "

UNSERVED: Final[Mapping[str, str]] = {
    "deployment.dtype": f"{_IN_THE_FILE}hf://org/model-GGUF:BF16",
    "deployment.quantization": f"{_IN_THE_FILE}hf://org/model-GGUF:Q4_K_M",
    "deployment.gpu_memory_utilization": "has no option in llama.cpp, which takes what the model "
    "and its context need; set deployment.max_model_len, or args fit-target to leave some free",
}
"""Fields that mean nothing to this engine, and what does."""


@rule(
    "deployment.runtime",
    "deployment.model.uri",
    "deployment.model.revision",
    "deployment.model.sha256",
)
def _reads_gguf_files(
    runtime: Any, uri: str | None, revision: str | None, sha256: str | None
) -> Problems:
    if runtime != NAME or uri is None:
        return
    source, path = ModelSource(uri=uri, revision=revision, sha256=sha256), "deployment.model.uri"
    scheme, _, rest = source.uri.partition("://")
    if scheme in HUBS and not is_one_file(source):
        if scheme in READS and revision is not None:
            yield Problem(
                "deployment.model.revision",
                "llama.cpp reads the main branch of a repository; name one file of it, such as "
                "hf://org/model-GGUF/model-Q4_K_M.gguf",
            )
    elif not rest.partition("?")[0].lower().endswith(".gguf"):
        yield Problem(path, "must name one file that ends with .gguf, which llama.cpp loads")
    elif scheme not in ("pvc", "file", "oci") and re.search(r"-\d{5}-of-(?!00001)\d{5}\.", rest):
        yield Problem(
            path,
            "is one of several parts; hf://org/model-GGUF:QUANT downloads all of them, and from a "
            "claim (pvc://) the first part finds the others",
        )


@rule("deployment.runtime", "provider_settings.model_names")
def _names_have_no_commas(runtime: Any, names: Sequence[str] | None) -> Problems:
    for index, name in enumerate(names or () if runtime == NAME else ()):
        if "," in name:
            yield Problem(
                f"provider_settings.model_names[{index}]",
                "must not contain commas: llama.cpp separates its names with them",
            )


@rule("deployment.runtime", "deployment.parallelism.tensor", "deployment.parallelism.pipeline")
def _splits_one_way(runtime: Any, tensor: float | None, pipeline: float | None) -> Problems:
    if runtime == NAME and (tensor or 1) > 1 and (pipeline or 1) > 1:
        yield Problem(
            "deployment.parallelism",
            "llama.cpp splits a model by rows (tensor) or by layers (pipeline); declare one",
        )


RULES: Final[tuple[Rule, ...]] = (
    *option_rules(TABLE, derived=DERIVED),
    *word_rules(TABLE, fields={"deployment.kv_cache_dtype": "cache-type-k"}),
    *unserved_fields(NAME, UNSERVED),
    served_models(
        NAME,
        frozenset(ModelType) - {ModelType.TTS},
        instead="declare a runtime in full",
    ),
    imaged_hardware(
        NAME,
        {
            "cpu": ANY_ARCHITECTURE,
            "nvidia": ANY_ARCHITECTURE,
            "amd": frozenset({"amd64"}),
            "intel": frozenset({"amd64"}),
        },
    ),
    supported_release(
        TABLE, moving=frozenset({"latest", "server", "master"}), like="the tag of a build"
    ),
    *setting_variables(
        TABLE,
        variables={
            variable: name
            for variable, name in VARIABLES.items()
            if variable.startswith("LLAMA_ARG_")
        },
        derived=DERIVED,
    ),
    *known_variables(
        TABLE,
        prefix="LLAMA_ARG_",
        known=frozenset(VARIABLES)
        | {variable.replace("LLAMA_ARG_", "LLAMA_ARG_NO_") for variable in VARIABLES},
    ),
    _reads_gguf_files,
    _names_have_no_commas,
    _splits_one_way,
    *reserved_env_rules(
        {"LLAMA_CACHE": f"is set by modelfleet to a place under {CACHE_PATH}"},
        applies=lambda runtime: runtime == NAME,
    ),
)

ENGINE: Final = Engine(
    name=NAME, default_version=DEFAULT_VERSION, launch=launch, rules=RULES, reads=READS
)
