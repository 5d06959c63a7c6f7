"""A declaration without what need not be said. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from modelfleet.spec.tree import model_in


def without_defaults(declared: Mapping[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """Return ``declared`` without the values that ``model`` has by itself, at any depth.

    Fields come in the order of the model, the most telling first.
    """
    result: dict[str, Any] = {}
    fields = model.model_fields if model else {}
    ordered = [*(name for name in fields if name in declared), *declared]
    for name, value in {name: declared[name] for name in ordered}.items():
        field = fields.get(name)
        kept = value
        if field is not None and isinstance(value, Mapping):
            kept = without_defaults(value, _model_of(field.annotation, value))
            if not kept and field.default is None:
                kept = value  # that it is there says something: {"count": 1}, one GPU
        if field is not None and not field.is_required() and _is_default(kept, field.default):
            continue
        result[name] = kept
    return result


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(default, BaseModel):
        return bool(value == {})
    return bool(value == (list(default) if isinstance(default, tuple) else default)) and (
        isinstance(value, bool) == isinstance(default, bool)
    )


def _model_of(annotation: Any, value: Mapping[str, Any]) -> type[BaseModel] | None:
    """Return the model of a map, None for a map of free keys."""
    model = model_in(annotation)
    return model if model is not None and value.keys() <= model.model_fields.keys() else None
