"""What a live resource has that its declaration does not say, in the declaration's own words.

Takes fields that somebody else has taken (``cluster.managed_fields``) and objects that are gone,
and returns declared fields with their live values and a sentence on who did it. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from modelfleet.cluster.field_paths import path_text
from modelfleet.cluster.managed_fields import Taken
from modelfleet.cluster.objects import Ref
from modelfleet.object_fields import declared_value
from modelfleet.resource_types import MODEL_SERVICE, ResourceType
from modelfleet.spec.tree import Path, dotted, with_values

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
    declaration: Mapping[str, Any],
    *,
    taken: Iterable[tuple[Ref, Taken]],
    missing: Iterable[Ref],
    of: ResourceType = MODEL_SERVICE,
) -> Drift:
    """Return the drift of the resource that ``declaration`` describes, from its objects.

    With the values in ``live`` it is still a declaration: what cannot be declared is told by its
    place in the object.
    """
    sentences = {str(ref): "is missing" for ref in missing}
    live: dict[Path, Any] = {}
    for ref, each in taken:
        path = of.declared_field(ref.kind, each.path, declaration)
        value = None if path is None else declared_value(path, each.live)
        is_lost = value is None and each.live is not None
        if path is None or is_lost or not _is_valid(with_values(declaration, {path: value}), of):
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


def _is_valid(declaration: Mapping[str, Any], of: ResourceType) -> bool:
    try:
        of.model.model_validate(declaration)
    except ValidationError:
        return False
    return True
