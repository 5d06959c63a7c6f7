"""Rules between the fields of a ModelService.

Each rule names the paths it looks at; it runs when all of them are known and well-formed, also
while other fields are unknown or wrong. A rule is a pure function from values to problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modelfleet.errors import Problem
from modelfleet.spec.refused import MODEL_SCHEMES_NOT_YET, NOT_YET
from modelfleet.spec.tree import value_in

Problems = Iterator[Problem]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True)
class Rule:
    """``check`` is called with the values at ``paths``, in order, defaults filled in.

    A rule that asks for ``names_only`` looks at whether a map is there and at the names in it, not
    at their values: it also runs while some of those are unknown or wrong, and must not read them.
    """

    paths: tuple[str, ...]
    check: Callable[..., Problems]
    names_only: bool = False

    @cached_property
    def steps(self) -> tuple[tuple[str, ...], ...]:
        """The paths, each as its steps."""
        return tuple(tuple(path.split(".")) for path in self.paths)

    def values_in(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values at ``paths`` of a whole spec; None below what is absent."""
        return [value_in(values, steps) for steps in self.steps]


def rule(*paths: str, names_only: bool = False) -> Callable[[Callable[..., Problems]], Rule]:
    """Make a rule out of a function of the values at ``paths``."""
    return lambda check: Rule(paths, check, names_only)


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


@rule("deployment.model.uri", "deployment.model.revision", "deployment.model.credential_name")
def _model_source(uri: str | None, revision: str | None, credential_name: str | None) -> Problems:
    if uri is None:
        return
    scheme, _, rest = uri.partition("://")
    path = "deployment.model.uri"
    if scheme in MODEL_SCHEMES_NOT_YET:
        yield Problem(path, f"{scheme}:// is {NOT_YET}; use hf://, pvc:// or file://")
    elif scheme not in ("hf", "pvc", "file"):
        yield Problem(path, f"{scheme}:// is not a model source; use hf://, pvc:// or file://")
    elif scheme == "hf" and rest.count("/") > 1:
        yield Problem(path, "must be hf://organisation/model or hf://model")
    elif scheme == "pvc" and not rest.partition("/")[0]:
        yield Problem(path, "must name a claim: pvc://claim/path")
    elif scheme == "file" and not rest.startswith("/"):
        yield Problem(path, "must be an absolute path: file:///models/x")
    if scheme != "hf" and revision is not None:
        yield Problem("deployment.model.revision", "has a meaning for hf:// models only")
    if scheme != "hf" and credential_name is not None:
        yield Problem("deployment.model.credential_name", "has a meaning for hf:// models only")


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
    _model_source,
    _version_of_a_built_in,
    _parallelism_uses_every_gpu,
    _one_value_per_variable,
    _shared_memory_is_part_of_memory,
    _a_rollout_can_move,
    _tolerations_compare_what_they_say,
    _affinity_is_in_kubernetes_words,
)
