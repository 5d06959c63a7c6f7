"""From a raw declaration to all of its problems at once, or to a spec.

Pydantic finds what is wrong with single fields, rules what is wrong between them; this module
runs both, leaves unknowns alone, and says everything in a user's words. No I/O.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, overload

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from modelfleet.errors import Problem, SpecError
from modelfleet.spec.fields import said_of
from modelfleet.spec.known import known_part
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_rules import PROXY_RULES
from modelfleet.spec.refused import (
    NETWORK_MODE_INSTEAD,
    NETWORK_MODES_NOT_YET,
    NOT_YET,
    reason_for,
)
from modelfleet.spec.rules import SPEC_RULES, Rule
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.tree import (
    UNKNOWN,
    IsUnknown,
    Path,
    dotted,
    model_at,
    never_unknown,
    pruned,
    unknown_paths,
    value_at,
)

_Spec = TypeVar("_Spec", ModelServiceSpec, ModelProxySpec)
_Model = type[ModelServiceSpec] | type[ModelProxySpec]
_Look = Callable[[Path, bool], Any]
"""Gives the value at a path, or ``UNKNOWN``; of a map its names only, if so asked."""

_RULES: Final[Mapping[_Model, Sequence[Rule]]] = {
    ModelServiceSpec: SPEC_RULES,
    ModelProxySpec: PROXY_RULES,
}
"""The rules between the fields of each kind; those of engines come on top."""

_QUANTITY: Final = re.compile(r"\s*[0-9.]+\s*[A-Za-z]{1,3}\s*")
"""What Kubernetes would take for a number: 500m, 16Gi."""

_VALUES_NOT_YET: Final = frozenset(NETWORK_MODES_NOT_YET)

_REASONS: Final[Mapping[str, str]] = {
    "missing": "is required",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be a map",
    "model_type": "must be a map of fields",
    "model_attributes_type": "must be a map of fields",
    "tuple_type": "must be a list",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "value_error": "{error}",
}
"""Pydantic's error types in this project's words; a type that is missing keeps pydantic's."""


@dataclass(frozen=True)
class Validated(Generic[_Spec]):
    """Every problem of a declaration, sorted by path; its spec where it has none, nor unknowns.

    ``values`` are what rules and formulas look at: the spec's, with all defaults, or else the
    declaration itself.
    """

    problems: tuple[Problem, ...]
    spec: _Spec | None
    values: Mapping[str, Any]


@overload
def validated(
    inputs: Mapping[str, Any],
    *,
    is_unknown: IsUnknown = ...,
    rules: Sequence[Rule] | None = ...,
) -> Validated[ModelServiceSpec]: ...
@overload
def validated(
    inputs: Mapping[str, Any],
    *,
    model: type[_Spec],
    is_unknown: IsUnknown = ...,
    rules: Sequence[Rule] | None = ...,
) -> Validated[_Spec]: ...
def validated(
    inputs: Mapping[str, Any],
    *,
    model: Any = ModelServiceSpec,
    is_unknown: IsUnknown = never_unknown,
    rules: Sequence[Rule] | None = None,
) -> Validated[Any]:
    """Return what is to be said of the resource that ``inputs`` declare, a ``model``.

    Values for which ``is_unknown`` holds may stand at any depth; nothing is said about them.
    ``rules`` are those of the model unless given.
    """
    rules = _RULES[model] if rules is None else rules
    tree = pruned(inputs)
    unknown = list(unknown_paths(tree, is_unknown=is_unknown))
    try:
        spec = model.model_validate(tree)
    except ValidationError as error:
        found = list(_field_problems(error, model=model, unknown=unknown))
    else:
        found = []
        if not unknown:
            values = spec.model_dump()
            broken = {each for rule in rules for each in rule.check(*rule.values_in(values))}
            return Validated(tuple(sorted(broken)), None if broken else spec, values)
    bad = [path for path, _ in found]
    problems = {problem for _, problem in found}
    look = _look_at(tree, model=model, bad=bad, is_unknown=is_unknown)
    problems.update(one for each in rules if not each.gaps for one in _rule_problems(each, look))
    if with_gaps := [each for each in rules if each.gaps]:
        part = known_part(tree, model=model, is_unknown=is_unknown, bad=bad)
        problems.update(one for each in with_gaps for one in each.check(*each.values_in(part)))
    return Validated(tuple(sorted(problems)), None, tree)


