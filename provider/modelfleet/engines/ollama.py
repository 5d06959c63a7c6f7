"""Ollama: a server that has to be told to load a model, and the script that tells it.

Checked in November 2026 against v0.34.3: ``envconfig/config.go``, ``server/routes.go``, ``cmd``,
``types/model/name.go`` and its Dockerfile (Ubuntu, so there is a shell; no curl).

- Ollama answers as soon as it runs, whatever it has. So a script starts it, pulls the model or
  makes it from a GGUF file, gives it the service's names, loads it, and says so with a file: the
  startup probe looks for that, and only then the others ask ``/``.
- It has no options: everything is an environment variable, ``deployment.env``.
- Models are ``ollama://name:tag`` of its own library, a repository of GGUF files by its
  quantisation (``hf://org/model-GGUF:Q4_K_M``), or one GGUF file from anywhere, which it copies.
- Without ``max_model_len`` it chooses a context by the memory of the GPU.
- On SIGTERM it ends at once and cuts what runs: the pod waits before. It has no metrics.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelfleet import labels
from modelfleet.engines.launch import (
    CACHE_PATH,
    Engine,
    Launch,
    environment,
    image_of,
    reserved_env_rules,
    served_names,
)
from modelfleet.engines.limits import (
    ANY_ARCHITECTURE,
    imaged_hardware,
    known_variables,
    near_variable,
    served_models,
    supported_release,
    unserved_fields,
)
from modelfleet.engines.options import OptionTable, Version
from modelfleet.engines.sources import HUBS, is_one_file, model_location
from modelfleet.engines.tables.ollama import VARIABLES
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.model_source import ModelSource
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.runtime import ProbePaths
from modelfleet.spec.service import ModelServiceSpec, ModelType

NAME: Final = "ollama"
DEFAULT_VERSION: Final = "0.34.3"
PORT: Final = 11434
LIBRARY: Final = "ollama"
READS: Final = frozenset({LIBRARY, "hf"})

REPOSITORY: Final = "ollama/ollama"
SUFFIXES: Final = {"cpu": "", "nvidia": "", "amd": "-rocm"}
"""What stands behind the version in a tag, by GPU vendor."""

LOADED: Final = "/tmp/modelfleet-loaded"  # noqa: S108  (of the container's own file system)

START: Final = f"""\
set -eu
ollama serve &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server"; exit 143' TERM INT
# In the background, so that a signal is heard while it runs.
do_ollama() {{ ollama "$@" </dev/null & wait $!; }}
until ollama list >/dev/null 2>&1; do
  kill -0 "$server" || exit 1
  sleep 1
