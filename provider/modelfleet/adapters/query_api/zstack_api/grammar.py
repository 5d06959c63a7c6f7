"""One condition of a query as text: ``name``, an operator, and a value that is taken as it is.

A name is letters, digits, ``_`` and dots, so the operator is what follows it: one that stands in
the value is part of the value. Knows the operators and their spelling, no field. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelfleet.adapters.query_api.zstack_api.error_codes import RequestError

LONGEST: Final = 32_768
"""Characters of one condition: a thousand UUIDs behind ``?=``."""


class Operator(StrEnum):
    """The operators as they are written."""

    EQUAL = "="
    NOT_EQUAL = "!="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    IN = "?="
    NOT_IN = "!?="
    LIKE = "~="
    NOT_LIKE = "!~="
    IS_NULL = "is null"
    NOT_NULL = "not null"


MEANINGS: Final = {
    Operator.EQUAL: "equals; `f=` is the empty string, `f=null` the same as `f is null`",
    Operator.NOT_EQUAL: "does not equal; `f!=null` is the same as `f not null`",
    Operator.GREATER: "is greater, or later",
    Operator.GREATER_OR_EQUAL: "is greater or equal",
    Operator.LESS: "is less, or earlier",
    Operator.LESS_OR_EQUAL: "is less or equal",
    Operator.IN: "is one of a list, with commas; `f?=` is the empty string",
    Operator.NOT_IN: "is none of a list",
    Operator.LIKE: "is like a pattern: `%` is any run of characters, `_` any one, "
    "`\\%`, `\\_` and `\\\\` are themselves",
    Operator.NOT_LIKE: "is not like a pattern",
    Operator.IS_NULL: "has no value; written with a space, and without a value",
    Operator.NOT_NULL: "has a value",
}
"""What each operator asks, for the reference."""


@dataclass(frozen=True)
class Condition:
    """What is asked of one field; the value of a test for null is empty."""

    name: str
    operator: Operator
    value: str = ""


_SIGNS: Final = sorted((op for op in Operator if " " not in op), key=len, reverse=True)
_COMPARISON: Final = re.compile(
    rf"\s*([A-Za-z0-9_.]+)\s*({'|'.join(map(re.escape, _SIGNS))})(.*)", re.DOTALL
)
_NULL_TEST: Final = re.compile(r"\s*([A-Za-z0-9_.]+)\s+(is|not)\s+null\s*")
_ANY_SIGN: Final = re.compile(rf"{'|'.join(map(re.escape, _SIGNS))}|\b(?:is|not) null")


def condition_of(text: str) -> Condition:
    """Return what one ``q`` says.

    Raises:
        RequestError: it is no condition.
    """
    if len(text) > LONGEST:
        raise RequestError(
            f"Invalid query parameter. A condition of {len(text)} characters is in the "
            f"parameter[q]; at most {LONGEST} are allowed"
        )
    if test := _NULL_TEST.fullmatch(text):
        return Condition(test[1], Operator(f"{test[2]} null"))
    if comparison := _COMPARISON.fullmatch(text):
        return _compared(comparison[1], Operator(comparison[2]), comparison[3])
    return _misspelt(text)


def _compared(name: str, operator: Operator, value: str) -> Condition:
    if value == "null" and operator is Operator.EQUAL:
        return Condition(name, Operator.IS_NULL)
    if value == "null" and operator is Operator.NOT_EQUAL:
        return Condition(name, Operator.NOT_NULL)
    return Condition(name, operator, value)


def _misspelt(text: str) -> Condition:
    """Return a condition on a name that no field has; raise where not even that is said."""
    shown = text[:100]
    sign = _ANY_SIGN.search(text)
    if sign is None:
        operators = ", ".join(Operator)
        raise RequestError(
            f"Invalid query parameter. The '{shown}' in the parameter[q] doesn't contain any "
            f"query operator. Valid query operators are [{operators}]"
        )
    name = text[: sign.start()].strip()
    if not name:
        raise RequestError(
            f"Invalid query parameter. The '{shown}' in parameter[q] is not a key-value pair "
            f"split by {sign[0]}: it has no name"
        )
    operator = Operator(sign[0])
    return Condition(name, operator, "" if " " in operator else text[sign.end() :])
