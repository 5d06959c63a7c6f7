"""What changes between a prior and a desired declaration, and what each change does to pods.

Pure: works on declarations, never asks a cluster. An unknown value counts as a change of its field
that never asks for a replacement; what is known beside it is compared as if it stayed the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from pydantic import ValidationError

from modelfleet.render import pod_template_of
from modelfleet.render.deployment import strategy_of
from modelfleet.render.secret import secret_env_values
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.fields import ChangeClass, change_class
from modelfleet.spec.service import ModelServiceSpec
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

SECRET_PATHS: Final[tuple[Path, ...]] = (
    ("provider_settings", "api_key"),
    ("deployment", "secret_env"),
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
    pair = _comparable(prior, desired, unknown=unknown, is_unknown=is_unknown)
    found = differences(pair.prior, pair.desired)
    for path in pair.unknown:
        # It is told as part of a map that is new, or else as a change of its own.
        changed = next((each for each in found if path[: len(each)] == each), path)
        found[changed] = (_at(pair.prior, changed), _NOT_KNOWN_YET)
    changes = []
    for path, (old, new) in found.items():
        change = _class(path, before=pair.before, after=pair.after)
        if change is ChangeClass.REPLACE and path in pair.unknown:
            change = ChangeClass.IN_PLACE
        changes.append(Change(dotted(path), change, _summary(path, old, new)))
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


def has_downtime(prior: DeploymentSpec, desired: DeploymentSpec) -> bool:
    """Return whether replacing the pods of ``prior`` leaves none serving for a while.

    A service that is stopped, before or after, has no pods to miss.
    """
    if not prior.replicas or not desired.replicas:
        return False
    rolling = strategy_of(desired).get("rollingUpdate")
    return rolling is None or rolling["maxUnavailable"] >= desired.replicas


@dataclass(frozen=True)
class _Pair:
    """Two declarations without what is ``unknown``: plain trees and, where they are, specs."""

    prior: Mapping[str, Any]
    desired: Mapping[str, Any]
    unknown: set[Path]
    before: ModelServiceSpec | None = None
    after: ModelServiceSpec | None = None


def _comparable(
    prior: Mapping[str, Any],
    desired: Mapping[str, Any],
    *,
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
        before, after = map(_spec, trees)
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


def _spec(tree: Mapping[str, Any]) -> ModelServiceSpec | None:
    """Return the spec, None where a required value is missing, or another release wrote it."""
    try:
        return ModelServiceSpec.model_validate(tree)
    except ValidationError:
        return None


def _plain(spec: ModelServiceSpec) -> dict[str, Any]:
    """Return every field of ``spec`` as a JSON value, secrets in plain text."""
    tree = spec.model_dump(mode="json")
    settings, deployment = spec.provider_settings, spec.deployment
    if settings is not None and settings.api_key is not None:
        tree["provider_settings"]["api_key"] = settings.api_key.get_secret_value()
    if deployment is not None:
        tree["deployment"]["secret_env"] = secret_env_values(deployment)
    return tree


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
    path: Path, *, before: ModelServiceSpec | None, after: ModelServiceSpec | None
) -> ChangeClass:
    """Return what a change at ``path`` does to pods; by its field alone where specs are missing."""
    if path == _HOSTED:
        return ChangeClass.REPLACE  # hosted has become external or the other way round
    own = _declared_class(path)
    if before is None or after is None or before.deployment is None or after.deployment is None:
        return own
    if own is ChangeClass.IN_PLACE and _pods_follow(path, before=before, after=after):
        own = ChangeClass.ROLLING
    if own is ChangeClass.ROLLING and has_downtime(before.deployment, after.deployment):
        return ChangeClass.RECREATE
    return own


def _declared_class(path: Path) -> ChangeClass:
    """Return the class of the deepest field on ``path`` that declares one."""
    found = ChangeClass.IN_PLACE
    for depth, step in enumerate(path):
        model = model_at(ModelServiceSpec, path[:depth])
        field = model.model_fields.get(str(step)) if model else None
        if field is not None and (declared := change_class(field)) is not None:
            found = declared
    return found


def _pods_follow(path: Path, *, before: ModelServiceSpec, after: ModelServiceSpec) -> bool:
    """Return whether the field at ``path`` alone makes another pod template."""
    return pod_template_of(before) != pod_template_of(_with_field(before, path, of=after))


def _with_field(before: ModelServiceSpec, path: Path, *, of: ModelServiceSpec) -> ModelServiceSpec:
    top, *rest = map(str, path)
    if top == "deployment" and rest and before.deployment and of.deployment:
        value = getattr(of.deployment, rest[0])
        deployment = before.deployment.model_copy(update={rest[0]: value})
        return before.model_copy(update={"deployment": deployment})
    return before.model_copy(update={top: getattr(of, top)})


def _summary(path: Path, old: Any, new: Any) -> str:
    if any(path[: len(secret)] == secret for secret in SECRET_PATHS):
        return "(secret) changed"
    if path == _HOSTED and None in (old, new):
        return "hosted → external" if new is None else "external → hosted"
    return f"{_shown(old, path)} → {_shown(new, path)}"


def _shown(value: Any, path: Path) -> str:
    if value is None:
        return "(unset)"
    text = _words(value, path)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _words(value: Any, path: Path) -> str:
    """Return a value as people write it; what is secret in it is not told."""
    if path in SECRET_PATHS:
        return "(secret)"
    if isinstance(value, Mapping):
        items = ((key, each) for key, each in value.items() if each not in (None, {}, []))
        return f"{{{', '.join(f'{key}: {_words(each, (*path, key))}' for key, each in items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_words(each, ()) for each in value)}]"
    return value if isinstance(value, str) else json.dumps(value)


def _text(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, default=id)
