"""What taking over somebody else's object does, said before anything is written. Pure.

A Deployment is taken over with its pods, or not at all: a selector cannot change, and a container
under another name is another container. Where the pods would be replaced because they are declared
otherwise, that is told, with both sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from modelfleet import labels
from modelfleet.cluster.objects import DEPLOYMENT, NETWORK_POLICY, SERVICE, Object, kind_of, ref_of
from modelfleet.cluster.ownership import belongs_to, maker_of
from modelfleet.cluster.pod_defaults import Path, path_words, template_differences
from modelfleet.errors import ImmutableFieldError

HELM_RELEASE: Final = "meta.helm.sh/release-name"
HELM_NAMESPACE: Final = "meta.helm.sh/release-namespace"

_SHOWN_DIFFERENCES: Final = 5
_LONGEST_VALUE: Final = 60


def refuse_other_pods(desired: Object, live: Object, *, is_ours: bool) -> None:
    """Raise ImmutableFieldError where a Deployment cannot keep its pods under our declaration.

    That is where it selects other pods than it would have to; and, where it ``is_ours`` not yet,
    where no container of it has the name of ours.
    """
    if kind_of(desired) != DEPLOYMENT:
        return
    other = [*_other_selector(desired, live), *([] if is_ours else _other_container(desired, live))]
    if other:
        raise ImmutableFieldError(
            str(ref_of(desired)),
            "; ".join(other),
            status=422,
            hint="Choose another name and move over, or delete that Deployment first (its pods "
            "end with it). modelfleet import prints a declaration of what it runs.",
        )


def notices_of(
    pairs: Iterable[tuple[Object, Object | None]], *, owners: frozenset[str]
) -> Iterator[str]:
    """Yield what ``owners`` should know before live objects of others become what is desired.

    ``pairs`` are the desired objects of one resource, each with the live one, if there is one.
    Nothing is said of what is theirs already. Environment values are not shown: they may be
    secrets.
    """
    foreign, new = [], []
    for desired, live in pairs:
        if live is None:
            new.append(desired)
        elif not belongs_to(live, owners):
            foreign.append((desired, live))
    for desired, live in foreign:
        yield from _notices(desired, live)
    if any(kind_of(live) == DEPLOYMENT for _, live in foreign):
        for policy in (each for each in new if kind_of(each) == NETWORK_POLICY):
            yield (
                f"{ref_of(policy)} is new: from now on pods of its namespace and proxies reach "
                "it, and others only by network_configuration.allow_from."
            )


def _notices(desired: Object, live: Object) -> Iterator[str]:
    subject = str(ref_of(desired))
    if kind_of(desired) == DEPLOYMENT:
        templates = (each["spec"]["template"] for each in (desired, live))
        differences = list(template_differences(*templates))
        pods = "and its pods are replaced, for they differ" if differences else "with its pods"
        told = f": {_told(differences)}" if differences else ""
        yield f"takes over {subject}, which {maker_of(live)}, {pods}{told}."
    if kind_of(desired) == SERVICE and (changed := ", ".join(_routes(desired, live))):
        yield f"takes over {subject}: {changed}; whoever uses it the old way has to change."
    if release := helm_release_of(live):
        yield (
            f"{subject} is still part of the Helm release {release}, and the next helm upgrade "
            "or uninstall changes or deletes it. Let the chart mark it "
            "helm.sh/resource-policy: keep, upgrade, and then uninstall the release."
        )


def helm_release_of(live: Object) -> str:
    """Return ``namespace/name`` of the Helm release that has an object, empty for none."""
    annotations = live["metadata"].get("annotations") or {}
    name = annotations.get(HELM_RELEASE)
    return f"{annotations.get(HELM_NAMESPACE, '')}/{name}".lstrip("/") if name else ""


def _other_selector(desired: Object, live: Object) -> Iterator[str]:
    wanted, found = (_selector(each) for each in (desired, live))
    if wanted != found:
        yield (
            f"it selects pods by {found}, modelfleet's Deployments select by {wanted}, and a "
            "selector cannot be changed"
        )


def _other_container(desired: Object, live: Object) -> Iterator[str]:
    wanted, found = (_containers(each) for each in (desired, live))
    if labels.ENGINE_CONTAINER in wanted and labels.ENGINE_CONTAINER not in found:
        yield (
            f"its container is called {' and '.join(found)}, modelfleet's "
            f"{labels.ENGINE_CONTAINER}, and under another name it is another container"
        )


def _containers(deployment: Object) -> list[str]:
    return [each["name"] for each in deployment["spec"]["template"]["spec"]["containers"]]


def _selector(obj: Object) -> str:
    selector = (obj.get("spec") or {}).get("selector") or {}
    terms = [
        f"{name}={value}" for name, value in sorted((selector.get("matchLabels") or {}).items())
    ]
    terms += [str(expression) for expression in selector.get("matchExpressions") or ()]
    return ", ".join(terms) or "nothing"


def _told(differences: list[tuple[Path, Any, Any]]) -> str:
    shown = [_difference(*each) for each in differences[:_SHOWN_DIFFERENCES]]
    if more := len(differences) - len(shown):
        shown.append(f"and {more} more")
    return "; ".join(shown)


def _difference(path: Path, desired: Any, live: Any) -> str:
    if "env" in path:
        return path_words(path)
    return f"{path_words(path)} {_shown(live)} → {_shown(desired)}"


def _shown(value: Any) -> str:
    if value is None:
        return "(unset)"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _routes(desired: Object, live: Object) -> Iterator[str]:
    """Yield what changes for those who use a Service."""
    ports = [[each["port"] for each in obj["spec"].get("ports", ())] for obj in (desired, live)]
    if ports[0] != ports[1]:
        before, after = (", ".join(map(str, each)) or "none" for each in (ports[1], ports[0]))
        yield f"port {before} → {after}"
    types = [obj["spec"].get("type", "ClusterIP") for obj in (desired, live)]
    if types[0] != types[1]:
        yield f"type {types[1]} → {types[0]}"
