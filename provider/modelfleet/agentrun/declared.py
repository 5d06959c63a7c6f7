"""What AgentRun's fields declare: the declaration that a create makes, or an update leaves. Pure.

Refuses names that are no fields, and fields that a call does not take, by the name the caller
wrote; what values may be is for ``plan``, which knows all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from modelfleet.agentrun.fields import FIELDS
from modelfleet.agentrun.scope import Scope
from modelfleet.agentrun.service_names import (
    Referred,
    reference_to,
    services_in,
    told_name,
    with_services,
)
from modelfleet.agentrun.spelling import Reading, steps_of, wire_path
from modelfleet.agentrun.told import mode_of, told_of
from modelfleet.errors import Problem, SpecError
from modelfleet.resource_types import MODEL_PROXY, type_of
from modelfleet.spec.merge import merged
from modelfleet.spec.tree import Path, dotted, pruned

_LONGEST_TOLD: Final = 100
_ALWAYS_SENT: Final = "model_info_configs"
_NO_RENAME: Final = "cannot be changed: nothing is renamed; create another one, and delete this one"
_IN_A_LIST: Final = "is in a list, which is replaced as a whole: set that"
_NOT_CLEARED: Final = "is nothing that can be cleared"


def snake_fields(body: Mapping[str, Any], *, kind: str, update: bool = False) -> dict[str, Any]:
    """Return the fields of a body of the wire, in either spelling, in snake_case.

    An explicit null stays one: what it clears is told by :func:`cleared_by`. ``modelInfoConfigs``
    of an update says nothing where it is empty, since AgentRun's own client always sends it so.

    Raises:
        SpecError: with every field that is unknown, not taken or ill-typed, by its name in
            ``body``.
    """
    fields = _read(body, kind=kind, update=update)
    if update and fields.get(_ALWAYS_SENT) == []:
        del fields[_ALWAYS_SENT]
    return fields


def cleared_by(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the dotted names of the fields that are explicitly null, for ``clear`` of an update.

    None in a list clears nothing: lists are replaced as a whole.
    """
    return tuple(dotted(path) for path in _nulls(fields, ()))


def on_the_wire_named(error: SpecError, *, kind: str) -> SpecError:
    """Return ``error`` with the fields named as they are written on the wire."""
    problems = [Problem(wire_path(each.path, kind=kind), each.reason) for each in error.problems]
    return SpecError(error.subject, problems)


def declaration_of(
    fields: Mapping[str, Any], *, kind: str, scope: Scope, referred: Referred
) -> dict[str, Any]:
    """Return what ``fields`` of a create declare, for ``plan``; the argument is left alone.

    ``referred`` looks a service up by the name that a proxy has for it. One that is not there stays
    a name, and is refused where it is applied.

    Raises:
        SpecError: with every field that is unknown, not taken or ill-typed.
    """
    said: dict[str, Any] = pruned(_read(fields, kind=kind, update=False))
    place = {"namespace": scope.namespace, "cluster": scope.cluster}
    declaration = {**said, **place}
    if kind != MODEL_PROXY.kind:
        return declaration
    mode = declaration.pop("proxy_mode", None)
    services = _Services(referred, before=place, said=declaration)
    return _with_mode(with_services(declaration, services.declared), mode)


def updated(
    declaration: Mapping[str, Any],
    fields: Mapping[str, Any],
    *,
    kind: str,
    clear: Collection[str] = (),
    referred: Referred,
) -> dict[str, Any]:
    """Return ``declaration`` with what ``fields`` say and without what ``clear`` names.

    None says nothing. Maps are merged by key at any depth, lists are replaced as a whole. ``clear``
    takes dotted names, of single keys of maps too, and goes first: what is cleared and said is
    replaced. What is said as it is told anyway (``told.fields_of``) changes nothing; services that
    are named are looked up anew.

    Raises:
        SpecError: with every field that is unknown, not taken or ill-typed, in either argument, and
            where it would be renamed.
    """
    name_field = type_of(kind).name_field
    name = declaration[name_field]
    subject = f"{kind} {name}"
    said: dict[str, Any] = pruned(_read(fields, kind=kind, update=True, subject=subject))
    if said.pop(name_field, name) != name:
        raise SpecError(subject, [Problem(name_field, _NO_RENAME)])
    base = dict(declaration)
    for path in _paths(clear, kind=kind, subject=subject):
        base = _without(base, path)
    mode = said.pop("proxy_mode", None)
    changed = merged(base, _news(said, told_of(base, kind=kind)))
    if kind != MODEL_PROXY.kind:
        return changed
    services = _Services(referred, before=declaration, said=said)
    return _with_mode(with_services(changed, services.declared), mode)


