"""Rules between the fields of a ModelService.

Those on models, on pods' storage and disruption, and on overrides have files of their own; all of
them are in ``SPEC_RULES``. Rules of engines stand with the engines. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelfleet.errors import Problem
from modelfleet.spec.model_rules import MODEL_RULES
from modelfleet.spec.override_rules import OVERRIDE_RULES
from modelfleet.spec.pod_rules import POD_RULES
from modelfleet.spec.rule import Problems, Rule, rule

__all__ = ["SPEC_RULES", "Problems", "Rule", "rule"]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@rule("deployment", "provider_settings.base_url", names_only=True)
def _hosted_or_external(deployment: Any, base_url: str | None) -> Problems:
    if deployment is None and base_url is None:
        yield Problem(
            "",
            "declare either `deployment` (runs on Kubernetes) or `provider_settings.base_url` "
            "(runs elsewhere)",
        )
    if deployment is not None and base_url is not None:
        yield Problem(
            "provider_settings.base_url",
            "a service with a `deployment` runs on Kubernetes and has its own base URL; remove one",
        )


@rule("credential_name", "provider_settings.api_key")
def _one_key(credential_name: str | None, api_key: Any) -> Problems:
    if credential_name is not None and api_key is not None:
        yield Problem("credential_name", "excludes provider_settings.api_key; keep one of them")


@rule("deployment", "credential_name", "provider_settings.api_key", names_only=True)
def _hosted_has_no_provider_key(deployment: Any, credential_name: Any, api_key: Any) -> Problems:
    if deployment is None:
        return
    advice = (
        "belongs to an external provider; a gated model's token is deployment.model.credential_name"
    )
    if credential_name is not None:
        yield Problem("credential_name", advice)
    if api_key is not None:
        yield Problem("provider_settings.api_key", advice)


@rule("deployment.runtime", "deployment.runtime_version")
def _version_of_a_built_in(runtime: Any, version: str | None) -> Problems:
    if version is not None and not isinstance(runtime, str):
        yield Problem(
            "deployment.runtime_version",
            "belongs to built-in engines; a runtime given in full has its version in `image`",
        )


@rule(
    "deployment.gpu",
    "deployment.gpu.count",
    "deployment.parallelism.tensor",
    "deployment.parallelism.pipeline",
    names_only=True,
)
def _parallelism_uses_every_gpu(
    gpu: Any, count: float | None, tensor: float | None, pipeline: float | None
) -> Problems:
    if pipeline is None:
        return
    gpus = (count or 1) if gpu is not None else 0
    if gpu is None:
        if (tensor or 1) * pipeline > 1:
            yield Problem("deployment.parallelism", "needs GPUs; declare deployment.gpu")
    elif tensor is not None and tensor * pipeline != gpus:
        yield Problem(
            "deployment.parallelism.tensor",
            f"tensor {tensor:g} x pipeline {pipeline:g} = {tensor * pipeline:g}, but "
            f"deployment.gpu.count is {gpus:g}; make them equal or leave tensor out",
        )
    elif tensor is None and gpus % pipeline:
        yield Problem(
            "deployment.parallelism.pipeline",
            f"{pipeline:g} does not divide deployment.gpu.count, which is {gpus:g}",
        )


@rule("deployment.env", "deployment.secret_env", names_only=True)
def _one_value_per_variable(
    env: dict[str, Any] | None, secret_env: dict[str, Any] | None
) -> Problems:
    for name in sorted((env or {}).keys() & (secret_env or {}).keys()):
        yield Problem(f"deployment.env.{name}", "stands in secret_env too; keep one of them")


@rule("deployment.shm_gib", "deployment.memory_gib")
def _shared_memory_is_part_of_memory(shm_gib: float | None, memory_gib: float | None) -> Problems:
    if shm_gib is not None and memory_gib is not None and shm_gib >= memory_gib:
        yield Problem(
            "deployment.shm_gib",
            f"{shm_gib:g} GiB counts against deployment.memory_gib, which is {memory_gib:g}; "
            "raise memory_gib or lower shm_gib",
        )


@rule(
    "deployment.strategy.type",
    "deployment.strategy.max_surge",
    "deployment.strategy.max_unavailable",
)
def _a_rollout_can_move(
    kind: str | None, surge: float | None, unavailable: float | None
) -> Problems:
    if kind == "recreate":
        for name, value in (("max_surge", surge), ("max_unavailable", unavailable)):
            if value is not None:
                yield Problem(f"deployment.strategy.{name}", "has no meaning with type recreate")
    elif surge == 0 and unavailable == 0:
        yield Problem(
            "deployment.strategy",
            "with max_surge 0 and max_unavailable 0 no pod could ever be replaced; raise one",
        )


@rule("deployment.tolerations")
def _tolerations_compare_what_they_say(tolerations: list[dict[str, Any]] | None) -> Problems:
    for index, toleration in enumerate(tolerations or []):
        path = f"deployment.tolerations[{index}]"
        operator = toleration.get("operator", "Exists")
        if operator == "Equal" and not toleration.get("key"):
            yield Problem(f"{path}.key", "is required with operator Equal")
        if operator == "Exists" and toleration.get("value"):
            yield Problem(f"{path}.value", "has no meaning with operator Exists; use Equal")


@rule("deployment.affinity")
def _affinity_is_in_kubernetes_words(affinity: dict[str, Any] | None) -> Problems:
    words = ("nodeAffinity", "podAffinity", "podAntiAffinity")
    for name, value in sorted((affinity or {}).items()):
        path = f"deployment.affinity.{name}"
        if name not in words:
            yield Problem(path, f"unknown field; must be one of {', '.join(words)}")
        elif not isinstance(value, Mapping):
            yield Problem(path, "must be a map of fields")
        elif name == "nodeAffinity":
            # The one part that is merged with what the GPU asks for.
            required = value.get(_REQUIRED, {})
            terms = required.get("nodeSelectorTerms") if isinstance(required, Mapping) else None
            if required != {} and not (
                isinstance(terms, list) and all(isinstance(term, Mapping) for term in terms)
            ):
                yield Problem(f"{path}.{_REQUIRED}", "must hold nodeSelectorTerms, a list of maps")


SPEC_RULES: tuple[Rule, ...] = (
    _hosted_or_external,
    _one_key,
    _hosted_has_no_provider_key,
    *MODEL_RULES,
    _version_of_a_built_in,
    _parallelism_uses_every_gpu,
    _one_value_per_variable,
    _shared_memory_is_part_of_memory,
    _a_rollout_can_move,
    _tolerations_compare_what_they_say,
    _affinity_is_in_kubernetes_words,
    *POD_RULES,
    *OVERRIDE_RULES,
)
