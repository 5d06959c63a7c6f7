"""A Deployment that somebody else made, as the declaration that keeps its pods as they are.

As much as can be is said by fields; what no field says becomes ``pod_overrides``; what neither can
say is told. Every suggestion is judged by rendering it, so this knows no rule of the renderer.
Pure.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from modelfleet import labels
from modelfleet.cluster.adoption import helm_release_of
from modelfleet.cluster.objects import Object
from modelfleet.cluster.pod_defaults import path_words, template_differences
from modelfleet.engines import ENGINES
from modelfleet.importing.defaults import without_defaults
from modelfleet.importing.fields import (
    Suggestion,
    engine_fields,
    model_uris,
    runtime_in_full,
    suggestions,
)
from modelfleet.importing.imported import Imported
from modelfleet.importing.overrides import overrides_between, size_of
from modelfleet.importing.recognition import Recognised, recognised
from modelfleet.plan import plan
from modelfleet.render import pod_template_of
from modelfleet.render.deployment import strategy_of
from modelfleet.render.metadata import KIND
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import with_values

_NEXT: Final = "next"
"""What is added to a name that is taken by a Deployment which cannot be taken over."""

_NEITHER_RESTARTS: Final = ("cpu", "memory_gib", "gpu", "model")
"""Fields that say what a pod is, also where overrides have to say it more exactly."""


@dataclass(frozen=True)
class _Candidate:
    """A declaration, and the overrides it needs; ``size`` is how many."""

    declaration: Mapping[str, Any]
    overrides: Mapping[str, Any]

    @property
    def size(self) -> int:
        return size_of(self.overrides) if self.overrides else 0

    @property
    def whole(self) -> dict[str, Any]:
        if not self.overrides:
            return dict(self.declaration)
        return with_values(
            self.declaration, {("deployment", "pod_overrides"): copy.deepcopy(self.overrides)}
        )


def foreign_declaration(deployment: Object, *, service: Object | None = None) -> Imported:
    """Return the declaration of a Deployment without a record; ``service`` has its name, if any."""
    name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
    obstacles = tuple(_obstacles(deployment))
    template, notes = _as_ours(deployment, keep_labels=not obstacles)
    declared = {
        "model_service_name": f"{name}-{_NEXT}" if obstacles else name,
        "namespace": namespace,
        **({} if obstacles else {"adopt": True}),
    }
    best = _nearest(declared, deployment, template=template)
    declaration = without_defaults(best.whole, ModelServiceSpec)
    left = _left_over(declaration, template)
    notes += [*_notes(deployment, service, left=left), *_engine_notes(best, template)]
    return Imported(declaration, notes=tuple(notes), obstacles=obstacles)


def _obstacles(deployment: Object) -> Iterator[str]:
    name = deployment["metadata"]["name"]
    wanted = labels.selector(kind=KIND, name=name)
    selector = deployment["spec"].get("selector") or {}
    if selector != {"matchLabels": wanted}:
        found = ", ".join(f"{k}={v}" for k, v in (selector.get("matchLabels") or {}).items())
        ours = ", ".join(f"{key}={value}" for key, value in wanted.items())
        yield f"it selects pods by {found or selector}, modelfleet's Deployments by {ours}"
    names = [each["name"] for each in deployment["spec"]["template"]["spec"]["containers"]]
    if labels.ENGINE_CONTAINER not in names:
        yield f"its container is called {' and '.join(names)}, modelfleet's engine"
    if not _is_valid({"model_service_name": name, "provider_settings": _ANYWHERE}):
        yield "its name is none that a ModelService may have"


_ANYWHERE: Final = {"base_url": "https://example.com/v1"}


def _as_ours(deployment: Object, *, keep_labels: bool) -> tuple[dict[str, Any], list[str]]:
    """Return the pod template with the engine's container and the selector called as ours are.

    Where it cannot be taken over, the labels it is selected by go: two would share the pods.
    """
    name = deployment["metadata"]["name"]
    template: dict[str, Any] = copy.deepcopy(deployment["spec"]["template"])
    containers = template["spec"]["containers"]
    engine = _engine_container(containers)
    engine["name"] = labels.ENGINE_CONTAINER
    metadata = template.get("metadata") or {}
    own = {
        key: value
        for key, value in (metadata.get("labels") or {}).items()
        if not key.startswith(labels.PREFIX)
    }
    notes = []
    if not keep_labels:
        selector = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
        own = {key: value for key, value in own.items() if key not in selector}
        name = f"{name}-{_NEXT}"
    pods = {**labels.selector(kind=KIND, name=name), **own}
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if not key.startswith(labels.PREFIX)
    }
    if kept := set(metadata.get("annotations") or {}) - annotations.keys():
        notes.append(f"annotations of its pods are modelfleet's own: {', '.join(sorted(kept))}")
    template["metadata"] = {"labels": pods, **({"annotations": annotations} if annotations else {})}
    return template, notes


def _engine_container(containers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the container that serves: the one called so, the one recognised, one with a GPU."""

    def likelihood(container: Mapping[str, Any]) -> tuple[bool, bool, bool]:
        limits = (container.get("resources") or {}).get("limits") or {}
        return (
            container["name"] == labels.ENGINE_CONTAINER,
            bool(recognised(container).engine),
            any("/" in name for name in limits),
        )

    return max(containers, key=likelihood)


