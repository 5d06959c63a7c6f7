"""A runtime given in full: any image that serves the OpenAI API, as its declaration says.

Its own arguments may use ``$(MODEL_PATH)``, ``$(MODEL_NAME)``, ``$(PORT)``, ``$(TP_SIZE)`` and
``$(PP_SIZE)``. They are environment variables of the container, so the kubelet replaces them and a
start script can read them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet.engines.launch import (
    Launch,
    environment,
    image_of,
    option,
    reserved_env_rules,
    served_names,
    tensor_size,
)
from modelfleet.engines.sources import is_one_file, model_location
from modelfleet.errors import Problem
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.model_source import ModelSource
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.runtime import RuntimeSpec
from modelfleet.spec.service import ModelServiceSpec

READS: Final = frozenset({"hf"})
"""What an unknown engine is taken to read by itself: the names of a hub, as most do."""


def launch(spec: ModelServiceSpec, deployment: DeploymentSpec, *, runtime: RuntimeSpec) -> Launch:
    """Return what ``runtime`` runs for ``spec``."""
    location = model_location(deployment, reads=READS)
    further = [
        text
        for name, value in sorted(deployment.args.items())
        for text in option(name, value, repeated=True)
    ]
    own = {
        "MODEL_NAME": served_names(spec)[0],
        "MODEL_PATH": location.path,
        "PORT": str(runtime.port),
        "PP_SIZE": str(deployment.parallelism.pipeline),
        "TP_SIZE": str(tensor_size(deployment)),
    }
    return Launch(
        image=image_of(deployment, own=runtime.image),
        command=deployment.command or runtime.command,
        args=(*runtime.args, *further),
        env=environment(spec, deployment, own=own),
        port=runtime.port,
        probes=runtime.probes,
        metrics_path=runtime.metrics_path,
        location=location,
        min_compute_capability=runtime.min_compute_capability,
    )


def _is_full(runtime: Any) -> bool:
    return isinstance(runtime, Mapping)


UNSERVED: Final = (
    "deployment.max_model_len",
    "deployment.dtype",
    "deployment.quantization",
    "deployment.kv_cache_dtype",
    "deployment.gpu_memory_utilization",
)
"""Fields that become options of an engine, whose names nobody knows here."""


def _unserved(path: str) -> Rule:
    def check(runtime: Any, value: Any) -> Problems:
        if _is_full(runtime) and value is not None:
            yield Problem(
                path,
                "means nothing to a runtime given in full, whose options are its own; say it in "
                "deployment.args",
            )

    return Rule(("deployment.runtime", path), check)


@rule("deployment.runtime", "deployment.model.uri", "deployment.model.revision")
def _reads_names_only(runtime: Any, uri: str | None, revision: str | None) -> Problems:
    if not _is_full(runtime) or uri is None or revision is None:
        return
    if uri.partition("://")[0] in READS and not is_one_file(ModelSource(uri=uri)):
        yield Problem(
            "deployment.model.revision",
            "means nothing to a runtime given in full, which is told the model's name only; say it "
            "in deployment.args",
        )


_RESERVED_ENV: Final = reserved_env_rules(
    {
        "MODEL_NAME": "is the access name; change model_service_name or workspace_id",
        "MODEL_PATH": "is derived; set deployment.model.uri",
        "PORT": "is derived; set deployment.runtime.port",
        "PP_SIZE": "is derived; set deployment.parallelism.pipeline",
        "TP_SIZE": "is derived; set deployment.parallelism.tensor",
    },
    applies=_is_full,
)

RULES: Final[tuple[Rule, ...]] = (
    *_RESERVED_ENV,
    *(_unserved(path) for path in UNSERVED),
    _reads_names_only,
)
