"""Conditions compiled: what is asked of a field becomes a test of its cell. Pure.

A condition on a list holds if any item matches; one that says *not*, if none does. A field without
a value matches nothing but ``is null``, as in SQL.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from modelfleet.adapters.query_api.zstack_api.columns import Column, column
from modelfleet.adapters.query_api.zstack_api.dates import FORMS, point_in_time, written
from modelfleet.adapters.query_api.zstack_api.error_codes import invalid
from modelfleet.adapters.query_api.zstack_api.fields import Kind
from modelfleet.adapters.query_api.zstack_api.grammar import Condition, Operator
from modelfleet.adapters.query_api.zstack_api.patterns import LONGEST, like

Test = Callable[[Any], bool]
"""Says whether the cell of a service matches."""

NEGATIVE: Final[Mapping[Operator, Operator]] = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
}
"""What each operator denies."""

_ORDER: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
}
_LONGEST_NUMBER: Final = 20


def test_of(condition: Condition) -> tuple[Column, Test]:
    """Return the column that a condition is about, and the test of its cells.

    Raises:
        ApiError: there is no such field, or it cannot be compared with that.
    """
    about = column(condition.name)
    if condition.operator is Operator.IS_NULL:
        return about, _is_empty
    if condition.operator is Operator.NOT_NULL:
        return about, operator.truth if about.many else _is_there
    if about.kind is None:
        raise invalid(
            f"the field [{about.name}] holds objects: compare one of their fields, such as "
            f"{about.name}.…, or ask whether it is null"
        )
    asked = NEGATIVE.get(condition.operator, condition.operator)
    holds = _of_any if about.many else _of_one
    test = holds(about, asked, condition.value)
    if asked is condition.operator:
        return about, test
    if about.many:
        return about, lambda items: not test(items)
    return about, lambda cell: cell is not None and not test(cell)


def _of_one(about: Column, asked: Operator, text: str) -> Test:
    """Return a test that a cell without a value fails."""
    if asked is Operator.IN:
        return frozenset(_value(about, each) for each in text.split(",")).__contains__
    if asked is Operator.LIKE:
        if len(text) > LONGEST:
            raise invalid(f"a pattern of {len(text)} characters is too long: {LONGEST} are allowed")
        is_like = like(text)
        if about.kind is Kind.TEXT:
            return lambda cell: cell is not None and is_like(cell)
        return lambda cell: cell is not None and is_like(_spelled(cell))
    value = _value(about, text)
    if asked is Operator.EQUAL:
        return partial(operator.eq, value)
    if about.kind is Kind.BOOL:
        raise invalid(f"the field [{about.name}] is true or false: it is not {asked} anything")
    compare = _ORDER[asked]
    return lambda cell: cell is not None and compare(cell, value)


def _of_any(about: Column, asked: Operator, text: str) -> Test:
    """Return a test that a list passes if any of its items, which are texts, does."""
    if asked is Operator.EQUAL:
        return lambda items: text in items
    matches = _of_one(about, asked, text)
    return lambda items: any(map(matches, items))


def _value(about: Column, text: str) -> Any:
    """Return ``text`` as what the field holds."""
    match about.kind:
        case Kind.INT | Kind.LONG:
            return _number(about.name, text)
        case Kind.BOOL:
            if text.lower() not in ("true", "false"):
                raise invalid(f"the field [{about.name}] is true or false, not [{text[:100]}]")
            return text.lower() == "true"
        case Kind.DATE:
            moment = point_in_time(text)
            if moment is None:
                raise invalid(
                    f"the field [{about.name}] is a point in time, not [{text[:100]}]; "
                    f"write it as {FORMS}"
                )
            return moment
        case _:
            return text


def _number(name: str, text: str) -> int:
    digits = text.strip().removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_NUMBER):
        raise invalid(f"the field [{name}] is a whole number, not [{text[:100]}]")
    return int(text)


def _spelled(cell: Any) -> str:
    """Return a value as it stands in an answer."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell) if isinstance(cell, int) else written(cell)


def _is_empty(cell: Any) -> bool:
    return cell is None or cell == ()


def _is_there(cell: Any) -> bool:
    return cell is not None
