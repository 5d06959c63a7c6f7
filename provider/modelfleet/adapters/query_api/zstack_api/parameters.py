"""The parameters of a query as they come in a URL, and what they say together. No I/O.

As in the original, names that are not parameters are ignored, the first of several equal ones
counts, and a truth that is not ``true`` is false.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from modelfleet.adapters.query_api.zstack_api.columns import (
    FIELD_NAMES,
    Column,
    column,
    unknown,
)
from modelfleet.adapters.query_api.zstack_api.conditions import Test, test_of
from modelfleet.adapters.query_api.zstack_api.error_codes import RequestError, invalid
from modelfleet.adapters.query_api.zstack_api.grammar import condition_of

DEFAULT_LIMIT: Final = 1000
MOST_CONDITIONS: Final = 32
_LARGEST: Final = 2**31 - 1

PARAMETERS: Final = {
    "q": "One condition, such as `name~=qwen%`; may be repeated, and all must hold. Equal ones "
    f"count once. At most {MOST_CONDITIONS}.",
    "limit": f"How many services to return at most; {DEFAULT_LIMIT} unless given.",
    "start": "How many to leave out at the beginning; 0 unless given.",
    "count": "`true`: return only `total`, how many there are.",
    "replyWithCount": "`true`: return `total`, how many match beyond `limit`, as well.",
    "sort": "`+field` or `field` in ascending order, `-field` in descending order. Services without"
    " a value come first when ascending. Else, and among equals, by namespace and name.",
    "fields": "Return these fields only, with commas between them.",
    "groupBy": "Return one service, the first in order, for each value of this field; `total` "
    "counts the values.",
    "filterName": "Refused: there are no filters here. Say what is wanted in `q`.",
}
"""What each parameter says, for the reference."""


@dataclass(frozen=True)
class Query:
    """What is asked of all services that the caller may know of."""

    tests: Sequence[tuple[Column, Test]] = ()
    limit: int = DEFAULT_LIMIT
    start: int = 0
    count: bool = False
    reply_with_count: bool = False
    sort: Column | None = None
    descending: bool = False
    group_by: Column | None = None
    fields: Sequence[str] = ()


def query_of(parameters: Iterable[tuple[str, str]]) -> Query:
    """Return what a request's parameters say.

    Raises:
        RequestError: one cannot be read.
        ApiError: one names a field that is not there, or compares it with what it never is.
    """
    first: dict[str, str] = {}
    asked: dict[str, None] = {}
    for name, value in parameters:
        if name == "q":
            asked[value] = None
        else:
            first.setdefault(name, value.strip())
    if len(asked) > MOST_CONDITIONS:
        raise RequestError(
            f"Invalid query parameter. There are {len(asked)} conditions in the parameter[q]; at "
            f"most {MOST_CONDITIONS} are allowed"
        )
    if "filterName" in first:
        raise invalid(
            f"no filter is called [{first['filterName'][:100]}]: there are none",
            elaboration=PARAMETERS["filterName"],
        )
    conditions = dict.fromkeys(map(condition_of, asked))
    sort, descending = _sort(first.get("sort"))
    return Query(
        tests=[test_of(condition) for condition in conditions],
        limit=_whole("limit", first.get("limit"), otherwise=DEFAULT_LIMIT),
        start=_whole("start", first.get("start"), otherwise=0),
        count=_is_true(first.get("count")),
        reply_with_count=_is_true(first.get("replyWithCount")),
        sort=sort,
        descending=descending,
        group_by=_orderly(first["groupBy"], "groupBy") if "groupBy" in first else None,
        fields=_fields(first.get("fields")),
    )


def _whole(name: str, text: str | None, *, otherwise: int) -> int:
    if text is None:
        return otherwise
    if re.fullmatch(r"\+?[0-9]{1,10}", text) is None or int(text) > _LARGEST:
        raise RequestError(f"Invalid query parameter. '{name}' must be an integer, 0 or greater")
    return int(text)


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() == "true"


def _sort(text: str | None) -> tuple[Column | None, bool]:
    if text is None:
        return None, False
    # A plus that was not encoded has become a space, which is gone by now.
    return _orderly(text.lstrip("+-").strip(), "sort"), text.startswith("-")


def _orderly(name: str, parameter: str) -> Column:
    found = column(name)
    if not found.is_orderly:
        raise invalid(
            f"the field [{name}] holds several values: it cannot be taken for {parameter}"
        )
    return found


def _fields(text: str | None) -> Sequence[str]:
    if text is None:
        return ()
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise RequestError("Invalid query parameter. 'fields' contains zero field")
    for name in names:
        if name not in FIELD_NAMES:
            raise unknown(name, known=FIELD_NAMES)
    return [name for name in FIELD_NAMES if name in names]
