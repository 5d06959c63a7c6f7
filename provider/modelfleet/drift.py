"""What a live service has that its declaration does not say, in the declaration's own words.

Takes fields that somebody else has taken (``cluster.managed_fields``) and objects that are gone,
and returns declared fields with their live values and a sentence on who did it. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from modelfleet.cluster.field_paths import Key, path_text
from modelfleet.cluster.field_paths import Path as ObjectPath
from modelfleet.cluster.managed_fields import Taken, quantity
from modelfleet.cluster.objects import DEPLOYMENT, PERSISTENT_VOLUME_CLAIM, Kind, Ref
from modelfleet.engines.launch import image_keys
from modelfleet.labels import ENGINE_CONTAINER
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import Path, dotted, with_values

_GIB: Final = 2**30
_POD: Final[ObjectPath] = ("spec", "template", "spec")
_ENGINE: Final[ObjectPath] = (*_POD, "containers", Key((("name", ENGINE_CONTAINER),)))
_CLAIM_SIZE: Final[ObjectPath] = ("spec", "resources", "requests", "storage")
_LONGEST_VALUE: Final = 60


@dataclass(frozen=True)
class Drift:
    """``sentences`` by declared field or object path; ``live`` values by declared path.

    A live value of None says that the field is unset.
    """

    sentences: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[Path, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.sentences)


def drift_of(
    declaration: Mapping[str, Any], *, taken: Iterable[tuple[Ref, Taken]], missing: Iterable[Ref]
) -> Drift:
    """Return the drift of the service that ``declaration`` describes, from its objects.

    With the values in ``live`` it is still a declaration: what cannot be declared is told by its
    place in the object.
    """
    sentences = {str(ref): "is missing" for ref in missing}
    live: dict[Path, Any] = {}
    for ref, each in taken:
        path = _declared_path(ref.kind, each.path, declaration)
        value = None if path is None else _declared_value(path, each.live)
        is_lost = value is None and each.live is not None
        if path is None or is_lost or not _is_valid(with_values(declaration, {path: value})):
            sentences[f"{ref.kind.kind} {path_text(each.path)}"] = _sentence(each)
        else:
            live[path] = value
            sentences[dotted(path)] = _sentence(each)
    return Drift(sentences=dict(sorted(sentences.items())), live=live)


def _sentence(taken: Taken) -> str:
    who = ", ".join(sorted({manager.name for manager in taken.by}))
    if taken.live is None:
        return f"removed by {who}" if who else "removed"
    text = taken.live if isinstance(taken.live, str) else json.dumps(taken.live)
    if len(text) > _LONGEST_VALUE:
        text = f"{text[: _LONGEST_VALUE - 1]}…"
    return f"set to {text} by {who}" if who else f"is {text}"


def _declared_path(kind: Kind, path: ObjectPath, declaration: Mapping[str, Any]) -> Path | None:
    """Return the declared field that the field at ``path`` of an object comes from."""
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


def _declared_value(path: Path, live: Any) -> Any:
    if path[-1] in ("memory_gib", "size_gib"):
        return _number(live, per=_GIB)
    if path[-1] in ("replicas", "cpu", "count"):
        return _number(live)
    return live


def _number(value: Any, *, per: float = 1) -> float | None:
    number = None if value is None else quantity(value)
    return None if number is None else float(number) / per


def _is_valid(declaration: Mapping[str, Any]) -> bool:
    try:
        ModelServiceSpec.model_validate(declaration)
    except ValidationError:
        return False
    return True
