"""What changes between a prior and a desired declaration, and what each change does to pods.

Pure: works on declarations, never asks a cluster. An unknown value counts as a change of its field
that never asks for a replacement; what is known beside it is compared as if it stayed the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from typing import Any, Final

from pydantic import BaseModel, SecretStr, ValidationError

from modelfleet.resource_types import MODEL_SERVICE, ResourceSpec, ResourceType
from modelfleet.spec.fields import ChangeClass, change_class
from modelfleet.spec.tree import (
    IsUnknown,
    Path,
    dotted,
    model_at,
    never_unknown,
    pruned,
    unknown_paths,
    with_values,
)

WORDS: Final[Mapping[ChangeClass, str]] = {
    ChangeClass.IN_PLACE: "in place",
    ChangeClass.ROLLING: "rolling, pods are replaced while others serve",
    ChangeClass.RECREATE: "with downtime, no pod serves while pods are replaced",
    ChangeClass.REPLACE: "replaces the service",
}

_HOSTED: Final[Path] = ("deployment",)
_NOT_KNOWN_YET: Final = "(known after up)"
_LONGEST_VALUE: Final = 60
_LEVELS_UP: Final = 2


@dataclass(frozen=True, order=True)
class Change:
    """One field that differs. ``summary`` shows both values, or none where they are secret."""

    path: str
    change: ChangeClass
    summary: str

    def __str__(self) -> str:
        return f"{self.path} {self.summary}"


def diff(
    prior: Mapping[str, Any],
    desired: Mapping[str, Any],
    *,
    of: ResourceType = MODEL_SERVICE,
    is_unknown: IsUnknown = never_unknown,
) -> list[Change]:
    """Return the changes from ``prior`` to ``desired``, two raw declarations, sorted by path.

    A path ends at a list: lists are one value.
    """
    prior, desired = pruned(prior), pruned(desired)
    if prior == desired and _text(prior) == _text(desired):  # true == 1, but not as an option
        return []
    unknown = {
        _up_to_a_list(path)
        for tree in (prior, desired)
        for path in unknown_paths(tree, is_unknown=is_unknown)
    }
    pair = _comparable(prior, desired, of=of, unknown=unknown, is_unknown=is_unknown)
    found = differences(pair.prior, pair.desired)
    for path in pair.unknown:
        # It is told as part of a map that is new, or else as a change of its own.
        changed = next((each for each in found if path[: len(each)] == each), path)
        found[changed] = (_at(pair.prior, changed), _NOT_KNOWN_YET)
    changes = []
    for path, (old, new) in found.items():
        change = _class(path, before=pair.before, after=pair.after, of=of)
        if change is ChangeClass.REPLACE and path in pair.unknown:
            change = ChangeClass.IN_PLACE
        changes.append(Change(dotted(path), change, _summary(path, old, new, of=of)))
    return sorted(changes)


def differences(prior: Any, desired: Any) -> dict[Path, tuple[Any, Any]]:
    """Return, by path, the old and the new value of each difference between two plain trees.

    None stands for nothing there. Lists are one value.
    """
    prior, desired = _whole_numbers(prior), _whole_numbers(desired)
    # Without the threshold, maps that share few keys would be one difference.
    from deepdiff import DeepDiff  # takes a tenth of a second, and most runs change nothing

    entries = DeepDiff(prior, desired, view="tree", threshold_to_diff_deeper=0).values()
    paths = {_up_to_a_list(each.path(output_format="list")) for same in entries for each in same}
    return {path: (_at(prior, path), _at(desired, path)) for path in paths}


def heaviest(changes: Iterable[Change]) -> ChangeClass | None:
    """Return the heaviest class among ``changes``, None for no change."""
    return max((each.change for each in changes), key=lambda each: each.weight, default=None)


@dataclass(frozen=True)
class _Pair:
    """Two declarations without what is ``unknown``: plain trees and, where they are, specs."""

    prior: Mapping[str, Any]
    desired: Mapping[str, Any]
    unknown: set[Path]
    before: ResourceSpec | None = None
    after: ResourceSpec | None = None


def _comparable(
    prior: Mapping[str, Any],
    desired: Mapping[str, Any],
    *,
    of: ResourceType,
    unknown: set[Path],
    is_unknown: IsUnknown,
) -> _Pair:
    """Return both declarations, each with what the other has in the place of what is unknown.

    Where that leaves out a required field, the map around it counts as unknown instead.
    """
    for levels in range(_LEVELS_UP + 1):
        places = {path[: max(min(2, len(path)), len(path) - levels)] for path in unknown}
        trees = (
            _filled(prior, places, by=desired, is_unknown=is_unknown),
            _filled(desired, places, by=prior, is_unknown=is_unknown),
        )
        before, after = (_spec(tree, of) for tree in trees)
        if before and after:
            return _Pair(_plain(before), _plain(after), places, before, after)
        if levels == 0:
            fallback = _Pair(*trees, unknown)
    return fallback


def _filled(
    tree: Mapping[str, Any], places: Iterable[Path], *, by: Mapping[str, Any], is_unknown: IsUnknown
) -> dict[str, Any]:
    """Return ``tree`` with what ``by`` has at those ``places`` that it does not know itself.

    There is nothing in a place that neither of the two knows.
    """

    def knows(value: Any) -> bool:
        return next(unknown_paths(value, is_unknown=is_unknown), None) is None

    wanted = {path: _at(by, path) for path in places if not knows(_at(tree, path))}
    return with_values(tree, {path: v if knows(v) else None for path, v in wanted.items()})


def _up_to_a_list(path: Iterable[str | int]) -> Path:
    return tuple(takewhile(lambda step: isinstance(step, str), path))


def _spec(tree: Mapping[str, Any], of: ResourceType) -> ResourceSpec | None:
    """Return the spec, None where a required value is missing, or another release wrote it."""
    try:
        return of.model.model_validate(tree)
    except ValidationError:
        return None


def _plain(value: Any) -> Any:
    """Return a spec, or a value in one, as a JSON value, secrets in plain text."""
    if isinstance(value, BaseModel):
        return {name: _plain(item) for name, item in value}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _whole_numbers(tree: Any) -> Any:
    """Return ``tree`` with 2.0 as 2: a Pulumi program sends every number as a float."""
    if isinstance(tree, Mapping):
        return {key: _whole_numbers(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_whole_numbers(item) for item in tree]
    return int(tree) if isinstance(tree, float) and tree.is_integer() else tree


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree


def _class(
    path: Path, *, before: ResourceSpec | None, after: ResourceSpec | None, of: ResourceType
) -> ChangeClass:
    """Return what a change at ``path`` does to pods; by its field alone where specs are missing."""
    if path == _HOSTED:
        return ChangeClass.REPLACE  # hosted has become external or the other way round
    own = _declared_class(path, of.model)
    if before is None or after is None or not before.hosted or not after.hosted:
        return own
    if own is ChangeClass.IN_PLACE and _pods_follow(path, before=before, after=after, of=of):
        own = ChangeClass.ROLLING
    if own is ChangeClass.ROLLING and of.has_downtime(before, after):
        return ChangeClass.RECREATE
    return own


def _declared_class(path: Path, model: type[BaseModel]) -> ChangeClass:
    """Return the class of the deepest field on ``path`` that declares one."""
    found = ChangeClass.IN_PLACE
    for depth, step in enumerate(path):
        owner = model_at(model, path[:depth])
        field = owner.model_fields.get(str(step)) if owner else None
        if field is not None and (declared := change_class(field)) is not None:
            found = declared
    return found


def _pods_follow(
    path: Path, *, before: ResourceSpec, after: ResourceSpec, of: ResourceType
) -> bool:
    """Return whether the field at ``path`` alone makes another pod template."""
    return of.template_of(before) != of.template_of(_with_field(before, path, by=after))


def _with_field(before: ResourceSpec, path: Path, *, by: ResourceSpec) -> ResourceSpec:
    """Return ``before`` with what ``by`` has in the field that ``path`` leads to or through.

    In a deployment, that is a field of the deployment.
    """
    top, *rest = map(str, path)
    inner, other = getattr(before, top), getattr(by, top)
    if top == "deployment" and rest and inner is not None and other is not None:
        other = inner.model_copy(update={rest[0]: getattr(other, rest[0])})
    return before.model_copy(update={top: other})


def _summary(path: Path, old: Any, new: Any, *, of: ResourceType) -> str:
    if of.is_secret(path):
        return "(secret) changed"
    if path == _HOSTED and None in (old, new):
        return "hosted → external" if new is None else "external → hosted"
    if places := _places_in(old, new):
        return ", ".join(
            f"{dotted(at)} {_shown(a, path, of)} → {_shown(b, path, of)}" for at, a, b in places
        )
    return f"{_shown(old, path, of)} → {_shown(new, path, of)}"


def _places_in(old: Any, new: Any) -> list[tuple[Path, Any, Any]]:
    """Return what differs between two lists of as many maps, each place with both values.

    A path ends at a list, for what stands where may have changed; but whoever reads of a change
    wants to know which of twenty targets has another weight.
    """
    if not (isinstance(old, list) and isinstance(new, list) and len(old) == len(new)):
        return []
    if not all(isinstance(each, Mapping) for each in (*old, *new)):
        return []
    return [
        ((at, *path), *values)
        for at, (before, after) in enumerate(zip(old, new, strict=True))
        for path, values in sorted(differences(before, after).items(), key=str)
    ]


def _shown(value: Any, path: Path, of: ResourceType) -> str:
    if value is None:
        return "(unset)"
    text = _words(value, path, of)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _words(value: Any, path: Path, of: ResourceType) -> str:
    """Return a value as people write it; what is secret in it is not told."""
    if of.is_secret(path):
        return "(secret)"
    if isinstance(value, Mapping):
        items = ((key, each) for key, each in value.items() if not _is_empty(each))
        told = ", ".join(f"{key}: {_words(each, (*path, key), of)}" for key, each in items)
        return f"{{{told}}}"
    if isinstance(value, list):
        return f"[{', '.join(_words(each, (), of) for each in value)}]"
    return value if isinstance(value, str) else json.dumps(value)


def _is_empty(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value is None or value == []


def _text(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, default=id)