class _Services:
    """What is declared for the services that a proxy names: all that is known of them now.

    What stood there as a name ``before`` stays one. A reference that stood there is brought up to
    date where ``said`` names the service again.
    """

    def __init__(
        self, referred: Referred, *, before: Mapping[str, Any], said: Mapping[str, Any]
    ) -> None:
        """Take the declaration in force, and what is said on top of it."""
        self._referred = referred
        self._namespace = str(before.get("namespace"))
        self._cluster = str(before.get("cluster"))
        present = list(services_in(before))
        self._names = {each for each in present if isinstance(each, str)}
        self._references = {
            told_name(each, namespace=self._namespace): each
            for each in present
            if not isinstance(each, str)
        }
        self._said = {each for each in services_in(said) if isinstance(each, str)}

    def declared(self, service: Any) -> Any:
        """Return what is declared for ``service``, a name or a reference."""
        name = told_name(service, namespace=self._namespace)
        is_name = isinstance(service, str)
        if name in self._names if is_name else name not in self._said:
            return service
        before = self._references.get(name) if is_name else service
        if before is not None and before.get("cluster") not in (None, self._cluster):
            return before
        entry = self._referred(name)
        reference = None if entry is None else reference_to(entry, cluster=self._cluster)
        return reference or before or service


def _read(body: Mapping[str, Any], *, kind: str, update: bool, subject: str = "") -> dict[str, Any]:
    reading = Reading(kind, update=update)
    fields = reading.read(body)
    if reading.problems:
        name = fields.get(type_of(kind).name_field)
        # Whatever else stands in its place may be a secret.
        told = name[:_LONGEST_TOLD] if isinstance(name, str) and name else "?"
        raise SpecError(subject or f"{kind} {told}", reading.problems)
    return fields


def _paths(clear: Collection[str], *, kind: str, subject: str) -> list[Path]:
    """Return the paths that ``clear`` names, in snake_case.

    Raises:
        SpecError: with each that is none, or cannot be cleared.
    """
    paths: list[Path] = []
    problems: list[Problem] = []
    for name in clear:
        steps = steps_of(name)
        if any(isinstance(step, int) for step in steps):
            problems.append(Problem(name, _IN_A_LIST))
            continue
        tree: Any = None
        for step in reversed(steps):
            tree = {step: tree}
        reading = Reading(kind, update=True)
        path = _chain(reading.read(tree or {}))
        field = FIELDS[kind].get(str(path[0])) if path else None
        if reading.problems:
            problems += reading.problems
        elif len(path) < len(steps) or not path or field is None or not field.clear:
            problems.append(Problem(name, _NOT_CLEARED))
        else:
            paths.append(path)
    if problems:
        raise SpecError(subject, problems)
    return paths


def _chain(tree: Any) -> Path:
    """Return the path of the one leaf of ``tree``."""
    path: list[str] = []
    while isinstance(tree, Mapping) and tree:
        step = next(iter(tree))
        path.append(step)
        tree = tree[step]
    return tuple(path)


def _without(tree: Mapping[str, Any], path: Path) -> dict[str, Any]:
    step, rest = str(path[0]), path[1:]
    if not rest:
        return {key: value for key, value in tree.items() if key != step}
    below = tree.get(step)
    return {**tree, step: _without(below, rest)} if isinstance(below, Mapping) else dict(tree)


def _nulls(tree: Mapping[str, Any], at: Path) -> Iterator[Path]:
    for name, value in tree.items():
        if value is None:
            yield (*at, name)
        elif isinstance(value, Mapping):
            yield from _nulls(value, (*at, name))


def _news(said: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of ``said`` is not what is told anyway."""
    news: dict[str, Any] = {}
    for name, value in said.items():
        known = told.get(name)
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            if below := _news(value, known):
                news[name] = below
        elif not _same(value, known):
            news[name] = value
    return news


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal as JSON has them, where true is no number."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _with_mode(declaration: dict[str, Any], mode: str | None) -> dict[str, Any]:
    """Return the declaration of a proxy with the ``mode`` that was said, None where none was.

    One that is as AgentRun derives it is left to follow the endpoints, and one that was declared
    gives way to several endpoints.
    """
    declared = declaration.get("proxy_mode")
    derived = mode_of(_without(declaration, ("proxy_mode",)))
    if mode is None:
        mode = derived if (declared, derived) == ("single", "multi") else declared
    if mode is None or (mode == derived and mode != declared):
        return _without(declaration, ("proxy_mode",))
    return {**declaration, "proxy_mode": mode}
