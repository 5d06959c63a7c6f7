"""The shape of a field: what its annotation says, without pydantic's words for it.

One reading of the models, shared by everything that is written from them. Knows the models'
structure only; how a shape is spelled is up to each writer. Pure.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from modelfleet.spec.fields import change_class

SUPPLIED: Final = frozenset({"model_service_name"})
"""Required fields that a program may leave out all the same: the resource's name is the default."""


@dataclass(frozen=True)
class Scalar:
    """A single value; ``type`` is ``str``, ``int``, ``float``, ``bool`` or, for any, ``object``."""

    type: type
    secret: bool = False


@dataclass(frozen=True)
class Words:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Nested:
    """The fields of another model."""

    model: type[BaseModel]


@dataclass(frozen=True)
class ListOf:
    """Any number of ``item``."""

    item: Shape


@dataclass(frozen=True)
class MapOf:
    """Any number of ``value``, by name."""

    key: Shape
    value: Shape


@dataclass(frozen=True)
class OneOf:
    """A value of any of these shapes."""

    shapes: tuple[Shape, ...]


Shape = Scalar | Words | Nested | ListOf | MapOf | OneOf


@dataclass(frozen=True)
class Described:
    """One field: what may stand there and what is said about it.

    ``shape`` leaves out None, which may stand everywhere and means unset. ``change`` is the least
    that changing the field does to a running service.
    """

    name: str
    shape: Shape
    default: Any
    required: bool
    change: str
    doc: str
    bounds: str


def described(model: type[BaseModel]) -> list[Described]:
    """Return the fields of ``model``, in the order they are declared, its own first."""
    hints = typing.get_type_hints(model, include_extras=True)
    fields = sorted(model.model_fields, key=lambda name: name not in model.__annotations__)
    return [_field(name, model.model_fields[name], hints[name]) for name in fields]


def models_under(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return ``model`` and every model nested in it, in the order a reader meets them."""
    found: dict[type[BaseModel], None] = {}
    _collect(model, found)
    return list(found)


def _collect(model: type[BaseModel], found: dict[type[BaseModel], None]) -> None:
    if model not in found:
        found[model] = None
        for field in described(model):
            for nested in _nested_in(field.shape):
                _collect(nested, found)


def _nested_in(shape: Shape) -> Iterator[type[BaseModel]]:
    match shape:
        case Nested(model):
            yield model
        case ListOf(inner) | MapOf(_, inner):
            yield from _nested_in(inner)
        case OneOf(shapes):
            for each in shapes:
                yield from _nested_in(each)


def _field(name: str, field: FieldInfo, annotation: Any) -> Described:
    change = change_class(field)
    return Described(
        name=name,
        shape=_without_none(_shape(annotation)),
        default=None if field.is_required() else field.get_default(call_default_factory=True),
        required=field.is_required() and name not in SUPPLIED,
        change=change.value if change else "",
        doc=field.description or "",
        bounds=_bounds(field),
    )


def _shape(annotation: Any) -> Shape:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _shape(_accepted(annotation))
    if origin in (typing.Union, UnionType):
        return _one_of([_shape(argument) for argument in arguments])
    if origin is Literal:
        return Words(tuple(arguments))
    if origin is tuple:
        return ListOf(_shape(arguments[0]))
    if origin is dict:
        return MapOf(_shape(arguments[0]), _shape(arguments[1]))
    if annotation is Any:
        return Scalar(object)
    if annotation is SecretStr:
        return Scalar(str, secret=True)
    if issubclass(annotation, Enum):
        return Words(tuple(member.value for member in annotation))
    if issubclass(annotation, BaseModel):
        return Nested(annotation)
    return Scalar(annotation)


def _accepted(annotation: Any) -> Any:
    """Return the type that is accepted where ``annotation`` validates into a narrower one."""
    declared, *metadata = typing.get_args(annotation)
    for each in metadata:
        if isinstance(each, BeforeValidator):
            accepted = each.json_schema_input_type
            if accepted is not PydanticUndefined:
                return accepted
    return declared


def _one_of(shapes: list[Shape]) -> Shape:
    flat: dict[Shape, None] = {}
    for shape in shapes:
        flat.update(dict.fromkeys(shape.shapes if isinstance(shape, OneOf) else [shape]))
    return OneOf(tuple(flat)) if len(flat) > 1 else next(iter(flat))


def _without_none(shape: Shape) -> Shape:
    if isinstance(shape, OneOf):
        return _one_of([each for each in shape.shapes if each != Scalar(NoneType)])
    return shape


def _bounds(field: FieldInfo) -> str:
    said = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    return ", ".join(
        f"{words} {value}"
        for name, words in said.items()
        for constraint in field.metadata
        if (value := getattr(constraint, name, None)) is not None
    )