done
case "$MODEL_SOURCE" in
  /*)
    printf 'FROM %s\\n' "$MODEL_SOURCE" >/tmp/Modelfile
    do_ollama create "$MODEL_NAME" -f /tmp/Modelfile
    source=$MODEL_NAME
    ;;
  *)
    ollama show "$MODEL_SOURCE" >/dev/null 2>&1 || do_ollama pull "$MODEL_SOURCE"
    source=$MODEL_SOURCE
    ;;
esac
for name in $MODEL_NAMES; do
  [ "$name" = "$source" ] || do_ollama cp "$source" "$name"
done
do_ollama run "$MODEL_NAME" ${{MODEL_PROMPT:+"$MODEL_PROMPT"}} >/dev/null
touch {LOADED}
wait "$server"
"""
"""Ends with an error where the model cannot be had or loaded: the log says why."""


def release(tag: str) -> Version | None:
    """Return major and minor version of a tag such as ``0.34.3``, else None."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.\d+", tag)
    return (int(match[1]), int(match[2])) if match else None


TABLE: Final = OptionTable(
    engine=NAME,
    first=(0, 34),
    last=(0, 34),
    options=(),
    release=release,
    default_tag=DEFAULT_VERSION,
    text=lambda version: ".".join(map(str, version)),
)


def launch(spec: ModelServiceSpec, deployment: DeploymentSpec) -> Launch:
    """Return what Ollama runs for ``spec``."""
    vendor = deployment.gpu.vendor if deployment.gpu else "cpu"
    tag = deployment.runtime_version or DEFAULT_VERSION
    location = model_location(deployment, reads=READS)
    own = {
        **_settings(deployment),
        "MODEL_NAME": served_names(spec)[0],
        "MODEL_NAMES": " ".join(served_names(spec)),
        "MODEL_SOURCE": _pulled(deployment.model, path=location.path),
    }
    if spec.model_type is ModelType.TEXT_EMBEDDING:
        # Such a model is loaded by asking it for an embedding.
        own["MODEL_PROMPT"] = "ready"
    return Launch(
        image=image_of(deployment, own=f"{REPOSITORY}:{tag}{SUFFIXES.get(vendor, '')}"),
        command=deployment.command or ("/bin/sh", "-c"),
        args=(START,),
        env=environment(spec, deployment, own=own),
        port=PORT,
        probes=ProbePaths(startup="/", readiness="/", liveness="/"),
        started=("test", "-e", LOADED),
        location=location,
        drains=False,
    )


def _settings(deployment: DeploymentSpec) -> dict[str, str]:
    """Return the variables that follow from declared fields."""
    settings = {
        "OLLAMA_HOST": f"0.0.0.0:{PORT}",
        "OLLAMA_KEEP_ALIVE": "-1",
        # Loading is given up where nothing moves for that long; the pod's start is limited anyhow.
        "OLLAMA_LOAD_TIMEOUT": f"{deployment.startup_seconds}s",
        "OLLAMA_MODELS": f"{CACHE_PATH}/ollama",
        # Else it passes requests on to its makers' service where a caller names a model of that.
        "OLLAMA_NO_CLOUD": "1",
    }
    if deployment.max_model_len is not None:
        settings["OLLAMA_CONTEXT_LENGTH"] = str(deployment.max_model_len)
    if deployment.kv_cache_dtype is not None:
        settings["OLLAMA_KV_CACHE_TYPE"] = deployment.kv_cache_dtype
    if deployment.gpu is None:
        # The image asks for every GPU of the node, and some runtimes would give them.
        settings["NVIDIA_VISIBLE_DEVICES"] = "void"
    return settings


def _pulled(model: ModelSource, *, path: str) -> str:
    """Return what is pulled, or the file that is loaded where it begins with a slash."""
    scheme, _, rest = model.uri.partition("://")
    if scheme == LIBRARY:
        return rest
    return path if path.startswith("/") else f"hf.co/{path}"


DERIVED_VARIABLES: Final[Mapping[str, str]] = {
    "OLLAMA_HOST": "is fixed: callers use port 80 of the Service, whatever the engine's",
    "OLLAMA_MODELS": f"is set by modelfleet to a place under {CACHE_PATH}",
    "OLLAMA_CONTEXT_LENGTH": "is derived; set deployment.max_model_len",
    "OLLAMA_KV_CACHE_TYPE": "is derived; set deployment.kv_cache_dtype",
    "OLLAMA_KEEP_ALIVE": "is fixed: the model of a service stays loaded; stop it with "
    "deployment.replicas: 0",
    "OLLAMA_LOAD_TIMEOUT": "is derived; set deployment.startup_seconds",
    "LLAMA_ARG_CTX_SIZE": "is derived; set deployment.max_model_len",
    "MODEL_NAME": "is the access name; change model_service_name or workspace_id",
    "MODEL_NAMES": "is derived; set provider_settings.model_names",
    "MODEL_PROMPT": "is derived; set model_type",
    "MODEL_SOURCE": "is derived; set deployment.model.uri",
}
"""Variables that the environment may not give, and what to set instead."""

_IN_THE_MODEL: Final = "is decided by the model; choose one with deployment.model.uri, such as "
_SPREAD: Final = (
    "has no meaning for ollama, which spreads a model over the GPUs it needs; to use all of them, "
    "set OLLAMA_SCHED_SPREAD in deployment.env"
)

UNSERVED: Final[Mapping[str, str]] = {
    "deployment.dtype": f"{_IN_THE_MODEL}ollama://qwen3:8b-fp16",
    "deployment.quantization": f"{_IN_THE_MODEL}ollama://qwen3:8b-q4_K_M",
    "deployment.gpu_memory_utilization": "has no option in ollama, which takes what the model "
    "needs; set OLLAMA_GPU_OVERHEAD in deployment.env to leave some bytes free",
    "deployment.parallelism.tensor": _SPREAD,
    "deployment.parallelism.pipeline": _SPREAD,
    "deployment.command": "is the script that loads the model; give a runtime in full instead",
}
"""Fields that mean nothing to this engine, and what does."""

KV_CACHE_TYPES: Final = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
"""What the llama.cpp inside of Ollama takes."""

_MODEL_NAME: Final = re.compile(
    r"([A-Za-z0-9_][-A-Za-z0-9_]{0,79}/)?[A-Za-z0-9_][-.A-Za-z0-9_]{0,79}"
    r"(:[A-Za-z0-9_][-.A-Za-z0-9_]{0,79})?"
)


@rule("deployment.runtime", "deployment.args", names_only=True)
def _has_no_options(runtime: Any, args: Mapping[str, Any] | None) -> Problems:
    for name in args or {} if runtime == NAME else ():
        variable = name.upper().replace("-", "_")
        yield Problem(
            f"deployment.args.{name}",
            "ollama has no options; set its variables in deployment.env"
            + near_variable(variable, VARIABLES, prefix="OLLAMA_"),
        )


@rule("deployment.runtime", "deployment.kv_cache_dtype")
def _cache_types_are_llama_cpp_s(runtime: Any, kind: str | None) -> Problems:
    if runtime == NAME and kind is not None and kind not in KV_CACHE_TYPES:
        yield Problem("deployment.kv_cache_dtype", f"must be one of {', '.join(KV_CACHE_TYPES)}")


@rule(
    "deployment.runtime",
    "deployment.model.uri",
    "deployment.model.revision",
    "deployment.model.sha256",
    "deployment.model.credential_name",
)
def _pulls_by_itself(
    runtime: Any,
    uri: str | None,
    revision: str | None,
    sha256: str | None,
    credential_name: str | None,
) -> Problems:
    if runtime != NAME or uri is None:
        return
    source = ModelSource(uri=uri, revision=revision, sha256=sha256)
    scheme, _, rest = uri.partition("://")
    is_repository = scheme in HUBS and not is_one_file(source)
    if scheme == "hf" and is_repository:
        name = "name one file, such as hf://org/model-GGUF/model-Q4_K_M.gguf"
        if revision is not None:
            yield Problem("deployment.model.revision", f"ollama pulls the main branch; {name}")
        if credential_name is not None:
            yield Problem(
                "deployment.model.credential_name", f"ollama has no use for a hub's token; {name}"
            )
    elif (
        not is_repository
        and scheme != LIBRARY
        and not rest.partition("?")[0].lower().endswith(".gguf")
    ):
        yield Problem("deployment.model.uri", "must name one file that ends with .gguf for ollama")


@rule("deployment.runtime", "deployment.model.uri")
def _has_a_library_of_its_own(runtime: Any, uri: str | None) -> Problems:
    if uri is not None and uri.startswith(f"{LIBRARY}://") and runtime not in (NAME, None):
        yield Problem(
            "deployment.model.uri", "ollama:// is read by the runtime ollama only; use hf://"
        )


@rule(
    "deployment.runtime",
    "model_service_name",
    "workspace_id",
    "provider_settings.model_names",
)
def _names_have_ollama_s_form(
    runtime: Any, name: str | None, workspace_id: str | None, names: Sequence[str] | None
) -> Problems:
    if runtime != NAME or name is None:
        return
    form = "ollama takes names such as model, group/model or group/model:tag"
    if not _MODEL_NAME.fullmatch(labels.access_name(name, workspace_id=workspace_id)):
        yield Problem("workspace_id", f"must not have dots: {form}")
    for index, further in enumerate(names or ()):
        if not _MODEL_NAME.fullmatch(further):
            yield Problem(f"provider_settings.model_names[{index}]", form)


RULES: Final[tuple[Rule, ...]] = (
    _has_no_options,
    _cache_types_are_llama_cpp_s,
    _pulls_by_itself,
    _has_a_library_of_its_own,
    _names_have_ollama_s_form,
    *unserved_fields(NAME, UNSERVED),
    served_models(
        NAME,
        frozenset(ModelType) - {ModelType.TTS, ModelType.RERANK},
        instead="use another runtime",
    ),
    imaged_hardware(
        NAME,
        {"cpu": ANY_ARCHITECTURE, "nvidia": ANY_ARCHITECTURE, "amd": frozenset({"amd64"})},
    ),
    supported_release(TABLE, moving=frozenset({"latest", "rocm"}), like="a release"),
    *known_variables(TABLE, prefix="OLLAMA_", known=VARIABLES),
    *reserved_env_rules(DERIVED_VARIABLES, applies=lambda runtime: runtime == NAME),
)

ENGINE: Final = Engine(
    name=NAME, default_version=DEFAULT_VERSION, launch=launch, rules=RULES, reads=READS
)
