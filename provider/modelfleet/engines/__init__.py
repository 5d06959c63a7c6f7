"""One file per inference engine: what a declared service becomes on an engine's command line.

Owns images, commands, options, ports, health paths and engine versions. Knows declarations, not
Kubernetes objects. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from modelfleet.engines import full, llama_cpp, ollama, sglang, tei, tgi, vllm
from modelfleet.engines.gpus import GPU_RULES
from modelfleet.engines.launch import (
    HUB_TOKENS,
    RESERVED_ENV,
    Engine,
    Launch,
    SecretKey,
    reserved_env_rules,
)
from modelfleet.engines.sources import Reader, source_rule
from modelfleet.errors import Problem, ProviderBugError
from modelfleet.spec.rules import Problems, Rule, rule
from modelfleet.spec.runtime import RuntimeSpec
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import IsUnknown, never_unknown

__all__ = ["ENGINES", "ENGINE_RULES", "Launch", "SecretKey", "launch_of", "pinned"]

ENGINES: Final[Mapping[str, Engine]] = {
    engine.name: engine
    for engine in (
        vllm.ENGINE,
        sglang.ENGINE,
        llama_cpp.ENGINE,
        tgi.ENGINE,
        ollama.ENGINE,
        tei.ENGINE,
    )
}
"""The built-in engines by the name a declaration gives them."""

DEFAULT_RUNTIME: Final = vllm.ENGINE.name


@rule(
    "deployment.model.uri",
    "deployment.model.credential_name",
    "deployment.env",
    "deployment.secret_env",
    names_only=True,
)
def _one_hub_token(
    uri: str | None, credential_name: str | None, env: Any, secret_env: Any
) -> Problems:
    token = HUB_TOKENS.get((uri or "").partition("://")[0])
    for field, given in (("env", env), ("secret_env", secret_env)):
        if credential_name is not None and token in (given or {}):
            yield Problem(
                f"deployment.{field}.{token}",
                "is set from deployment.model.credential_name; remove one",
            )


@rule("deployment.runtime", "deployment.model.uri")
def _a_quantisation_is_chosen_by_those_who_can(runtime: Any, uri: str | None) -> Problems:
    chooses = isinstance(runtime, Mapping) or runtime in (None, llama_cpp.NAME, ollama.NAME)
    if uri is not None and re.match(r"hf://[^/]+/[^/]+:", uri) and not chooses:
        yield Problem(
            "deployment.model.uri",
            f"names a quantisation of GGUF files, and {runtime} takes whole repositories; leave it "
            "out, or use llama.cpp or ollama",
        )


def _reader(runtime: Any) -> Reader | None:
    if isinstance(runtime, Mapping):
        return "a runtime given in full", full.READS
    return (runtime, ENGINES[runtime].reads) if runtime in ENGINES else None


ENGINE_RULES: Final[tuple[Rule, ...]] = (
    _one_hub_token,
    _a_quantisation_is_chosen_by_those_who_can,
    source_rule(_reader),
    *reserved_env_rules(RESERVED_ENV, applies=lambda runtime: runtime is not None),
    *GPU_RULES,
    *full.RULES,
    *(each for engine in ENGINES.values() for each in engine.rules),
)
"""What engines ask of a declaration; given to ``problems_of`` beside the rules of the spec."""


def launch_of(spec: ModelServiceSpec) -> Launch:
    """Return what runs in the engine container of a hosted ``spec``.

    Total over every spec that pydantic accepts, also where a rule would refuse it: a diff looks at
    specs that nobody declared, half prior and half desired.
    """
    deployment = spec.deployment
    if deployment is None:
        raise ProviderBugError(f"ModelService {spec.model_service_name} is external: no engine.")
    if isinstance(deployment.runtime, RuntimeSpec):
        return full.launch(spec, deployment, runtime=deployment.runtime)
    return ENGINES[deployment.runtime].launch(spec, deployment)


def pinned(
    inputs: Mapping[str, Any],
    prior: Mapping[str, Any] | None,
    *,
    is_unknown: IsUnknown = never_unknown,
) -> dict[str, Any]:
    """Return raw ``inputs`` with the version of a built-in engine fixed.

    A declared version stays. An absent one is that of ``prior`` while the engine is the same, so
    that a new release of modelfleet restarts nothing; else the engine's default. Nothing is fixed
    while the runtime is unknown.
    """
    deployment = inputs.get("deployment")
    runtime = _built_in_runtime(deployment, is_unknown=is_unknown)
    if runtime is None or not isinstance(deployment, Mapping):
        return dict(inputs)
    if deployment.get("runtime_version") is not None:
        return dict(inputs)
    before = (prior or {}).get("deployment")
    version: Any = None
    if _built_in_runtime(before, is_unknown=is_unknown) == runtime and isinstance(before, Mapping):
        version = before.get("runtime_version")
    if not isinstance(version, str) or is_unknown(version):
        version = ENGINES[runtime].default_version
    return {**inputs, "deployment": {**deployment, "runtime_version": version}}


def _built_in_runtime(deployment: Any, *, is_unknown: IsUnknown) -> str | None:
    """Return the name of the built-in engine a raw deployment asks for, None for any other."""
    if is_unknown(deployment) or not isinstance(deployment, Mapping):
        return None
    runtime = deployment.get("runtime")
    if is_unknown(runtime):
        return None
    name = DEFAULT_RUNTIME if runtime is None else runtime
    return name if isinstance(name, str) and name in ENGINES else None
