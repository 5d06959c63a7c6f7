"""A declaration as it arrives: a nested mapping in which any value may still be unknown.

Gives rules one way to look at it: by dotted path, with the model's defaults filled in, and with
unknowns told apart from absent values. Knows pydantic models, not what any field means.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel

Path = tuple[str | int, ...]
IsUnknown = Callable[[object], bool]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class _Sentinel(Enum):
    UNKNOWN = "unknown"


UNKNOWN: Final = _Sentinel.UNKNOWN
"""Stands for a value that a rule cannot know before the resources it comes from exist."""


def never_unknown(_: object) -> bool:
    """Say of every value that it is known: for declarations that do not come from an engine."""
    return False


def dotted(path: Path) -> str:
    """Return ``path`` as users write it: ``a.b[0]["c/d"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _IDENTIFIER.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def pruned(value: Any) -> Any:
    """Return ``value`` without the keys whose value is None: unset and absent are one thing."""
    if isinstance(value, Mapping):
        return {key: pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [pruned(item) for item in value]
    return value


def with_values(tree: Mapping[str, Any], values: Mapping[Path, Any]) -> dict[str, Any]:
    """Return ``tree`` with ``values`` at their paths, and nothing where a value is None.

    Paths lead through mappings only. The argument is left alone.
    """
    result = dict(tree)
    for (step, *rest), value in ((path, values[path]) for path in values):
        key, inner = str(step), result.get(str(step))
        if rest and (value is not None or isinstance(inner, Mapping)):
            below = inner if isinstance(inner, Mapping) else {}
            result[key] = with_values(below, {tuple(rest): value})
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def unknown_paths(value: Any, *, is_unknown: IsUnknown, at: Path = ()) -> Iterator[Path]:
    """Yield the path of every unknown in ``value``."""
    if is_unknown(value):
        yield at
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from unknown_paths(item, is_unknown=is_unknown, at=(*at, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from unknown_paths(item, is_unknown=is_unknown, at=(*at, index))


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first pydantic model inside a field's annotation."""
    return _model_in(annotation)


@functools.cache  # every rule asks it of every field on its path
def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        if (found := model_in(argument)) is not None:
            return found
    return None


def model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """Return the model whose fields stand under ``path``, None below free-form values."""
    current: Any = model
    for step in path:
        current = current if isinstance(step, int) else _below(current, step)
    return _direct_model(current)


def _below(annotation: Any, step: str) -> Any:
    """Return the annotation of what is called ``step`` in a model or a map, else None."""
    owner, items = _direct_model(annotation), _items_of(annotation)
    if owner is None or (items is not None and step not in owner.model_fields):
        return items
    field = owner.model_fields.get(step)
    return field.annotation if field else None


@functools.cache
def _direct_model(annotation: Any) -> type[BaseModel] | None:
    """Return the first model in ``annotation`` that is not the value of a map."""
    direct = (model_in(each) for each in alternatives(annotation) if not _is_map(each))
    return next(filter(None, direct), None)


@functools.cache
def _items_of(annotation: Any) -> Any:
    """Return the annotation of the values of the first map in ``annotation``, None without one."""
    maps = (typing.get_args(each) for each in alternatives(annotation) if _is_map(each))
    return next((arguments[1] for arguments in maps if arguments), None)


def _is_map(annotation: Any) -> bool:
    return typing.get_origin(annotation) is dict


def alternatives(annotation: Any) -> Iterator[Any]:
    """Yield what a field may hold, without marks and without the others."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from alternatives(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for each in typing.get_args(annotation):
            yield from alternatives(each)
    else:
        yield annotation


def value_in(values: Any, path: Path) -> Any:
    """Return the value at ``path`` of plain and complete values; None below what is absent.

    Below what is ``UNKNOWN``, all is.
    """
    for step in path:
        if not isinstance(values, dict):
            return UNKNOWN if values is UNKNOWN else None
        values = values.get(step)
    return values


def value_at(
    tree: Any, path: Path, *, model: type[BaseModel], is_unknown: IsUnknown, deep: bool = True
) -> Any:
    """Return the value at ``path``, the model's default where absent, or ``UNKNOWN``.

    A path below something that is absent and has no default is None. A value that holds an unknown
    is unknown itself, or is returned with it where not ``deep``.
    """
    current = tree
    annotation: Any = model
    for step in map(str, path):
        if is_unknown(current):
            return UNKNOWN
        if isinstance(current, BaseModel):
            current = getattr(current, step, None)
            continue
        if not isinstance(current, Mapping):
            return None
        owner = _direct_model(annotation)
        field = owner.model_fields.get(step) if owner else None
        annotation = _below(annotation, step)
        if step in current:
            current = current[step]
        elif field is not None and not field.is_required():
            current = field.get_default(call_default_factory=True)
        else:
            return None
    unknown = next(unknown_paths(current, is_unknown=is_unknown), None)
    # The path of a value within itself is empty: then it is unknown as a whole.
    return UNKNOWN if unknown is not None and (deep or unknown == ()) else current
