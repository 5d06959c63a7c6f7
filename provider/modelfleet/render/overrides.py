"""``deployment.pod_overrides``: a strategic merge patch on the pod template, applied last.

As in Kubernetes: maps are merged, lists are replaced whole unless their elements have a key of
their own (``MERGE_KEYS``), and ``$patch: delete`` or ``$patch: replace`` says otherwise. Two things
are made easier. ``{$patch: delete}`` stands in place of any value, as null would, which means
"not declared" everywhere in a declaration. And a volume or variable that is given another kind of
source loses the former one, of which Kubernetes lets it have one only. What may be patched is for
rules (``spec/override_rules.py``). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelfleet.spec.override_rules import DELETE, MERGE_KEYS, PATCH

_DEFAULTS: Final = {"protocol": "TCP"}
"""What a key means where an element does not have it."""

_ONE_SOURCE: Final = frozenset({"volumes", "env"})
"""Lists of elements that have a name and one source."""


def overridden(template: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``template`` with ``patch`` merged into it; neither argument is changed or shared."""
    result: dict[str, Any] = _merged(template, patch)
    return result


def _merged(original: Any, patch: Any, *, field: str = "") -> Any:
    """Return what ``patch`` makes of ``original``, the value of ``field``."""
    if isinstance(patch, Mapping):
        if not isinstance(original, Mapping) or patch.get(PATCH) == "replace":
            original = {}
        result = {key: _copied(value) for key, value in original.items()}
        for key, value in patch.items():
            if key == PATCH:
                continue
            if value is None or value == DELETE:
                result.pop(key, None)
            else:
                result[key] = _merged(result.get(key), value, field=key)
        return result
    if isinstance(patch, list | tuple):
        keys = MERGE_KEYS.get(field)
        if keys is None or not all(isinstance(each, Mapping) for each in patch):
            return _copied(patch)
        return _merged_list(original or [], patch, keys=keys, field=field)
    return _copied(patch)


def _merged_list(
    original: Sequence[Mapping[str, Any]],
    patch: Sequence[Mapping[str, Any]],
    *,
    keys: tuple[str, ...],
    field: str,
) -> list[Any]:
    """Return the elements of both, those of the original first and in their order."""
    replaces = any(_is_directive(each) and each[PATCH] == "replace" for each in patch)
    result = {} if replaces else {_key_of(each, keys): _copied(each) for each in original}
    for each in patch:
        if _is_directive(each):
            continue
        key = _key_of(each, keys)
        if each.get(PATCH) == "delete":
            result.pop(key, None)
            continue
        before = result.get(key) or {key: _DEFAULTS[key] for key in keys if key in _DEFAULTS}
        if field in _ONE_SOURCE and not (before.keys() & each.keys()) - set(keys):
            before = {}
        result[key] = _merged(before, each)
    return list(result.values())


def _is_directive(element: Mapping[str, Any]) -> bool:
    """Return whether an element of a list is about the list itself: ``{$patch: replace}``."""
    return element.keys() == {PATCH}


def _key_of(element: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    # As text: what should be a name may be anything in a patch that rules refuse.
    return tuple(repr(_number(element.get(key, _DEFAULTS.get(key)))) for key in keys)


def _copied(value: Any) -> Any:
    """Return a copy of ``value`` with 8.0 as 8 and without what is null."""
    if isinstance(value, Mapping):
        return {
            key: _copied(item)
            for key, item in value.items()
            if item is not None and item != DELETE and key != PATCH
        }
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return _number(value)


def _number(value: Any) -> Any:
    """Return ``value``, a whole number without its fraction: programs send numbers as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
