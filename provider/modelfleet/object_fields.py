"""Which declared field a field of a live object comes from, for both resources.

The other way round than rendering: for telling, in the declaration's words, what somebody changed
in a cluster. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet.cluster.field_paths import Key
from modelfleet.cluster.field_paths import Path as ObjectPath
from modelfleet.cluster.managed_fields import quantity
from modelfleet.cluster.objects import DEPLOYMENT, PERSISTENT_VOLUME_CLAIM, Kind
from modelfleet.engines.launch import image_keys
from modelfleet.labels import ENGINE_CONTAINER, GATEWAY_CONTAINER
from modelfleet.spec.tree import Path

_GIB: Final = 2**30
_MIB: Final = 2**20
_POD: Final[ObjectPath] = ("spec", "template", "spec")
_ENGINE: Final[ObjectPath] = (*_POD, "containers", Key((("name", ENGINE_CONTAINER),)))
_GATEWAY: Final[ObjectPath] = (*_POD, "containers", Key((("name", GATEWAY_CONTAINER),)))
_CLAIM_SIZE: Final[ObjectPath] = ("spec", "resources", "requests", "storage")


def service_field(kind: Kind, path: ObjectPath, declaration: Mapping[str, Any]) -> Path | None:
    """Return the field of a ModelService that the field at ``path`` of an object comes from."""
    if kind == PERSISTENT_VOLUME_CLAIM and path == _CLAIM_SIZE:
        return ("deployment", "storage", "size_gib")
    if kind != DEPLOYMENT:
        return None
    deployment = declaration.get("deployment") or {}
    if path == ("spec", "replicas"):
        return ("deployment", "replicas")
    if path == (*_ENGINE, "image"):
        return _image_path(deployment)
    *above, name = path
    if tuple(above[:-1]) == (*_ENGINE, "resources"):
        resource = "gpu" if "/" in str(name) else name
        return {
            "cpu": ("deployment", "cpu"),
            "memory": ("deployment", "memory_gib"),
            "gpu": ("deployment", "gpu", "count"),
        }.get(str(resource))
    if tuple(above) == (*_POD, "nodeSelector") and name in deployment.get("node_selector", {}):
        return ("deployment", "node_selector", str(name))
    variable = _variable(path)
    if isinstance(deployment.get("env", {}).get(variable), str):
        return ("deployment", "env", variable)
    return None


def proxy_field(kind: Kind, path: ObjectPath, _declaration: Mapping[str, Any]) -> Path | None:
    """Return the field of a ModelProxy that the field at ``path`` of an object comes from."""
    if kind != DEPLOYMENT:
        return None
    if path == ("spec", "replicas"):
        return ("replicas",)
    if path == (*_GATEWAY, "image"):
        return ("image",)
    *above, name = path
    if tuple(above[:-1]) == (*_GATEWAY, "resources") and name in ("cpu", "memory"):
        return (str(name),)
    return None


def declared_value(path: Path, live: Any) -> Any:
    """Return what a declaration would say at ``path`` for the ``live`` value of an object.

    None where there is nothing, or nothing that can be declared.
    """
    if path[-1] in ("memory_gib", "size_gib"):
        return _number(live, per=_GIB)
    if path == ("memory",):
        return _number(live, per=_MIB)
    if path[-1] in ("replicas", "cpu", "count"):
        return _number(live)
    return live


def _image_path(deployment: Mapping[str, Any]) -> Path:
    images, runtime, gpu = (deployment.get(name) for name in ("images", "runtime", "gpu"))
    vendor = None if gpu is None else gpu.get("vendor", "nvidia")
    keys = image_keys(vendor, deployment.get("cpu_architecture"))
    key = next((key for key in keys if key in (images or {})), None)
    if isinstance(runtime, Mapping) and key is None:
        return ("deployment", "runtime", "image")
    return ("deployment", "images", key or "default")


def _variable(path: ObjectPath) -> str:
    """Return the environment variable whose plain value stands at ``path``, ``""`` for none."""
    if len(path) != len(_ENGINE) + 3 or path[: len(_ENGINE) + 1] != (*_ENGINE, "env"):
        return ""
    key = path[-2]
    return str(dict(key.fields).get("name", "")) if isinstance(key, Key) else ""


def _number(value: Any, *, per: float = 1) -> float | None:
    number = None if value is None else quantity(value)
    return None if number is None else float(number) / per
