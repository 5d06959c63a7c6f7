"""The two spellings of fields, snake_case in Python and camelCase on the wire, and what they hold.

Goes by the models of the spec, whose names are AgentRun's: names of fields change their spelling,
keys of free maps (environment, tags, routes, callers) never. Pure.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeGuard

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from modelfleet.agentrun.fields import FIELDS, ResourceField, Source
from modelfleet.agentrun.sendable import unsendable
from modelfleet.errors import Problem
from modelfleet.resource_types import type_of
from modelfleet.spec.known import shape_of
from modelfleet.spec.refused import reason_for, snake_case
from modelfleet.spec.tree import Path, dotted
from modelfleet.spec.validation import reason_in_words

_UNKNOWN: Final = "unknown field"
_STEP: Final = re.compile(r'\[(\d+)\]|\["(.*?)"\]|([^.\[\]]+)', re.DOTALL)


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
        self.problems += unsendable(body)
        if self.problems:
            return {}
        taken = {each.name: each for each in self._fields.values() if self._takes(each)}
        found: dict[str, Any] = {}
        parts = _parts(self._model)
        for written, name in self._names(body, taken, ()):
            value = body[written]
            if name is not None:
                found[name] = self._value(value, parts[name].annotation, (written,), (name,))
            else:
                plain = (snake_case(written),)
                self._refuse(value, (written,), plain, owner=self._model, known=taken)
        return found

    def _takes(self, field: ResourceField) -> bool:
        return field.update if self._update else field.create

    def _names(
        self, body: Mapping[str, Any], known: typing.Iterable[str], at: Path
    ) -> Iterator[tuple[str, str | None]]:
        """Yield each name as it is written, and the field that is, None where it is none."""
        names = {spelled: name for name in known for spelled in (name, to_camel(name))}
        seen: dict[str, str] = {}
        for written in body:
            name = names.get(written)
            if name in seen:
                told = f"stands there as {seen[name]} too; keep one of them"
                self.problems.append(Problem(dotted((*at, written)), told))
                continue
            if name is not None:
                seen[name] = written
            yield written, name

    def _value(self, value: Any, annotation: Any, written: Path, plain: Path) -> Any:
        if value is None:
            return None
        form = _shape_for(value, annotation)
        if form is None:
            self._check(value, annotation, written)
            return value
        if _is_model(form):
            return self._part(value, form, written, plain)
        inner = typing.get_args(form)
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
            if name is not None:
                annotation = _parts(model)[name].annotation
                found[name] = self._value(value, annotation, at, (*plain, name))
            else:
                below = (*plain, snake_case(own))
                self._refuse(value, at, below, owner=model, known=model.model_fields)
        return found

    def _refuse(
        self,
        value: Any,
        written: Path,
        plain: Path,
        *,
        owner: type[BaseModel],
        known: Collection[str],
    ) -> None:
        path = ".".join(step for step in plain if isinstance(step, str))
        reason = reason_for(path, known=known, model=self._model, owner=owner)
        is_whole = len(plain) == 1 and plain[0] not in known
        field = self._fields.get(str(plain[0])) if is_whole else None
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
    part = _parts(type_of(kind).model).get(name)
    return value if part is None else _camel(value, part.annotation)


def wire_path(path: str, *, kind: str) -> str:
    """Return a path that names fields in snake_case as it is written on the wire."""
    annotation: Any = type_of(kind).model
    written: list[str | int] = []
    for step in steps_of(path):
        form = _shape(annotation, list if isinstance(step, int) else dict)
        if _is_model(form):
            part = _parts(form).get(str(step))
            annotation = Any if part is None else part.annotation
            written.append(to_camel(str(step)))
        else:
            inner = typing.get_args(form)
            annotation = inner[1 if isinstance(step, str) else 0] if inner else Any
            written.append(step)
    return dotted(tuple(written))


def steps_of(path: str) -> Path:
    """Return the steps of a dotted ``path``, as :func:`dotted` writes one."""
    steps = (match.groups() for match in _STEP.finditer(path))
    return tuple(
        int(at) if at is not None else name if key is None else key for at, key, name in steps
    )


def _camel(value: Any, annotation: Any) -> Any:
    form = _shape_for(value, annotation)
    if form is None:
        return value
    if _is_model(form):
        parts = ((name, _parts(form).get(name, _Part(name, Any))) for name in value)
        return {part.wire: _camel(value[name], part.annotation) for name, part in parts}
    inner = typing.get_args(form)
    if isinstance(value, Mapping):
        return {key: _camel(item, inner[1]) for key, item in value.items()}
    return [_camel(item, inner[0]) for item in value]


@dataclass(frozen=True)
class _Part:
    """A field of a model: its name on the wire, and what it may hold, bounds included."""

    wire: str
    annotation: Any


@functools.cache
def _parts(model: type[BaseModel]) -> Mapping[str, _Part]:
    return {
        name: _Part(to_camel(name), _bounded(field)) for name, field in model.model_fields.items()
    }


def _bounded(field: FieldInfo) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def _shape_for(value: Any, annotation: Any) -> Any:
    """Return the model, map or list of ``annotation`` that ``value`` has the form of, else None."""
    if isinstance(value, Mapping):
        return _shape(annotation, dict)
    return _shape(annotation, list) if isinstance(value, list | tuple) else None


@functools.cache
def _shape(annotation: Any, form: type[dict[Any, Any]] | type[list[Any]]) -> Any:
    return shape_of(annotation, form())


def _is_model(form: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(form, type) and issubclass(form, BaseModel)


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)
