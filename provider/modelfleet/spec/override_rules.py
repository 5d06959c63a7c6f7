"""What ``deployment.pod_overrides`` may say: the words of a pod template, and of a merge patch.

Names and places only: whether a value is right for its field, the API server says before it
stores anything. What of a pod is modelfleet's own stays so: the selector's labels, the keys of its
annotations, the container of the engine. Everything else of a pod may be overridden, its security
context too: who writes it there has said so, and a preview shows it. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.labels import ENGINE_CONTAINER, PREFIX
from modelfleet.spec.rule import Problems, Rule, rule
from modelfleet.spec.tree import Path, dotted

PATCH: Final = "$patch"
DELETE: Final[Mapping[str, str]] = {PATCH: "delete"}

MERGE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
}
"""The keys that tell the elements of a list apart, by the list's field name (Kubernetes 1.36, the
server-side-apply keys of PodTemplateSpec and its containers)."""

_POD: Final = """\
    affinity automountServiceAccountToken containers dnsConfig dnsPolicy
    enableServiceLinks hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride
    imagePullSecrets initContainers nodeName nodeSelector os overhead preemptionPolicy priority
    priorityClassName readinessGates resourceClaims resources restartPolicy runtimeClassName
    schedulerName schedulingGates schedulingGroup securityContext serviceAccount serviceAccountName
    setHostnameAsFQDN shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations
    topologySpreadConstraints volumes workloadRef"""
_CONTAINER: Final = """\
    args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports
    readinessProbe resizePolicy resources restartPolicy restartPolicyRules securityContext
    startupProbe stdin stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices
    volumeMounts workingDir"""
"""Fields of PodSpec and Container (k8s.io/api 0.36, July 2026), but for those that a Deployment's
template may not have."""

POD_FIELDS: Final = frozenset(_POD.split())
CONTAINER_FIELDS: Final = frozenset(_CONTAINER.split())

_ROOT: Final[Path] = ("deployment", "pod_overrides")
_METADATA: Final = ("labels", "annotations")
_CONTAINERS: Final = ("containers", "initContainers")


@rule("deployment.pod_overrides")
def _overrides_are_a_pod_template(overrides: Mapping[str, Any] | None) -> Problems:
    for name, value in (overrides or {}).items():
        at = (*_ROOT, name)
        if name.startswith("$"):
            continue
        if name not in ("metadata", "spec"):
            yield _unknown(at, known=("metadata", "spec"))
        elif not isinstance(value, Mapping):
            yield Problem(dotted(at), "must be a map of fields")
        else:
            yield from (_metadata if name == "metadata" else _pod)(value, at)


@rule("deployment.pod_overrides")
def _directives_are_known(overrides: Mapping[str, Any] | None) -> Problems:
    for at, value in _below(overrides or {}, _ROOT):
        name = at[-1]
        if not isinstance(name, str) or not name.startswith("$"):
            continue
        if name != PATCH:
            yield Problem(dotted(at), f"unknown directive; there is {PATCH}: delete or replace")
        elif value not in ("delete", "replace"):
            yield Problem(dotted(at), "must be delete or replace")
        elif len(at) <= len(_ROOT) + 2 or at[: len(_ROOT) + 1] == (*_ROOT, "metadata"):
            yield Problem(dotted(at), "would take away what modelfleet needs; name single fields")


def _metadata(metadata: Mapping[str, Any], at: Path) -> Problems:
    for name, values in metadata.items():
        if name not in _METADATA:
            yield _unknown((*at, name), known=_METADATA)
        elif not isinstance(values, Mapping):
            yield Problem(dotted((*at, name)), "must be a map of text")
        else:
            for key, value in values.items():
                if key.startswith(PREFIX):
                    yield Problem(dotted((*at, name, key)), f"keys under {PREFIX} are modelfleet's")
                elif not isinstance(value, str) and value != DELETE and not key.startswith("$"):
                    yield Problem(dotted((*at, name, key)), "must be text")


def _pod(pod: Mapping[str, Any], at: Path) -> Problems:
    for name, value in pod.items():
        if name not in POD_FIELDS and not name.startswith("$"):
            yield _unknown((*at, name), known=POD_FIELDS)
        elif name in MERGE_KEYS:
            yield from _elements(value, (*at, name), keys=MERGE_KEYS[name])
    if pod.get("restartPolicy", "Always") != "Always":
        yield Problem(
            dotted((*at, "restartPolicy")), "must be Always: a Deployment's pods start anew"
        )
    for name in _CONTAINERS:
        containers: Any = pod.get(name)
        for index, container in enumerate(containers) if _is_list(containers) else ():
            if isinstance(container, Mapping):
                yield from _container(container, (*at, name, index))
    yield from _engine(pod.get("containers", ()), (*at, "containers"))


def _container(container: Mapping[str, Any], at: Path) -> Problems:
    for name, value in container.items():
        if name not in CONTAINER_FIELDS and not name.startswith("$"):
            yield _unknown((*at, name), known=CONTAINER_FIELDS)
        elif name in MERGE_KEYS:
            yield from _elements(value, (*at, name), keys=MERGE_KEYS[name])


def _elements(value: Any, at: Path, *, keys: tuple[str, ...]) -> Problems:
    """Say of the elements of a merged list which could not be found in it."""
    if value == DELETE:
        return
    if not _is_list(value) or not all(isinstance(each, Mapping) for each in value):
        yield Problem(dotted(at), "must be a list of maps")
        return
    required = [key for key in keys if key != "protocol"]
    for index, each in enumerate(value):
        for key in keys:
            if isinstance(each.get(key), bool | Mapping | list | tuple):
                yield Problem(dotted((*at, index, key)), "must be text or a number")
        missing = [key for key in required if each.get(key) is None]
        if missing and each.keys() != {PATCH}:
            yield Problem(
                dotted((*at, index)), f"needs {' and '.join(missing)}, by which it is merged"
            )


def _engine(containers: Any, at: Path) -> Problems:
    """Say whether the container of the engine would go."""
    listed: Any = containers if _is_list(containers) else ()
    elements = [each for each in listed if isinstance(each, Mapping)]
    directives = [(each.get("name"), each.get(PATCH)) for each in elements]
    if (
        containers == DELETE
        or (None, "replace") in directives
        or (None, "delete") in directives
        or (ENGINE_CONTAINER, "delete") in directives
    ):
        yield Problem(
            dotted(at),
            f"would take away the container {ENGINE_CONTAINER}; override its fields, or declare "
            "another deployment.runtime",
        )


def _below(value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of everything in ``value``."""
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif _is_list(value):
        items = enumerate(value)
    else:
        return
    for key, item in items:
        yield (*at, key), item
        yield from _below(item, (*at, key))


def _unknown(at: Path, *, known: Collection[str]) -> Problem:
    near = difflib.get_close_matches(str(at[-1]), sorted(known), n=1)
    if near:
        return Problem(dotted(at), f"unknown field; did you mean `{near[0]}`?")
    few = f"; there are {' and '.join(known)}" if len(known) < len(MERGE_KEYS) else ""
    return Problem(dotted(at), f"unknown field of a pod{few}")


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


OVERRIDE_RULES: Final[tuple[Rule, ...]] = (_overrides_are_a_pod_template, _directives_are_known)
