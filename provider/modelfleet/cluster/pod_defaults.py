"""What the API server adds to a pod template that leaves things out, and how two are compared.

Whether pods are replaced when a Deployment changes hands must be known before anything is written,
and a pod template as it is declared never looks like one that was stored. The values are those of
Kubernetes' ``pkg/apis/core/v1/defaults.go`` and the same from 1.30 to 1.36. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelfleet.cluster.managed_fields import quantity

Template = Mapping[str, Any]
Path = tuple[str, ...]

_POD: Final = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER: Final = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE: Final = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
_VOLUME: Final[Mapping[str, Mapping[str, Any]]] = {
    "secret": {"defaultMode": 420},
    "configMap": {"defaultMode": 420},
    "downwardAPI": {"defaultMode": 420},
    "projected": {"defaultMode": 420},
    "hostPath": {"type": ""},
}
_QUANTITY_FIELDS: Final = frozenset({"limits", "requests", "sizeLimit"})
_PLAIN_STEP: Final = re.compile(r"[-A-Za-z0-9_]+|\(order\)")
_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
_CONTAINERS: Final = ("initContainers", "containers")

_SAME_AS_ABSENT: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("hostNetwork", "hostPID", "hostIPC", "readOnly", "tty", "stdin"), False),
    **{name: {} for name in ("nodeSelector", "labels", "annotations")},
    "initialDelaySeconds": 0,
    "value": "",
}
"""Values that the server does not keep, by the field they stand in; no list is kept empty."""

_REFERENCES: Final[Mapping[str, Mapping[str, Any]]] = {
    "fieldRef": {"apiVersion": "v1"},
    "resourceFieldRef": {"divisor": "0"},
}
"""What the server adds to values that come from the pod itself, in variables and in volumes."""


def with_defaults(template: Template) -> dict[str, Any]:
    """Return a pod template as the API server would store it."""
    result = _kept(template)
    if not result.get("metadata"):
        result.pop("metadata", None)
    spec = {**_POD, **result.get("spec", {})}
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec |= {"serviceAccountName": account, "serviceAccount": account}
    for name in _CONTAINERS:
        if name in spec:
            hosts = bool(spec.get("hostNetwork"))
            spec[name] = [_container(each, on_host=hosts) for each in spec[name]]
    if "volumes" in spec:
        spec["volumes"] = [_volume(each) for each in spec["volumes"]]
    return {**result, "spec": spec}


def template_differences(desired: Template, live: Template) -> Iterator[tuple[Path, Any, Any]]:
    """Yield path, desired and live value where two pod templates would run other pods.

    Containers, volumes and variables are told apart by name. None stands for nothing there.
    """
    yield from _differences(with_defaults(desired), with_defaults(live), at=())


def is_same_value(one: Any, other: Any) -> bool:
    """Say whether two leaves mean the same: ``1000m`` and ``1`` do."""
    if one == other:
        return True
    if isinstance(one, str | int | float) and isinstance(other, str | int | float):
        return quantity(one) is not None and quantity(one) == quantity(other)
    return False


def default_pull_policy(image: str) -> str:
    """Return when an image is pulled where nobody says: always, for a tag that moves."""
    name = image.rpartition("/")[2]
    moves = "@" not in name and (":" not in name or name.endswith(":latest"))
    return "Always" if moves else "IfNotPresent"


def path_words(path: Path) -> str:
    """Return ``path`` for people: ``spec.containers.engine.env.HF_TOKEN``."""
    text = ""
    for step in path:
        plain = _PLAIN_STEP.fullmatch(step)
        text += (f".{step}" if text else step) if plain else f"[{step}]"
    return text


def _differences(desired: Any, live: Any, *, at: Path) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        for key in [*desired, *(key for key in live if key not in desired)]:
            yield from _differences(desired.get(key), live.get(key), at=(*at, str(key)))
    elif _are_named(desired) and _are_named(live):
        names = [[each["name"] for each in items] for items in (desired, live)]
        by_name = [{each["name"]: each for each in items} for items in (desired, live)]
        yield from _differences(*by_name, at=at)
        if sorted(names[0]) == sorted(names[1]) and names[0] != names[1]:
            yield (*at, "(order)"), names[0], names[1]
    elif desired != live and not (
        _QUANTITY_FIELDS.intersection(at) and is_same_value(desired, live)
    ):
        yield at, desired, live


def _are_named(items: Any) -> bool:
    """Return whether these are list items that have names, each its own."""
    if not isinstance(items, list) or not items:
        return False
    names = [each.get("name") if isinstance(each, Mapping) else None for each in items]
    return None not in names and len(set(names)) == len(names)


def _kept(value: Any, *, field: str = "") -> Any:
    """Return ``value`` without what the server drops."""
    if isinstance(value, Mapping):
        items = ((key, _kept(item, field=str(key))) for key, item in value.items())
        kept = {key: item for key, item in items if not _is_dropped(item, field=str(key))}
        return {**_REFERENCES[field], **kept} if field in _REFERENCES else kept
    if isinstance(value, list | tuple):
        return [_kept(item, field=field) for item in value]
    return value


def _is_dropped(value: Any, *, field: str) -> bool:
    if value is None or value == []:
        return True
    return field in _SAME_AS_ABSENT and value == _SAME_AS_ABSENT[field] and value is not True


def _container(container: Mapping[str, Any], *, on_host: bool) -> dict[str, Any]:
    result = {
        **_CONTAINER,
        "imagePullPolicy": default_pull_policy(str(container.get("image", ""))),
        **container,
    }
    if "ports" in result:
        result["ports"] = [_port(each, on_host=on_host) for each in result["ports"]]
    for name in _PROBES:
        if name in result:
            result[name] = _handler({**_PROBE, **result[name]})
    if "lifecycle" in result:
        result["lifecycle"] = {name: _handler(each) for name, each in result["lifecycle"].items()}
    return result


def _port(port: Mapping[str, Any], *, on_host: bool) -> dict[str, Any]:
    host = {"hostPort": port.get("containerPort")} if on_host else {}
    return {"protocol": "TCP", **host, **port}


def _handler(handler: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(handler)
    if "httpGet" in result:
        result["httpGet"] = {"path": "/", "scheme": "HTTP", **result["httpGet"]}
    if "grpc" in result:
        result["grpc"] = {"service": "", **result["grpc"]}
    return result


def _volume(volume: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(volume)
    if result.keys() == {"name"}:
        result["emptyDir"] = {}
    for source, defaults in _VOLUME.items():
        if source in result:
            result[source] = {**defaults, **result[source]}
    if "projected" in result:
        sources = [_projection(each) for each in result["projected"].get("sources", ())]
        result["projected"] = {**result["projected"], "sources": sources}
    if claim := (result.get("ephemeral") or {}).get("volumeClaimTemplate"):
        spec = {"volumeMode": "Filesystem", **claim.get("spec", {})}
        result["ephemeral"] = {"volumeClaimTemplate": {"metadata": {}, **claim, "spec": spec}}
    if "image" in result:
        policy = default_pull_policy(str(result["image"].get("reference", "")))
        result["image"] = {"pullPolicy": policy, **result["image"]}
    return result


def _projection(source: Mapping[str, Any]) -> dict[str, Any]:
    if "serviceAccountToken" not in source:
        return dict(source)
    token = {"expirationSeconds": 3600, **source["serviceAccountToken"]}
    return {**source, "serviceAccountToken": token}


def without_defaults(template: Template) -> dict[str, Any]:
    """Return a stored pod template with no more in it than the API server would not add itself."""
    stored = with_defaults(template)
    result: dict[str, Any] = _kept(stored)

    def shorten(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                shorten(item)
        if not isinstance(value, dict):
            return
        for key in list(value):
            removed = value.pop(key)
            # A volume without a source is an emptyDir too, but nobody would read it so.
            if key == "emptyDir" or with_defaults(result) != stored:
                value[key] = removed
                shorten(removed)

    shorten(result)
    return result
