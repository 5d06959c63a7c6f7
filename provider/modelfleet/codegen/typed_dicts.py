"""The text of ``inputs.py``: for each model the TypedDict that a program writes it as.

Every value may be an Output, and every field may be left out, because ``base=`` may supply it;
what is missing in the end is found by the models themselves. Pure.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

from pydantic import BaseModel

from modelfleet.codegen.shapes import (
    Described,
    ListOf,
    MapOf,
    Nested,
    OneOf,
    Scalar,
    Shape,
    Words,
    described,
    models_under,
)
from modelfleet.spec.referring import ServiceReference

_HEADER = '''\
# Generated from the models in modelfleet.spec. Do not edit; run `make generate`.
"""Argument types of a program: every spec as a TypedDict whose values may be Outputs.

Every field may be left out, because ``base=`` may supply it. None means unset; it takes away
what a base had set. *Change* is the least that changing the field does to a running service:
in_place (nothing restarts), rolling (pods are replaced while others serve), recreate (they are
replaced with downtime) or replace (a new resource).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import pulumi

if TYPE_CHECKING:
    from modelfleet.resources import ModelService
'''

_WIDTH = 95


def args_name(model: type[BaseModel]) -> str:
    """Return the name of the TypedDict for ``model``: DeploymentSpec -> DeploymentArgs."""
    return f"{model.__name__.removesuffix('Spec')}Args"


def typed_dicts_text(roots: Sequence[type[BaseModel]]) -> str:
    """Return a Python module with the TypedDicts of ``roots`` and of what is nested in them."""
    models = list(dict.fromkeys(model for root in roots for model in models_under(root)))
    names = ", ".join(f'"{name}"' for name in sorted(map(args_name, models)))
    classes = "\n\n".join("\n".join(_class_lines(model)) for model in models)
    return f"{_HEADER}\n__all__ = [{names}]\n\n\n{classes}\n"


def default_text(field: Described) -> str:
    """Return what stands for ``field`` when it is not declared, empty where there is nothing."""
    default = field.default
    if isinstance(default, Enum):
        return str(default.value)
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, str | int | float):
        return str(default)
    return "empty" if isinstance(default, Sequence | Mapping) else ""


def _class_lines(model: type[BaseModel]) -> Iterator[str]:
    yield f"class {args_name(model)}(TypedDict, total=False):"
    first, *rest = inspect.cleandoc(model.__doc__ or "").splitlines()
    yield f'    """{first}'
    yield from (f"    {line}".rstrip() for line in rest)
    yield '    """'
    for field in described(model):
        yield ""
        yield f"    {field.name}: pulumi.Input[{_annotation(field.shape)} | None]"
        yield from _docstring(_said(field))


def _said(field: Described) -> str:
    default = default_text(field)
    said = [field.doc, f"{field.bounds.capitalize()}." if field.bounds else ""]
    said += ["Required." if field.required else f"Default: {default}." if default else ""]
    said += [f"Change: {field.change}."]
    return " ".join(part for part in said if part)


def _docstring(text: str) -> Iterator[str]:
    first, *rest = textwrap.wrap(f'"""{text}', _WIDTH - 3)
    yield f"    {first}" if rest else f'    {first}"""'
    yield from (f"    {line}" for line in rest)
    if rest:
        yield '    """'


def _annotation(shape: Shape) -> str:
    match shape:
        case Scalar(kind):
            return "Any" if kind is object else kind.__name__
        case Words(words):
            return f"Literal[{', '.join(map(repr, words))}]"
        case Nested(model):
            # Where a service is referred to, a program passes the resource itself.
            resource = "ModelService | " if model is ServiceReference else ""
            return f"{resource}{args_name(model)}"
        case ListOf(item):
            return f"Sequence[pulumi.Input[{_annotation(item)}]]"
        case MapOf(key, value):
            return f"Mapping[{_annotation(key)}, pulumi.Input[{_annotation(value)} | None]]"
        case OneOf(shapes):
            return " | ".join(map(_annotation, shapes))
