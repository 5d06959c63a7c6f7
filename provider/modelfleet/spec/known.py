"""What is known of a declaration while the rest is not, or is wrong: the same shape, with gaps.

For rules that look into maps and lists: one unknown value must hide no problem of the others. Every
field of every model is there, with its default where it is absent, and ``UNKNOWN`` where nothing
can be said. Knows pydantic models, not what any field means.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from modelfleet.spec.tree import UNKNOWN, IsUnknown, Path, alternatives


def known_part(
    tree: Mapping[str, Any],
    *,
    model: type[BaseModel],
    is_unknown: IsUnknown,
    bad: Collection[Path] = (),
) -> Any:
    """Return the declaration ``tree`` of a ``model`` as maps and lists of what is known.

    Gaps are ``UNKNOWN``: where ``is_unknown`` holds, where a required field is absent, and at the
    paths ``bad``, whose values are not well-formed.
    """
    wrong = frozenset(bad)

    def part(value: Any, annotation: Any, at: Path) -> Any:
        if is_unknown(value) or at in wrong:
            return UNKNOWN
        if isinstance(value, BaseModel):
            return value.model_dump()
        shape = shape_of(annotation, value)
        if shape is None:
            return _leaf(value, annotation)
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            return {name: field_of(value, shape, name, at) for name in shape.model_fields}
        inner = typing.get_args(shape)
        if isinstance(value, Mapping):
            return {key: part(item, inner[1], (*at, str(key))) for key, item in value.items()}
        return [part(item, inner[0], (*at, index)) for index, item in enumerate(value)]

    def field_of(value: Mapping[str, Any], owner: type[BaseModel], name: str, at: Path) -> Any:
        field = owner.model_fields[name]
        if name in value:
            return part(value[name], field.annotation, (*at, name))
        if field.is_required() or (*at, name) in wrong:
            return UNKNOWN
        return part(field.get_default(call_default_factory=True), field.annotation, (*at, name))

    return part(tree, model, ())


def known(values: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the items of a map, or those of a list by their index, of which anything is known."""
    if isinstance(values, Mapping):
        yield from ((key, value) for key, value in values.items() if value is not UNKNOWN)
    elif isinstance(values, list | tuple):
        yield from ((at, value) for at, value in enumerate(values) if value is not UNKNOWN)


def has_gap(value: Any) -> bool:
    """Return whether anything in ``value`` is not known."""
    if isinstance(value, Mapping):
        return any(map(has_gap, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_gap, value))
    return value is UNKNOWN


def _leaf(value: Any, annotation: Any) -> Any:
    """Return ``value`` as the model would hold it: numbers may come as text, for instance."""
    try:
        return _adapter(annotation).validate_python(value)
    except ValidationError:
        return UNKNOWN


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def shape_of(annotation: Any, value: Any) -> Any:
    """Return the model, map or list of ``annotation`` that ``value`` has the form of, else None."""
    for shape in alternatives(annotation):
        origin = typing.get_origin(shape)
        is_model = isinstance(shape, type) and issubclass(shape, BaseModel)
        if isinstance(value, Mapping) and (is_model or origin is dict):
            return shape
        if isinstance(value, list | tuple) and origin in (tuple, list):
            return shape
    return None
