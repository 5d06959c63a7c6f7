"""What a declaration will become, as far as it can be known before anything is created.

``plan`` is what every adapter does first: all problems, the defaults that are fixed for the
life of a service, and the values a preview can already show. Pure; never touches a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.resource_types import MODEL_SERVICE, ResourceSpec, ResourceType
from modelfleet.spec.known import known_part
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import (
    UNKNOWN,
    IsUnknown,
    Path,
    never_unknown,
    pruned,
    value_at,
    value_in,
)
from modelfleet.spec.validation import spec_of as _spec_of
from modelfleet.spec.validation import validated

_IDENTITY: Final = {
    name: ModelServiceSpec.model_fields[name].default for name in ("namespace", "cluster")
}
"""Where a resource is, written out also where it is the default: others refer to it."""


@dataclass(frozen=True)
class Rendered:
    """What runs: pods that ``renderer_version`` made, whose template has this hash."""

    renderer_version: int
    pod_template_hash: str


@dataclass(frozen=True)
class Plan:
    """``inputs`` with fixed defaults, the ``values`` known beforehand, and every problem.

    With problems, ``inputs`` are as declared and ``values`` is empty. ``warnings`` are of what is
    seldom meant; there are none while something is unknown.
    """

    inputs: dict[str, Any]
    values: dict[str, Any]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def plan(
    inputs: Mapping[str, Any],
    *,
    of: ResourceType = MODEL_SERVICE,
    prior: Mapping[str, Any] | None = None,
    rendered: Rendered | None = None,
    is_unknown: IsUnknown = never_unknown,
    unknown: object = None,
) -> Plan:
    """Return the plan of the resource declared by ``inputs``.

    ``prior`` is the declaration in force, for the defaults it has fixed, and ``rendered`` what was
    made of it; ``unknown`` is put where a value depends on one for which ``is_unknown`` holds.
    """
    complete = {**_IDENTITY, **of.pinned(pruned(inputs), prior, is_unknown=is_unknown)}
    result = validated(complete, model=of.model, is_unknown=is_unknown, rules=of.rules)
    since = of.problems_since(prior, complete, is_unknown=is_unknown)
    if problems := tuple(sorted({*result.problems, *since})):
        return Plan(inputs=dict(inputs), values={}, problems=problems)
    if (spec := result.spec) is not None:
        values = {
            name: formula(*(value_in(result.values, path) for path in _steps(paths)))
            for name, (paths, formula) in of.formulas.items()
        }
        secrets_stay = _secret_env(complete) == _secret_env(prior or {})
        planned = _rendered(spec, rendered if secrets_stay else None, of=of)
        values["renderer_version"] = planned.renderer_version
        values["pod_template_hash"] = planned.pod_template_hash
    else:
        values = {
            name: unknown if value is UNKNOWN else value
            for name, value in _known_values(complete, of=of, is_unknown=is_unknown)
        }
        hosted = of is not MODEL_SERVICE or complete.get("deployment") is not None
        values["renderer_version"] = _possible_version(
            rendered, newest=of.renderer_version, hosted=hosted, unknown=unknown
        )
        values["pod_template_hash"] = unknown if hosted else ""
    warnings = of.warnings_of(spec) if spec is not None else ()
    return Plan(inputs=complete, values=values, problems=(), warnings=warnings)


def spec_of(inputs: Mapping[str, Any]) -> ModelServiceSpec:
    """Return the spec of the ModelService that fully known ``inputs`` declare, by every rule.

    Raises:
        SpecError: with every problem.
    """
    return _spec_of(inputs, model=ModelServiceSpec, rules=MODEL_SERVICE.rules)


def resource_spec_of(inputs: Mapping[str, Any], *, of: ResourceType) -> ResourceSpec:
    """Return the spec of the resource that fully known ``inputs`` declare, by every rule.

    Raises:
        SpecError: with every problem.
    """
    return _spec_of(inputs, model=of.model, rules=of.rules)


def _rendered(spec: ResourceSpec, running: Rendered | None, *, of: ResourceType) -> Rendered:
    """Return ``running`` while its pods can stay, else what the newest renderer makes of ``spec``.

    A new release of modelfleet so restarts nothing, and what it renders better comes with the next
    change that replaces pods anyway.
    """
    if running is not None:
        same = of.template_hash(spec, renderer_version=running.renderer_version)
        if same == running.pod_template_hash:
            return running
    newest = of.renderer_version
    return Rendered(newest, of.template_hash(spec, renderer_version=newest))


def _secret_env(inputs: Mapping[str, Any]) -> Any:
    """Return the secret environment, of whose values the hash of a pod template tells nothing."""
    deployment = inputs.get("deployment")
    return (deployment.get("secret_env") or {}) if isinstance(deployment, Mapping) else {}


def _possible_version(
    rendered: Rendered | None, *, newest: int, hosted: bool, unknown: object
) -> Any:
    """Return the renderer where it does not matter what is still unknown, else ``unknown``."""
    if rendered is None or rendered.renderer_version == newest:
        return newest
    if hosted:
        return unknown
    return newest if rendered.pod_template_hash else rendered.renderer_version


def _steps(paths: tuple[str, ...]) -> list[Path]:
    return [tuple(path.split(".")) for path in paths]


def _known_values(
    inputs: Mapping[str, Any], *, of: ResourceType, is_unknown: IsUnknown
) -> Iterator[tuple[str, Any]]:
    """Yield every planned value by its name, ``UNKNOWN`` where it cannot be told yet."""
    part = known_part(inputs, model=of.model, is_unknown=is_unknown) if of.take_gaps else {}
    for name, (paths, formula) in of.formulas.items():
        if name in of.take_gaps:
            yield name, formula(*(value_in(part, path) for path in _steps(paths)))
            continue
        values = [
            value_at(inputs, path, model=of.model, is_unknown=is_unknown) for path in _steps(paths)
        ]
        yield name, UNKNOWN if any(each is UNKNOWN for each in values) else formula(*values)