def _nearest(
    declared: Mapping[str, Any], deployment: Object, *, template: Mapping[str, Any]
) -> _Candidate:
    """Return the declaration that needs the fewest overrides.

    A built-in engine only where it writes the very command line that runs: under an override,
    its fields would say what has no effect.
    """
    container = _engine_container(template["spec"]["containers"])
    found = recognised(container)
    rollout = _rollout(deployment)
    candidates = []
    for base in _bases(found, template=template, container=container):
        start = {**declared, **base, "deployment": {**base["deployment"], **rollout}}
        if (candidate := _candidate(start, template)) is None:
            continue
        for suggestion in suggestions(template["spec"], container):
            candidate = _better(candidate, suggestion, template)
        if isinstance(base["deployment"].get("runtime"), Mapping):
            candidates.append(candidate)
        elif not _is_command_overridden(candidate.overrides):
            return candidate
    return min(candidates, key=lambda each: each.size)


def _bases(
    found: Recognised, *, template: Mapping[str, Any], container: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield what to begin with: the engine by name, where it is built in; the runtime in full."""
    uris = model_uris(found, template["spec"])
    if found.engine in ENGINES and not found.indirect:
        for uri in uris:
            yield from _built_in(found, uri=uri, image=str(container.get("image", "")))
    runtime = runtime_in_full(found, container)
    for uri in uris:
        yield {"deployment": {"model": {"uri": uri}, "runtime": runtime}}
        without = {key: value for key, value in runtime.items() if key != "probes"}
        yield {"deployment": {"model": {"uri": uri}, "runtime": without}}


def _built_in(found: Recognised, *, uri: str, image: str) -> Iterator[dict[str, Any]]:
    fields = engine_fields(found)
    model = {"uri": uri, **fields.pop("model", {})}
    deployment = {"model": model, "runtime": found.engine, **fields}
    further = {"provider_settings": {"model_names": list(found.names)}} if found.names else {}
    version = {"runtime_version": found.version} if found.version else {}
    kinds: tuple[dict[str, str], ...] = (
        {},
        {"model_type": "text-embedding"},
        {"model_type": "rerank"},
    )
    for kind in kinds:
        for said in (
            version,
            {**version, "images": {"default": image}},
            {"images": {"default": image}},
        ):
            yield {**further, **kind, "deployment": {**deployment, **said}}


def _rollout(deployment: Object) -> dict[str, Any]:
    """Return replicas and strategy, shares of the replicas as numbers."""
    spec = deployment["spec"]
    replicas = int(spec.get("replicas", 1))
    strategy = spec.get("strategy") or {}
    declared: dict[str, Any] = {"replicas": replicas}
    if strategy.get("type") == "Recreate":
        declared["strategy"] = {"type": "recreate"}
    elif rolling := strategy.get("rollingUpdate"):
        numbers = {
            "max_surge": _count(rolling.get("maxSurge", 1), of=replicas, up=True),
            "max_unavailable": _count(rolling.get("maxUnavailable", 0), of=replicas, up=False),
        }
        declared["strategy"] = numbers
    return _without_usual_strategy(declared)


def _without_usual_strategy(declared: dict[str, Any]) -> dict[str, Any]:
    """Return ``declared`` without the strategy that it would have anyway."""
    without = {key: value for key, value in declared.items() if key != "strategy"}
    model = {"uri": "file:///any"}
    both = [
        strategy_of(DeploymentSpec.model_validate({"model": model, **each}))
        for each in (declared, without)
    ]
    return without if both[0] == both[1] else declared


def _count(value: Any, *, of: int, up: bool) -> int:
    """Return a number of pods, which may be given as a share of the replicas."""
    if not isinstance(value, str):
        return int(value)
    share = float(value.removesuffix("%")) / 100 * of
    return math.ceil(share) if up else math.floor(share)


def _candidate(declaration: Mapping[str, Any], template: Mapping[str, Any]) -> _Candidate | None:
    """Return ``declaration`` with the overrides it needs, None where it is not valid."""
    planned = plan(declaration)
    if planned.problems:
        return None
    spec = ModelServiceSpec.model_validate(planned.inputs)
    return _Candidate(declaration, overrides_between(pod_template_of(spec), template))


def _better(
    candidate: _Candidate, suggestion: Suggestion, template: Mapping[str, Any]
) -> _Candidate:
    """Return ``candidate`` with the suggested value, if that brings it nearer to the template."""
    path, value = suggestion
    changed = _candidate(
        with_values(candidate.declaration, {("deployment", *path): value}), template
    )
    if changed is None or changed.size > candidate.size:
        return candidate
    if changed.size == candidate.size and path[0] not in _NEITHER_RESTARTS:
        return candidate
    return changed


def _is_command_overridden(overrides: Mapping[str, Any]) -> bool:
    containers = (overrides.get("spec") or {}).get("containers") or ()
    return any(
        name in container for container in containers for name in ("command", "args", "image")
    )


def _left_over(declaration: Mapping[str, Any], template: Mapping[str, Any]) -> list[str]:
    """Return where a declaration, overrides and all, renders other pods than run."""
    spec = ModelServiceSpec.model_validate(plan(declaration).inputs)
    rendered = pod_template_of(spec)
    return [path_words(path) for path, _, _ in template_differences(rendered, template)]


def _notes(deployment: Object, service: Object | None, *, left: list[str]) -> Iterator[str]:
    if left:
        yield f"taking it over replaces its pods: {', '.join(left)} cannot be declared"
    if release := helm_release_of(deployment):
        yield (
            f"it is part of the Helm release {release}: let the chart mark it "
            "helm.sh/resource-policy: keep, upgrade, and uninstall the release"
        )
    for port in (service or {}).get("spec", {}).get("ports", ()):
        if port["port"] != labels.SERVICE_PORT:
            yield f"its Service listens on port {port['port']}, modelfleet's on port 80"
    if (service or {}).get("spec", {}).get("type", "ClusterIP") != "ClusterIP":
        yield "its Service is reached from outside; modelfleet's is a ClusterIP"


def _engine_notes(best: _Candidate, template: Mapping[str, Any]) -> Iterator[str]:
    found = recognised(_engine_container(template["spec"]["containers"]))
    runtime = best.declaration["deployment"].get("runtime")
    if isinstance(runtime, Mapping) and found.engine:
        known = f"runtime={found.engine!r}" if found.engine in ENGINES else "a built-in engine"
        yield (
            f"it runs {found.engine}, with a command line of its own; it is declared word for "
            f"word, so that no pod restarts. {known} instead would be a rolling update"
        )


def _is_valid(declaration: Mapping[str, Any]) -> bool:
    try:
        ModelServiceSpec.model_validate(declaration)
    except ValidationError:
        return False
    return True
