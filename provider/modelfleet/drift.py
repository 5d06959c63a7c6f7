"""What a live service has that its declaration does not say, in the declaration's own words.

Takes fields that somebody else has taken (``cluster.managed_fields``) and objects that are gone,
and returns declared fields with their live values and a sentence on who did it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from modelfleet.cluster.field_paths import Key, path_text
from modelfleet.cluster.field_paths import Path as ObjectPath
from modelfleet.cluster.managed_fields import Taken, quantity
from modelfleet.cluster.objects import Ref
from modelfleet.labels import ENGINE_CONTAINER
from modelfleet.spec.tree import Path, dotted

_GIB: Final = 2**30
_ENGINE: Final[ObjectPath] = (
    *("spec", "template", "spec", "containers"),
    Key((("name", ENGINE_CONTAINER),)),
)


@dataclass(frozen=True)
class Drift:
    """``sentences`` by declared field or object path; ``live`` values by declared path."""

    sentences: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[Path, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.sentences)


def drift_of(*, taken: Iterable[tuple[Ref, Taken]], missing: Iterable[Ref]) -> Drift:
    """Return the drift of one service from what was found on its objects."""
    sentences = {str(ref): "is missing" for ref in missing}
    live: dict[Path, Any] = {}
    for ref, each in taken:
        declared = _declared(each) if ref.kind.kind == "Deployment" else None
        if declared is None:
            sentences[f"{ref.kind.kind} {path_text(each.path)}"] = _sentence(each)
        else:
            path, value = declared
            live[path] = value
            sentences[dotted(path)] = _sentence(each)
    return Drift(sentences=dict(sorted(sentences.items())), live=live)


def with_live(declaration: Mapping[str, Any], live: Mapping[Path, Any]) -> dict[str, Any]:
    """Return ``declaration`` with the values of ``live`` put in; the argument is left alone."""
    result = dict(declaration)
    for path, value in live.items():
        step, rest = str(path[0]), path[1:]
        inner = result.get(step)
        if rest:
            result[step] = with_live(inner if isinstance(inner, Mapping) else {}, {rest: value})
        else:
            result[step] = value
    return result


def _sentence(taken: Taken) -> str:
    who = ", ".join(sorted({manager.name for manager in taken.by}))
    if taken.live is None:
        return f"removed by {who}" if who else "removed"
    return f"set to {taken.live} by {who}" if who else f"is {taken.live}"


def _number(value: Any, *, per: float = 1) -> float | None:
    number = quantity(value)
    return None if number is None else float(number) / per


def _declared(taken: Taken) -> tuple[Path, Any] | None:
    """Return the declared field that ``taken`` changes, and its live value."""
    if taken.live is None:
        return None
    for pattern, path, convert in _FIELDS:
        if taken.path == pattern:
            return path, convert(taken.live)
    resources = (*_ENGINE, "resources", "limits")
    if taken.path[:-1] == resources and "/" in str(taken.path[-1]):
        return ("deployment", "gpu", "count"), _number(taken.live)
    selector = ("spec", "template", "spec", "nodeSelector")
    if taken.path[:-1] == selector:
        return ("deployment", "node_selector", str(taken.path[-1])), taken.live
    return None


_FIELDS: Final[tuple[tuple[ObjectPath, Path, Callable[[Any], Any]], ...]] = (
    (("spec", "replicas"), ("deployment", "replicas"), float),
    ((*_ENGINE, "image"), ("deployment", "images", "default"), str),
    ((*_ENGINE, "resources", "requests", "cpu"), ("deployment", "cpu"), _number),
    (
        (*_ENGINE, "resources", "limits", "memory"),
        ("deployment", "memory_gib"),
        lambda value: _number(value, per=_GIB),
    ),
)
"""Path in the Deployment, path in the declaration, conversion of the live value."""
