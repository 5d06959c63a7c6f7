"""The smallest ``pod_overrides`` that make one pod template the same as another: their inverse.

Speaks the language of :mod:`modelfleet.render.overrides`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.cluster.pod_defaults import is_same_value, with_defaults, without_defaults
from modelfleet.spec.override_rules import DELETE, MERGE_KEYS, PATCH

_NEVER_REPLACED: Final = frozenset({"containers"})
"""Lists whose order is not kept: the engine's container may not be taken away, not even to be put
elsewhere."""

_REPLACED_LIST: Final = 20

_QUANTITIES: Final = frozenset({"limits", "requests"})
_KEY_DEFAULTS: Final = {"protocol": "TCP"}
_NOTHING: Final[Mapping[str, Any]] = {}

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Target:
    """A pod template to arrive at: as it is stored, and without what the API server adds."""

    stored: Mapping[str, Any]
    short: Mapping[str, Any]

    @classmethod
    def of(cls, template: Mapping[str, Any]) -> Target:
        """Return the target that ``template`` is; not cheap, so do it once."""
        return cls(with_defaults(template), without_defaults(template))


def overrides_between(rendered: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """Return what turns the template ``rendered`` into ``target``, empty where it is that.

    What the API server adds by itself is in neither the comparison nor the result.
    """
    patch = _map_patch(with_defaults(rendered), target.stored, short=target.short)
    # The server keeps this old name of serviceAccountName, and fills it in.
    (patch.get("spec") or {}).pop("serviceAccount", None)
    return {name: value for name, value in patch.items() if value}


def size_of(patch: Any) -> int:
    """Return how many values a patch sets or takes away; a list it replaces counts for more.

    What fields say of such a list has no effect.
    """
    if patch == {PATCH: "replace"}:
        return _REPLACED_LIST
    if isinstance(patch, Mapping):
        if patch.get(PATCH) == "delete":
            return 1
        return sum(size_of(value) for value in patch.values()) or 1
    if isinstance(patch, Sequence) and not isinstance(patch, str):
        return sum(size_of(value) for value in patch) or 1
    return 1


def _map_patch(
    rendered: Mapping[str, Any],
    live: Mapping[str, Any],
    *,
    short: Mapping[str, Any],
    field: str = "",
) -> dict[str, Any]:
    """Return the patch of a map; ``short`` is ``live`` without what need not be said."""
    patch: dict[str, Any] = {}
    for key in [*rendered, *(key for key in live if key not in rendered)]:
        before, after = rendered.get(key), live.get(key)
        if before == after or (field in _QUANTITIES and is_same_value(before, after)):
            continue
        brief = short.get(key, after)
        if after is None or (isinstance(before, Mapping) and key not in short):
            patch[key] = dict(DELETE)  # in the second case the server puts its own there
        elif before is None:
            patch[key] = brief
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            below = brief if isinstance(brief, Mapping) else _NOTHING
            if changed := _map_patch(before, after, short=below, field=key):
                patch[key] = changed
        elif isinstance(after, list) and key in MERGE_KEYS:
            keeps_order = key not in _NEVER_REPLACED
            keys = MERGE_KEYS[key]
            if elements := _list_patch(before, after, short=brief, keys=keys, ordered=keeps_order):
                patch[key] = elements
        else:
            patch[key] = brief
    return patch


def _list_patch(
    rendered: Sequence[Any],
    live: Sequence[Any],
    *,
    short: Sequence[Any],
    keys: tuple[str, ...],
    ordered: bool,
) -> list[Any]:
    """Return the patch of a list whose elements have keys; the whole list, where it is ``ordered``
    and the elements are not in the order that merging leaves them in.
    """
    before = {_key_of(each, keys): each for each in rendered}
    after = {_key_of(each, keys): each for each in live}
    brief = {_key_of(each, keys): each for each in short}
    kept = [key for key in before if key in after]
    if ordered and [*kept, *(key for key in after if key not in before)] != list(after):
        return [{PATCH: "replace"}, *short]
    patch: list[Any] = []
    for key, element in before.items():
        names = {name: element[name] for name in keys if name in element}
        if key not in after:
            patch.append({**names, PATCH: "delete"})
        elif changed := _map_patch(element, after[key], short=brief.get(key, _NOTHING)):
            patch.append({**_said(names), **changed})
    return [*patch, *(brief[key] for key in after if key not in before)]


def _said(names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if _KEY_DEFAULTS.get(name) != value}


def _key_of(element: Mapping[str, Any], keys: tuple[str, ...]) -> Key:
    return tuple(element.get(key, _KEY_DEFAULTS.get(key)) for key in keys)
