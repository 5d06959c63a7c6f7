"""Paths into objects, and the FieldsV1 notation in which the API server writes sets of them.

A set is a tree: ``f:name`` is a field, ``k:{"name":"x"}`` the item of a list with that key,
``v:"x"`` a value of a list that is a set, ``.`` the place itself, ``{}`` an end: all below it.
The tree also tells what no object tells: which lists are keyed and which are one value. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, Final

Fields = Mapping[str, Any]
"""A FieldsV1 tree, as on the wire."""


@dataclass(frozen=True)
class Key:
    """An item of a keyed list, such as the container named ``engine``."""

    fields: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return f"[{','.join(f'{name}={value}' for name, value in self.fields)}]"


@dataclass(frozen=True)
class Member:
    """A value of a list that is a set, such as a finalizer."""

    value: Any

    def __str__(self) -> str:
        return f"[{self.value}]"


Part = str | Key | Member
Path = tuple[Part, ...]


class _Absent:
    """What is found where there is nothing: a JSON null is something."""

    def __repr__(self) -> str:
        return "nothing"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Absent()

_KEY_DEFAULTS: Final = {"protocol": "TCP"}
"""Keys that may be left out of an item: what the API server puts there."""

_NOT_MANAGED: Final = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
     "managedFields"}
)  # fmt: skip


def path_text(path: Path) -> str:
    """Return a path as people write it: ``spec.template.spec.containers[name=engine].image``."""
    text = ""
    for part in path:
        text += f".{part}" if isinstance(part, str) and text else str(part)
    return text


def leaves(desired: Mapping[str, Any], *, shape: Fields) -> Iterator[tuple[Path, Any]]:
    """Yield the fields ``desired`` sets, each as small as ``shape`` allows, without its identity.

    Where ``shape`` says nothing, lists count as one value: nobody has written into them yet.
    """
    for key, value in desired.items():
        if key == "metadata":
            named = {name: each for name, each in value.items() if name not in _NOT_MANAGED}
            if named:
                yield from _leaves(named, shape.get("f:metadata", _UNKNOWN), ("metadata",))
        elif key not in ("apiVersion", "kind", "status"):
            yield from _leaves(value, shape.get(f"f:{key}", _UNKNOWN), (key,))


_UNKNOWN: Final[Fields] = {"?": {}}
"""The shape of what nobody owns a part of (an empty tree would mean: one value)."""


def _leaves(value: Any, shape: Fields, path: Path) -> Iterator[tuple[Path, Any]]:
    if not shape or not value or not isinstance(value, dict | list):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, shape.get(f"f:{key}", _UNKNOWN), (*path, key))
    elif names := key_names(shape):
        children = {part: child for part, child in _children(shape) if isinstance(part, Key)}
        for item in value:
            key = key_of(item, names)
            yield from _leaves(item, children.get(key, _UNKNOWN), (*path, key))
    elif any(key.startswith("v:") for key in shape):
        for item in value:
            yield (*path, Member(item)), item
    else:
        yield path, value


def members(fields: Fields, *, path: Path = ()) -> Iterator[Path]:
    """Yield every path in the set ``fields``, the items of keyed lists left out.

    That an item is there follows from the fields within it, which name it.
    """
    if not fields:
        yield path
    for part, child in _children(fields):
        yield from members(child, path=(*path, part))


def contains(fields: Fields, path: Path) -> bool:
    """Say whether the set ``fields`` has ``path``, itself or with something around or in it."""
    for depth, part in enumerate(path):
        if not fields:
            return depth > 0  # an end: everything below belongs to it
        child = next((child for found, child in _children(fields) if found == part), None)
        if child is None:
            return False
        fields = child
    return True


def union(sets: Iterable[Fields]) -> Fields:
    """Return the set of all paths in any of ``sets``."""
    return reduce(_both, (fields for fields in sets if fields), {})


def _both(first: Fields, second: Fields, *, is_top: bool = True) -> Fields:
    if not first or not second:
        # Within a tree an empty one is the place itself, at the top it is no path at all.
        return {**first, **second} if is_top or first == second else {".": {}, **first, **second}
    return {
        key: _both(first[key], second[key], is_top=False)
        if key in first and key in second
        else first.get(key, second.get(key))
        for key in {**first, **second}
    }


def value_at(obj: Any, path: Path) -> Any:
    """Return what ``obj`` has at ``path``, or ABSENT."""
    for part in path:
        if isinstance(part, str):
            obj = obj.get(part, ABSENT) if isinstance(obj, dict) else ABSENT
        elif isinstance(part, Key):
            names = [name for name, _ in part.fields]
            items = obj if isinstance(obj, list) else []
            obj = next((item for item in items if key_of(item, names) == part), ABSENT)
        else:
            found = isinstance(obj, list) and part.value in obj
            obj = part.value if found else ABSENT
        if obj is ABSENT:
            break
    return obj


def key_names(shape: Fields) -> list[str]:
    """Return the names that key a list of this shape, or nothing if it is not keyed."""
    for part, _ in _children(shape):
        if isinstance(part, Key):
            return [name for name, _ in part.fields]
    return []


def key_of(item: Any, names: list[str]) -> Key:
    """Return the key of an item of a list that is keyed by ``names``."""
    fields = item if isinstance(item, dict) else {}
    return Key(tuple((name, fields.get(name, _KEY_DEFAULTS.get(name))) for name in names))


def _children(fields: Fields) -> Iterator[tuple[Part, Fields]]:
    for key, child in fields.items():
        part = _part(key)
        if part is not None:
            yield part, child


@lru_cache(maxsize=10_000)  # a fleet has the same few hundred in every one of its objects
def _part(key: str) -> Part | None:
    """Return the step into an object that a key of a FieldsV1 tree stands for, if it is one."""
    kind, _, rest = key.partition(":")
    if kind == "f":
        return rest
    if kind == "k":
        return Key(tuple(sorted(json.loads(rest).items())))
    return Member(json.loads(rest)) if kind == "v" else None
