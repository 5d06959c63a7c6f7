"""A Deployment that somebody else made, as the declaration that keeps its pods as they are.

As much as can be is said by fields; what no field says becomes ``pod_overrides``; what neither can
say is told. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from modelfleet import labels
from modelfleet.cluster.adoption import helm_release_of
from modelfleet.cluster.objects import Object, ref_of
from modelfleet.cluster.pod_defaults import path_words, template_differences
from modelfleet.engines import ENGINES
from modelfleet.importing.defaults import without_defaults
from modelfleet.importing.imported import Imported
from modelfleet.importing.nearest import nearest_declaration
from modelfleet.importing.recognition import recognised, served_names
from modelfleet.plan import plan
from modelfleet.render import pod_template_of
from modelfleet.render.metadata import KIND
from modelfleet.spec.service import ModelServiceSpec

NEXT: Final = "next"
"""What is added to a name that is taken by a Deployment which cannot be taken over."""

_ANYWHERE: Final = {"base_url": "https://example.com/v1"}


def foreign_declaration(deployment: Object, *, service: Object | None = None) -> Imported:
    """Return the declaration of a Deployment without a record; ``service`` has its name, if any.

    Raises:
        SpecError: it cannot be declared, whatever is overridden.
    """
    metadata = deployment["metadata"]
    obstacles = tuple(_obstacles(deployment))
    name = f"{metadata['name']}-{NEXT}" if obstacles else metadata["name"]
    template = _as_ours(deployment, name=name)
    container = _named_engine(template["spec"]["containers"])
    declared = {
        "model_service_name": name,
        "namespace": metadata["namespace"],
        **({} if obstacles else {"adopt": True}),
    }
    nearest = nearest_declaration(
        declared,
        template=template,
        container=container,
        rollout=deployment["spec"],
        subject=str(ref_of(deployment)),
    )
    declaration = without_defaults(nearest, ModelServiceSpec)
    notes = (
        *_what_is_lost(
            declaration, deployment if not obstacles else {"spec": {"template": template}}
        ),
        *_what_changes(deployment, service),
        *_who_calls(declaration),
        *_what_engine(declaration, container),
        *_what_name(declaration, container),
    )
    source = str(ref_of(deployment))
    return Imported(declaration, source=source, notes=notes, obstacles=obstacles)


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
    try:
        ModelServiceSpec.model_validate(
            {"model_service_name": name, "provider_settings": _ANYWHERE}
        )
    except ValidationError:
        yield "its name is none that a ModelService may have"


def _as_ours(deployment: Object, *, name: str) -> dict[str, Any]:
    """Return the pod template of the service ``name`` that runs the same pods.

    Its engine's container and its selector's labels are called as ours are. Those that the
    Deployment selects by go: it would select the pods of both. Annotations of ours are ours to set.
    """
    template: dict[str, Any] = copy.deepcopy(deployment["spec"]["template"])
    _named_engine(template["spec"]["containers"])["name"] = labels.ENGINE_CONTAINER
    metadata = template.get("metadata") or {}
    selector = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    theirs = {
        key: value for key, value in _theirs(metadata, "labels").items() if key not in selector
    }
    annotations = _theirs(metadata, "annotations")
    template["metadata"] = {
        "labels": {**labels.selector(kind=KIND, name=name), **theirs},
        **({"annotations": annotations} if annotations else {}),
    }
    return template


def _theirs(metadata: Mapping[str, Any], field: str) -> dict[str, str]:
    values = metadata.get(field) or {}
    return {key: value for key, value in values.items() if not key.startswith(labels.PREFIX)}


def _named_engine(containers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the container that serves: the one called so, the one recognised, one with a GPU."""

    def likelihood(container: Mapping[str, Any]) -> tuple[bool, bool, bool]:
        limits = (container.get("resources") or {}).get("limits") or {}
        return (
            container["name"] == labels.ENGINE_CONTAINER,
            bool(recognised(container).engine),
            any("/" in name for name in limits),
        )

    return max(containers, key=likelihood)


def _what_is_lost(declaration: Mapping[str, Any], deployment: Object) -> Iterator[str]:
    """Yield where the declaration, overrides and all, makes other pods than those that run."""
    spec = ModelServiceSpec.model_validate(plan(declaration).inputs)
    different = template_differences(pod_template_of(spec), deployment["spec"]["template"])
    if lost := ", ".join(path_words(path) for path, _, _ in different):
        yield f"taking it over replaces its pods, for {lost} cannot be declared as it is"


def _what_changes(deployment: Object, service: Object | None) -> Iterator[str]:
    if release := helm_release_of(deployment):
        yield (
            f"it is part of the Helm release {release}: let the chart mark it "
            "helm.sh/resource-policy: keep, upgrade, and uninstall the release once it is yours"
        )
    exposed = (service or {}).get("spec", {})
    for port in exposed.get("ports", ()):
        if port["port"] != labels.SERVICE_PORT:
            yield f"its Service listens on port {port['port']}, modelfleet's on port 80"
    if exposed.get("type", "ClusterIP") != "ClusterIP":
        yield f"its Service is a {exposed['type']}, modelfleet's a ClusterIP"


def _who_calls(declaration: Mapping[str, Any]) -> Iterator[str]:
    if "adopt" in declaration:
        yield (
            "from then on pods of its namespace and proxies reach it, and others only by "
            "network_configuration.allow_from"
        )


def _what_engine(declaration: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[str]:
    found = recognised(container)
    if found.engine and isinstance(declaration["deployment"].get("runtime"), Mapping):
        known = f'runtime "{found.engine}"' if found.engine in ENGINES else "a built-in engine"
        yield (
            f"it runs {found.engine} by a command line of its own, which is declared word for word "
            f"so that no pod restarts; {known} with its fields instead is a rolling update"
        )


def _what_name(declaration: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[str]:
    names = served_names(recognised(container))
    access_name = labels.access_name(
        declaration["model_service_name"], workspace_id=declaration.get("workspace_id")
    )
    if names and access_name not in names:
        yield f"callers have to go on sending the model {names[0]}: its engine knows no other name"
