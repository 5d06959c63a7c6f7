"""The two spellings of fields, snake_case in Python and camelCase on the wire, and what they hold.

Goes by the models of the spec, whose names are AgentRun's: names of fields change their spelling,
keys of free maps (environment, tags, routes, callers) never. Pure.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from modelfleet.agentrun.fields import FIELDS, ResourceField, Source
from modelfleet.errors import Problem
from modelfleet.resource_types import type_of
from modelfleet.spec.known import shape_of
from modelfleet.spec.refused import reason_for, snake_case
from modelfleet.spec.tree import Path, dotted
from modelfleet.spec.validation import reason_in_words

_UNKNOWN: Final = "unknown field"
_STEP: Final = re.compile(r'\[(\d+)\]|\["([^"]*)"\]|([^.\[\]]+)')


class Reading:
    """One body being read: fields in snake_case, and what is wrong, by the names in the body."""

    def __init__(self, kind: str, *, update: bool) -> None:
        """Take the fields that a create, or an update, of that ``kind`` takes."""
        self._model: type[BaseModel] = type_of(kind).model
        self._fields = FIELDS[kind]
        self._update = update
        self.problems: list[Problem] = []

    def read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of ``body``; one that is refused is left out, and a problem."""
        taken = {each.name: each for each in self._fields.values() if self._takes(each)}
        found: dict[str, Any] = {}
        for written, name in self._names(body, taken, ()):
            value, field = body[written], self._model.model_fields.get(name)
            if name in taken and field is not None:
                found[name] = self._value(value, _annotation(field), (written,), (name,))
            else:
                self._refuse(value, (written,), (name,), owner=self._model, known=taken)
        return found

    def _takes(self, field: ResourceField) -> bool:
        return field.update if self._update else field.create

    def _names(
        self, body: Mapping[str, Any], known: typing.Iterable[str], at: Path
    ) -> Iterator[tuple[str, str]]:
        """Yield each name as it is written, and in snake_case where that is clear."""
        plain = {to_camel(name): name for name in known}
        seen: dict[str, str] = {}
        for written in body:
            name = plain.get(written, written)
            if name in seen:
                told = f"stands there as {seen[name]} too; keep one of them"
                self.problems.append(Problem(dotted((*at, written)), told))
                continue
            seen[name] = written
            yield written, name if name in plain.values() else snake_case(written)

    def _value(self, value: Any, annotation: Any, written: Path, plain: Path) -> Any:
        if value is None:
            return None
        shape = shape_of(annotation, value)
        if shape is None:
            self._check(value, annotation, written)
            return value
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            return self._part(value, shape, written, plain)
        inner = typing.get_args(shape)
        if isinstance(value, Mapping):
            self._check(dict.fromkeys(value), dict[inner[0], Any], written)  # type: ignore[valid-type]
            return {
                key: self._value(item, inner[1], (*written, key), (*plain, key))
                for key, item in value.items()
            }
        return [
            self._value(item, inner[0], (*written, at), (*plain, at))
            for at, item in enumerate(value)
        ]

    def _part(
        self, part: Mapping[str, Any], model: type[BaseModel], written: Path, plain: Path
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for own, name in self._names(part, model.model_fields, written):
            at, value = (*written, own), part[own]
            field = model.model_fields.get(name)
            if field is not None:
                found[name] = self._value(value, _annotation(field), at, (*plain, name))
            else:
                self._refuse(value, at, (*plain, name), owner=model, known=model.model_fields)
        return found

    def _refuse(
        self,
        value: Any,
        written: Path,
        plain: Path,
        *,
        owner: type[BaseModel],
        known: typing.Iterable[str],
    ) -> None:
        path = ".".join(step for step in plain if isinstance(step, str))
        reason = reason_for(path, known=known, model=self._model, owner=owner)
        field = self._fields.get(str(plain[0])) if len(plain) == 1 else None
        if field is not None and (field.source is Source.DECLARED or reason.startswith(_UNKNOWN)):
            reason = field.refusal
        if value is None and not reason.startswith(_UNKNOWN):
            return  # known, and not asked for
        self.problems.append(Problem(dotted(written), reason))

    def _check(self, value: Any, annotation: Any, written: Path) -> None:
        try:
            _adapter(annotation).validate_python(value)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            step = detail["loc"][0] if detail["loc"] else None
            inside = isinstance(value, Mapping) and step in value
            at = (*written, str(step)) if inside else written
            self.problems.append(Problem(dotted(at), reason_in_words(detail)))


def on_the_wire(name: str, value: Any, *, kind: str) -> Any:
    """Return the value of the field ``name`` with the names inside of it in camelCase."""
    field = type_of(kind).model.model_fields.get(name)
    return value if field is None else _camel(value, _annotation(field))


def wire_path(path: str, *, kind: str) -> str:
    """Return a path that names fields in snake_case as it is written on the wire."""
    annotation: Any = type_of(kind).model
    written: list[str | int] = []
    for step in steps_of(path):
        shape = shape_of(annotation, [] if isinstance(step, int) else {})
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            field = shape.model_fields.get(str(step))
            annotation = Any if field is None else _annotation(field)
            written.append(to_camel(str(step)))
        else:
            inner = typing.get_args(shape)
            annotation = inner[1 if isinstance(step, str) else 0] if inner else Any
            written.append(step)
    return dotted(tuple(written))


def steps_of(path: str) -> Path:
    """Return the steps of a dotted ``path``, as :func:`dotted` writes one."""
    steps = (match.groups() for match in _STEP.finditer(path))
    return tuple(int(at) if at is not None else key or name for at, key, name in steps)


def _camel(value: Any, annotation: Any) -> Any:
    shape = shape_of(annotation, value)
    if shape is None:
        return value
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        fields = shape.model_fields
        return {
            to_camel(name) if name in fields else name: (
                _camel(item, _annotation(fields[name])) if name in fields else item
            )
            for name, item in value.items()
        }
    inner = typing.get_args(shape)
    if isinstance(value, Mapping):
        return {key: _camel(item, inner[1]) for key, item in value.items()}
    return [_camel(item, inner[0]) for item in value]


def _annotation(field: Any) -> Any:
    """Return what a field may hold, its bounds included."""
    if not field.metadata:
        return field.annotation
    return Annotated[(field.annotation, *field.metadata)]


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)
