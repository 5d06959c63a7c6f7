"""What can be asked of services: their fields, the fields inside of lists, and their tags. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from modelfleet.adapters.query_api.zstack_api.described import Described
from modelfleet.adapters.query_api.zstack_api.error_codes import ApiError, invalid
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS, Field, Kind, moment_of
from modelfleet.adapters.query_api.zstack_api.tags import (
    SYSTEM_TAG,
    USER_TAG,
    system_tags,
    user_tags,
)

Values = Mapping[str, Any]
"""The fields of one service by name, as they are sent."""


@dataclass(frozen=True)
class Column:
    """Something that conditions can name, and what they compare of it.

    ``of`` returns None where there is no value; for one that is ``many``, a tuple. A column without
    a kind has parts, and can be asked only whether it is there.
    """

    name: str
    kind: Kind | None
    of: Callable[[Values, Described], Any]
    many: bool = False

    @property
    def is_orderly(self) -> bool:
        """Whether services can be put in order, or into groups, by it."""
        return not self.many and self.kind is not None


def column(name: str) -> Column:
    """Return the column that a request names.

    Raises:
        ApiError: there is none.
    """
    if name not in COLUMNS:
        raise unknown(name, known=COLUMNS)
    return COLUMNS[name]


def unknown(name: str, *, known: Mapping[str, Any]) -> ApiError:
    """Return the error of a field that is not there; it names the nearest."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name[:100].lower(), by_lower, n=1)
    what = f"ModelServiceInventory has no field [{name[:100]}]"
    hint = f"Did you mean {by_lower[near[0]]}?" if near else f"It has: {', '.join(known)}."
    return invalid(f"{what}. {hint}", elaboration=hint)


def _columns(field: Field) -> Iterator[Column]:
    name = field.name
    match field.kind:
        case Kind.DATE:
            yield Column(name, Kind.DATE, lambda values, _: moment_of(values[name]))
        case Kind.TEXTS | Kind.MAP:
            yield Column(name, Kind.TEXT, lambda values, _: tuple(values[name] or ()), many=True)
        case Kind.OBJECTS:
            yield Column(name, None, lambda values, _: tuple(map(id, values[name])), many=True)
            for part in field.parts:
                of = partial(_of_parts, field=name, part=part.name)
                yield Column(f"{name}.{part.name}", Kind.TEXT, of, many=True)
        case _:
            yield Column(name, field.kind, lambda values, _: values[name])


def _of_parts(values: Values, _: Described, *, field: str, part: str) -> tuple[str, ...]:
    return tuple(item[part] for item in values[field] if item[part] is not None)


_TAGS: Final = (
    Column(USER_TAG, Kind.TEXT, lambda _, it: user_tags(it), many=True),
    Column(SYSTEM_TAG, Kind.TEXT, lambda _, it: system_tags(it), many=True),
)

COLUMNS: Final[Mapping[str, Column]] = {
    each.name: each for each in (*(c for field in FIELDS for c in _columns(field)), *_TAGS)
}
"""Every column by its name, in the order of the cells of a row."""

FIELD_NAMES: Final[Mapping[str, Field]] = {field.name: field for field in FIELDS}
"""The fields of an answer by their names."""