def problems_of(
    inputs: Mapping[str, Any],
    *,
    model: _Model = ModelServiceSpec,
    is_unknown: IsUnknown = never_unknown,
    rules: Sequence[Rule] | None = None,
) -> list[Problem]:
    """Return every problem of the resource that ``inputs`` declare, sorted by path."""
    result: Validated[Any] = validated(inputs, model=model, is_unknown=is_unknown, rules=rules)
    return list(result.problems)


@overload
def spec_of(
    inputs: Mapping[str, Any], *, rules: Sequence[Rule] | None = ...
) -> ModelServiceSpec: ...
@overload
def spec_of(
    inputs: Mapping[str, Any], *, model: type[_Spec], rules: Sequence[Rule] | None = ...
) -> _Spec: ...
def spec_of(
    inputs: Mapping[str, Any],
    *,
    model: Any = ModelServiceSpec,
    rules: Sequence[Rule] | None = None,
) -> Any:
    """Return the spec of a ``model`` that fully known ``inputs`` declare.

    Raises:
        SpecError: with every problem.
    """
    result: Validated[Any] = validated(inputs, model=model, rules=rules)
    if result.spec is None:
        raise SpecError(f"{model.kind} {inputs.get(model.name_field) or '?'}", result.problems)
    return result.spec


def _field_problems(
    error: ValidationError, *, model: type[BaseModel], unknown: list[Path]
) -> Iterator[tuple[Path, Problem]]:
    for detail in error.errors(include_url=False):
        path = _path_of(detail["loc"])
        is_of_a_name = detail["loc"][-1] == "[key]"
        of_an_unknown = not is_of_a_name and any(path[: len(known)] == known for known in unknown)
        told = not of_an_unknown or detail["type"] == "extra_forbidden"
        if told and not _counts_good_items_only(detail):
            yield path, Problem(dotted(path), _reason_of(detail, path, model=model))


def _counts_good_items_only(detail: ErrorDetails) -> bool:
    """Return whether a list is called too short because of items that have problems themselves."""
    if detail["type"] != "too_short":
        return False
    return len(detail["input"]) >= int(detail.get("ctx", {})["min_length"])


def _look_at(tree: Any, *, model: type[BaseModel], bad: list[Path], is_unknown: IsUnknown) -> _Look:
    """Return what rules are given of ``tree``; nothing is known of what has problems itself."""

    @functools.cache  # for a hundred rules look at the same few dozen places
    def look(path: Path, names_only: bool) -> Any:
        if any(_spoils(each, of=path, names_only=names_only) for each in bad):
            return UNKNOWN
        return value_at(tree, path, model=model, is_unknown=is_unknown, deep=not names_only)

    return look


def _rule_problems(each: Rule, look: _Look) -> Iterator[Problem]:
    values = [look(path, each.names_only) for path in each.steps]
    if not any(value is UNKNOWN for value in values):
        yield from each.check(*values)


def _spoils(bad: Path, *, of: Path, names_only: bool) -> bool:
    """Return whether a problem at ``bad`` keeps a rule from looking at the value at ``of``."""
    above = of[: len(bad)] == bad
    return above or (not names_only and bad[: len(of)] == of)


def _path_of(loc: tuple[str | int, ...]) -> Path:
    """Return pydantic's location without its own marks: union tags and map keys."""
    return tuple(
        step
        for step in loc
        if not (isinstance(step, str) and (step == "[key]" or step.startswith("<")))
    )


def _reason_of(detail: ErrorDetails, path: Path, *, model: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        owner = model_at(model, path[:-1])
        plain = ".".join(str(step) for step in path if isinstance(step, str))
        known = owner.model_fields if owner else ()
        return reason_for(plain, known=known, model=model, owner=owner)
    return reason_in_words(detail)


def reason_in_words(detail: ErrorDetails) -> str:
    """Return what is wrong with one value, in a user's words."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return said_of(str(context["pattern"]))
    if kind == "too_short" and context["min_length"] == 1:
        return "must not be empty"
    given = detail["input"]
    if kind in ("literal_error", "enum") and isinstance(given, str) and given in _VALUES_NOT_YET:
        return f"{given} is {NOT_YET}: {NETWORK_MODE_INSTEAD}"
    if kind.endswith("_parsing") and isinstance(given, str) and _QUANTITY.fullmatch(given):
        return f"must be a number without a unit, not {given}"
    return _REASONS.get(kind, detail["msg"][:1].lower() + detail["msg"][1:]).format(**context)
