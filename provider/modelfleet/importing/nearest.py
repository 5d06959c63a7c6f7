"""The declaration that says most of a pod template by its fields, found by rendering. Pure.

It knows no rule of the renderer: a suggestion is kept where with it the rendered template is nearer
to the one that runs. What is still different then is what ``pod_overrides`` have to say.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.engines import ENGINES
from modelfleet.errors import SpecError
from modelfleet.importing.fields import (
    Suggestion,
    engine_fields,
    model_uris,
    runtime_in_full,
    suggestions,
)
from modelfleet.importing.overrides import Target, overrides_between, size_of
from modelfleet.importing.recognition import Recognised, recognised, served_names
from modelfleet.plan import plan
from modelfleet.render import pod_template_of
from modelfleet.render.deployment import strategy_of
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.service import ModelServiceSpec, ModelType
from modelfleet.spec.tree import with_values

Tree = Mapping[str, Any]

_TELLING: Final = ("cpu", "memory_gib", "gpu", "model")
"""Fields that are declared also where overrides have to say the same more exactly."""

_MODEL_TYPES: Final = ("llm", *(each.value for each in ModelType if each.value != "llm"))


@dataclass(frozen=True)
class _Candidate:
    """A declaration, and the overrides it needs."""

    declaration: Tree
    overrides: Tree

    @property
    def size(self) -> int:
        """How many values are overridden."""
        return size_of(self.overrides) if self.overrides else 0

    @property
    def whole(self) -> dict[str, Any]:
        """The declaration with its overrides."""
        if not self.overrides:
            return dict(self.declaration)
        path = ("deployment", "pod_overrides")
        return with_values(self.declaration, {path: copy.deepcopy(self.overrides)})


def nearest_declaration(
    declared: Tree, *, template: Tree, container: Tree, rollout: Tree, subject: str
) -> dict[str, Any]:
    """Return ``declared`` with the ``deployment`` that needs the fewest overrides.

    ``container`` is the engine's in ``template``, ``rollout`` the spec of the Deployment. A
    built-in engine is taken only where it writes the very command line that runs: under an
    override its fields would say what has no effect.

    Raises:
        SpecError: not even a runtime given in full can be declared so.
    """
    target = Target.of(template)
    found = recognised(container)
    replicas = rollout_of(rollout)
    best: _Candidate | None = None
    name = str(declared["model_service_name"])
    proposed = list(suggestions(template["spec"], container))
    gpu = next((value for path, value in proposed if path == ("gpu",)), None)
    for base in _bases(found, name=name, pod=template["spec"], container=container):
        start = _without_derived(
            {**declared, **base, "deployment": {**base["deployment"], **replicas, "gpu": gpu}}
        )
        if (candidate := _candidate(start, target)) is None:
            continue
        for suggestion in proposed:
            candidate = _better(candidate, suggestion, target)
        if isinstance(base["deployment"]["runtime"], str):
            candidate = _tidied(candidate, target)
            if not _is_command_overridden(candidate.overrides):
                return candidate.whole
        elif best is None or candidate.size < best.size:
            best = candidate
    if best is None:
        raise SpecError(subject, list(plan(start).problems))
    return best.whole


def rollout_of(spec: Tree) -> dict[str, Any]:
    """Return replicas and strategy of a Deployment, shares of the replicas as numbers."""
    replicas = int(spec.get("replicas", 1))
    strategy = spec.get("strategy") or {}
    declared: dict[str, Any] = {"replicas": replicas}
    if strategy.get("type") == "Recreate":
        declared["strategy"] = {"type": "recreate"}
    elif rolling := strategy.get("rollingUpdate"):
        surge = _count(rolling.get("maxSurge", 1), of=replicas, rounded=math.ceil)
        unavailable = _count(rolling.get("maxUnavailable", 0), of=replicas, rounded=math.floor)
        # Where both come to nothing, Kubernetes takes one pod away.
        numbers = {
            "max_surge": surge,
            "max_unavailable": unavailable if surge else unavailable or 1,
        }
        declared["strategy"] = numbers
    without = {"replicas": replicas}
    return without if _strategy(declared) == _strategy(without) else declared


def _strategy(declared: Tree) -> dict[str, Any]:
    model = {"uri": "file:///any"}
    return strategy_of(DeploymentSpec.model_validate({"model": model, **declared}))


def _count(value: Any, *, of: int, rounded: Any) -> int:
    """Return a number of pods, which may be given as a share of the replicas."""
    if not isinstance(value, str):
        return int(value)
    return int(rounded(float(value.removesuffix("%")) / 100 * of))


def _bases(found: Recognised, *, name: str, pod: Tree, container: Tree) -> Iterator[dict[str, Any]]:
    """Yield what to begin with: the engine by name, where it is built in; the runtime in full."""
    uris = model_uris(found, pod)
    if found.engine in ENGINES and not found.indirect:
        for uri in uris:
            yield from _built_in(found, name=name, uri=uri, image=str(container.get("image", "")))
    runtime = runtime_in_full(found, container)
    without_probes = {key: value for key, value in runtime.items() if key != "probes"}
    for uri in uris:
        for each in (runtime, without_probes):
            for called in (_called(served_names(found), name), {}):
                yield {**called, "deployment": {"model": {"uri": uri}, "runtime": each}}


def _built_in(found: Recognised, *, name: str, uri: str, image: str) -> Iterator[dict[str, Any]]:
    fields = engine_fields(found)
    model = {"uri": uri, **fields.pop("model", {})}
    deployment = {"model": model, "runtime": found.engine, **fields}
    own_image = {"images": {"default": image}}
    versions: list[dict[str, Any]] = [
        {"runtime_version": each} for each in _versions(found.version)
    ]
    both = [{**each, **own_image} for each in versions]
    for said in (*versions, *both, own_image):
        for kind in _MODEL_TYPES:
            called = _called(found.names, name)
            yield {**called, "model_type": kind, "deployment": {**deployment, **said}}


def _versions(tag: str) -> list[str]:
    """Return what may be a version in the tag of an image: the tag, and what it begins with."""
    release = re.match(r"v?\d+(\.\w+)*", tag)
    return list(dict.fromkeys(filter(None, (tag, release[0] if release else ""))))


def _called(names: Sequence[str], name: str) -> dict[str, Any]:
    """Return the fields that make ``names``, of which the first is the access name."""
    workspace, slash, last = (names[0] if names else "").rpartition("/")
    fields: dict[str, Any] = {"workspace_id": workspace} if slash and last == name else {}
    if further := list(names[1:] if last == name else names):
        fields["provider_settings"] = {"model_names": further}
    return fields


def _without_derived(declaration: Tree) -> dict[str, Any]:
    """Return ``declaration`` without the engine options that fields decide, or nobody may set."""
    refused = {
        each.path.removeprefix("deployment.args.")
        for each in plan(declaration).problems
        if each.path.startswith("deployment.args.")
    }
    args = declaration["deployment"].get("args") or {}
    kept = {name: value for name, value in args.items() if name not in refused}
    return with_values(declaration, {("deployment", "args"): kept or None})


def _tidied(candidate: _Candidate, target: Target) -> _Candidate:
    """Return ``candidate`` without what the engine's command line would say anyway."""
    deployment = candidate.declaration["deployment"]
    for field in ("args", "parallelism"):
        for name in deployment.get(field) or {}:
            path = ("deployment", field, name)
            without = _candidate(with_values(candidate.declaration, {path: None}), target)
            if without is not None and without.size <= candidate.size:
                candidate = without
    return candidate


def _candidate(declaration: Tree, target: Target) -> _Candidate | None:
    """Return ``declaration`` with the overrides it needs, None where it is not valid."""
    planned = plan(declaration)
    if planned.problems:
        return None
    spec = ModelServiceSpec.model_validate(planned.inputs)
    return _Candidate(declaration, overrides_between(pod_template_of(spec), target))


def _better(candidate: _Candidate, suggestion: Suggestion, target: Target) -> _Candidate:
    """Return ``candidate`` with the suggested value, if that brings it nearer to the template."""
    path, value = suggestion
    declaration = with_values(candidate.declaration, {("deployment", *path): value})
    changed = _candidate(declaration, target)
    if changed is None or changed.size > candidate.size:
        return candidate
    if changed.size == candidate.size and path[0] not in _TELLING:
        return candidate
    return changed


def _is_command_overridden(overrides: Tree) -> bool:
    containers = (overrides.get("spec") or {}).get("containers") or ()
    return any(
        name in container for container in containers for name in ("command", "args", "image")
    )
