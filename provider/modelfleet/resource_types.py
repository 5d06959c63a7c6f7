"""The two types of resource, each with what is its own: model, rules, formulas, rendering.

Everything above this module works on either by asking its type. A third resource would be described
here, and nowhere else be told apart. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from modelfleet.cluster.field_paths import Path as ObjectPath
from modelfleet.cluster.objects import Kind
from modelfleet.engines import ENGINE_RULES
from modelfleet.engines import pinned as with_engine_fixed
from modelfleet.errors import Problem, ProviderBugError
from modelfleet.gateway.release import with_release_fixed
from modelfleet.object_fields import proxy_field, service_field
from modelfleet.render import (
    RENDERER_VERSION,
    pod_template_hash,
    pod_template_of,
    record_spec_of,
)
from modelfleet.render.deployment import strategy_of
from modelfleet.render.history import summaries
from modelfleet.render.planned import PLANNED, Formula
from modelfleet.render.proxy import (
    PROXY_PLANNED,
    PROXY_RENDERER_VERSION,
    TAKE_GAPS,
    proxy_pod_template_hash,
    proxy_pod_template_of,
    proxy_record_spec_of,
    proxy_summaries,
)
from modelfleet.spec.fields import ANY
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_rules import PROXY_RULES
from modelfleet.spec.proxy_warnings import warnings_of
from modelfleet.spec.rules import SPEC_RULES, Rule
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.transitions import problems_since, proxy_problems_since
from modelfleet.spec.tree import Path, never_unknown, value_at

ResourceSpec = ModelServiceSpec | ModelProxySpec


@dataclass(frozen=True)
class ResourceType:
    """What is known of one type of resource.

    ``formulas`` are the values that a preview can show, but for the hash of the pods; those in
    ``take_gaps`` take values that are known in part (``spec/known.py``). ``pinned`` fixes defaults
    for the life of a resource, and ``problems_since`` says what one cannot become.
    ``declared_field`` leads from an object's field back to the declaration, ``has_downtime`` says
    whether replacing pods leaves none. ``summaries`` tell what changed between two renderers,
    ``warnings_of`` what is seldom meant.
    """

    kind: str
    model: type[ResourceSpec]
    id_field: str
    rules: tuple[Rule, ...]
    formulas: Mapping[str, Formula]
    renderer_version: int
    pinned: Callable[..., dict[str, Any]]
    template_of: Callable[..., dict[str, Any]] = field(repr=False)
    template_hash: Callable[..., str] = field(repr=False)
    record_spec_of: Callable[[Any], dict[str, Any]] = field(repr=False)
    declared_field: Callable[[Kind, ObjectPath, Mapping[str, Any]], Path | None]
    has_downtime: Callable[[Any, Any], bool]
    problems_since: Callable[..., Iterator[Problem]]
    summaries: Callable[..., Sequence[str]]
    warnings_of: Callable[[Any], tuple[Problem, ...]]
    take_gaps: frozenset[str] = frozenset()

    @property
    def name_field(self) -> str:
        """Return the field with its name."""
        return self.model.name_field

    @property
    def planned(self) -> tuple[str, ...]:
        """Return the names of all values that a preview can show."""
        return (*self.formulas, "renderer_version", "pod_template_hash")

    def planned_of(self, spec: ResourceSpec, *, renderer_version: int | None = None) -> Any:
        """Return all values that a preview of ``spec`` shows but the renderer's version."""
        version = renderer_version or self.renderer_version
        values = self.formula_values(spec)
        return {**values, "pod_template_hash": self.template_hash(spec, renderer_version=version)}

    def formula_values(self, declaration: ResourceSpec | Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all formulas for a spec, or for fully known inputs."""

        def value(path: str) -> Any:
            steps = tuple(path.split("."))
            return value_at(declaration, steps, model=self.model, is_unknown=never_unknown)

        return {name: form(*map(value, paths)) for name, (paths, form) in self.formulas.items()}

    def is_secret(self, path: Path) -> bool:
        """Return whether what stands at ``path``, or above it, is a secret."""
        return any(
            len(path) >= len(secret)
            and all(own in (ANY, step) for own, step in zip(secret, path, strict=False))
            for secret in self.model.secrets
        )


def has_downtime(prior: ModelServiceSpec, desired: ModelServiceSpec) -> bool:
    """Return whether replacing the pods of ``prior`` leaves none serving for a while.

    A service that is stopped, before or after, has no pods to miss.
    """
    before, after = prior.deployment, desired.deployment
    if before is None or after is None or not before.replicas or not after.replicas:
        return False
    rolling = strategy_of(after).get("rollingUpdate")
    return rolling is None or rolling["maxUnavailable"] >= after.replicas


def _never(_prior: Any, _desired: Any) -> bool:
    """Say that a gateway's successor always comes before it goes."""
    return False


def _no_warnings(_: Any) -> tuple[Problem, ...]:
    return ()


MODEL_SERVICE: Final = ResourceType(
    kind=ModelServiceSpec.kind,
    model=ModelServiceSpec,
    id_field="model_service_id",
    rules=(*SPEC_RULES, *ENGINE_RULES),
    formulas=PLANNED,
    renderer_version=RENDERER_VERSION,
    pinned=with_engine_fixed,
    template_of=pod_template_of,
    template_hash=pod_template_hash,
    record_spec_of=record_spec_of,
    declared_field=service_field,
    has_downtime=has_downtime,
    problems_since=problems_since,
    summaries=summaries,
    warnings_of=_no_warnings,
)
MODEL_PROXY: Final = ResourceType(
    kind=ModelProxySpec.kind,
    model=ModelProxySpec,
    id_field="model_proxy_id",
    rules=PROXY_RULES,
    # What is declared itself keeps its name.
    formulas={k: v for k, v in PROXY_PLANNED.items() if k not in ModelProxySpec.model_fields},
    renderer_version=PROXY_RENDERER_VERSION,
    pinned=with_release_fixed,
    template_of=proxy_pod_template_of,
    template_hash=proxy_pod_template_hash,
    record_spec_of=proxy_record_spec_of,
    declared_field=proxy_field,
    has_downtime=_never,
    problems_since=proxy_problems_since,
    summaries=proxy_summaries,
    warnings_of=warnings_of,
    take_gaps=TAKE_GAPS,
)

TYPES: Final[Mapping[str, ResourceType]] = {
    each.kind: each for each in (MODEL_SERVICE, MODEL_PROXY)
}
"""Every type of resource, by its kind."""


def type_of(kind: str) -> ResourceType:
    """Return the type of that kind; one that is missing is our bug."""
    if kind not in TYPES:
        raise ProviderBugError(f"resource_types.py knows no kind {kind!r}")
    return TYPES[kind]
