"""What changes between a prior and a desired declaration, and what each change does to pods.

Pure: works on declarations, never asks a cluster. Unknown values count as changed and are
classed by their field alone; they never ask for a replacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from deepdiff import DeepDiff
from pydantic import SecretStr, ValidationError

from modelfleet.render import pod_template_of
from modelfleet.spec.deployment import DeploymentSpec
from modelfleet.spec.fields import ChangeClass, change_class
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import IsUnknown, Path, dotted, model_at, never_unknown, pruned

_SECRET_PATHS: Final = (("provider_settings", "api_key"), ("deployment", "secret_env"))

WORDS: Final[Mapping[ChangeClass, str]] = {
    ChangeClass.IN_PLACE: "in place",
    ChangeClass.ROLLING: "rolling, pods are replaced while others serve",
    ChangeClass.RECREATE: "with downtime, no pod serves while pods are replaced",
    ChangeClass.REPLACE: "replaces the service",
}


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
    """Return the changes from ``prior`` to ``desired``, two raw declarations, sorted by path."""
    prior, desired = pruned(prior), pruned(desired)
    if prior == desired:
        return []
    before, after = _spec(prior), _spec(desired)
    if before is None or after is None:
        trees = (prior, desired)
    else:
        trees = (before.model_dump(), after.model_dump())
    return sorted(
        Change(
            path=dotted(path),
            change=_change(path, old, new, before=before, after=after, is_unknown=is_unknown),
            summary=_summary(path, old, new, is_unknown=is_unknown),
        )
        for path, old, new in _differences(*trees)
    )


def heaviest(changes: list[Change]) -> ChangeClass | None:
    """Return the heaviest class among ``changes``, None for no change."""
    return max((each.change for each in changes), key=lambda each: each.weight, default=None)


def _spec(tree: Mapping[str, Any]) -> ModelServiceSpec | None:
    try:
        return ModelServiceSpec.model_validate(tree)
    except ValidationError:
        return None


def _differences(prior: Any, desired: Any) -> Iterator[tuple[Path, Any, Any]]:
    """Yield path, old and new value of each difference; lists are compared whole."""
    found: dict[Path, tuple[Any, Any]] = {}
    deep = DeepDiff(prior, desired, view="tree", ignore_numeric_type_changes=True)
    for entries in deep.values():
        for entry in entries:
            path: Path = ()
            for step in entry.path(output_format="list"):
                if isinstance(step, int):
                    break
                path = (*path, str(step))
            # A key added to or removed from a whole map is a difference of that key alone.
            found[path] = (_at(prior, path), _at(desired, path))
    for path, (old, new) in found.items():
        if isinstance(old, Mapping) != isinstance(new, Mapping) and len(path) > 1:
            yield from _leaves(path, old, new)
        else:
            yield path, old, new


def _leaves(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Any, Any]]:
    old_map, new_map = (value if isinstance(value, Mapping) else {} for value in (old, new))
    for key in old_map.keys() | new_map.keys():
        yield (*path, key), old_map.get(key), new_map.get(key)
    if not old_map and not new_map:
        yield path, old, new


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(step)
    return tree


def _change(
    path: Path,
    old: Any,
    new: Any,
    *,
    before: ModelServiceSpec | None,
    after: ModelServiceSpec | None,
    is_unknown: IsUnknown,
) -> ChangeClass:
    own = _declared_class(path)
    if path == ("deployment",) and (old is None) != (new is None) and not is_unknown(new):
        return ChangeClass.REPLACE
    if own is ChangeClass.REPLACE and (is_unknown(old) or is_unknown(new)):
        return ChangeClass.IN_PLACE
    if before is None or after is None:
        return own
    if own is ChangeClass.IN_PLACE and _template_follows(path, before=before, after=after):
        own = ChangeClass.ROLLING
    if own is ChangeClass.ROLLING and after.deployment and has_downtime(after.deployment):
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


def _template_follows(path: Path, *, before: ModelServiceSpec, after: ModelServiceSpec) -> bool:
    """Return whether this change alone makes another pod template."""
    if before.deployment is None or after.deployment is None:
        return False
    top = str(path[0])
    only_this = _with(before, path[1:], source=after, top=top)
    return pod_template_of(before) != pod_template_of(only_this)


def _with(
    before: ModelServiceSpec, rest: Path, *, source: ModelServiceSpec, top: str
) -> ModelServiceSpec:
    if top == "deployment" and rest and before.deployment and source.deployment:
        name = str(rest[0])
        value = getattr(source.deployment, name)
        deployment = before.deployment.model_copy(update={name: value})
        return before.model_copy(update={"deployment": deployment})
    return before.model_copy(update={top: getattr(source, top)})


def has_downtime(deployment: DeploymentSpec) -> bool:
    """Return whether replacing the pods of ``deployment`` leaves none serving for a while."""
    strategy, replicas = deployment.strategy, deployment.replicas
    if strategy.type == "recreate":
        return True
    default = 0 if replicas <= 1 else 1
    unavailable = default if strategy.max_unavailable is None else strategy.max_unavailable
    return replicas > 0 and unavailable >= replicas


def _summary(path: Path, old: Any, new: Any, *, is_unknown: IsUnknown) -> str:
    if any(path[: len(secret)] == secret for secret in _SECRET_PATHS):
        return "(secret) changed"
    return f"{_shown(old, is_unknown=is_unknown)} → {_shown(new, is_unknown=is_unknown)}"


def _shown(value: Any, *, is_unknown: IsUnknown) -> str:
    if is_unknown(value):
        return "(known after up)"
    if value is None:
        return "(unset)"
    if isinstance(value, SecretStr):
        return "(secret)"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping):
        return "{…}"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
