"""A query run on rows, and its answer as JSON text. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from modelfleet.adapters.query_api.zstack_api.columns import COLUMNS, Column
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS, Kind
from modelfleet.adapters.query_api.zstack_api.parameters import Query
from modelfleet.adapters.query_api.zstack_api.rows import Row

INVENTORY: Final = "ModelServiceInventory"

_INDEX: Final = {name: index for index, name in enumerate(COLUMNS)}
_LISTS: Final = [field for field in FIELDS if field.kind is Kind.OBJECTS]


def answer_of(query: Query, rows: Sequence[Row]) -> str:
    """Return the answer to ``query`` by the services of ``rows``."""
    found = matching(query, rows)
    if query.count:
        return f'{{"total":{len(found)},"schema":{{}}}}'
    page = found[query.start : query.start + query.limit]
    total = f'"total":{len(found)},' if query.reply_with_count else ""
    schema = ",".join(_schema(query, page))
    return f'{{"inventories":[{_inventories(query, page)}],{total}"schema":{{{schema}}}}}'


def matching(query: Query, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows that fulfil all conditions, in the order asked for."""
    for about, test in query.tests:
        at = _INDEX[about.name]
        rows = [row for row in rows if test(row.cells[at])]
    if query.sort is not None:
        rows = _sorted(rows, query.sort, descending=query.descending)
    if query.group_by is not None:
        at = _INDEX[query.group_by.name]
        firsts: dict[Any, Row] = {}
        for row in rows:
            firsts.setdefault(row.cells[at], row)
        rows = list(firsts.values())
    return rows


def _sorted(rows: Sequence[Row], by: Column, *, descending: bool) -> list[Row]:
    at = _INDEX[by.name]
    without = [row for row in rows if row.cells[at] is None]
    having = [row for row in rows if row.cells[at] is not None]
    having.sort(key=lambda row: row.cells[at], reverse=descending)
    return [*having, *without] if descending else [*without, *having]


def _inventories(query: Query, page: Sequence[Row]) -> str:
    if not query.fields:
        return ",".join(row.text for row in page)
    parts = [{name: row.values[name] for name in query.fields} for row in page]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))[1:-1]


def _schema(query: Query, page: Sequence[Row]) -> Iterator[str]:
    """Yield what stands at each place of the answer, by its path, as members of an object."""
    lists = [field for field in _LISTS if not query.fields or field.name in query.fields]
    for number, row in enumerate(page):
        place = f"inventories[{number}]"
        yield f'"{place}":"{INVENTORY}"'
        for field in lists:
            for at in range(len(row.values[field.name])):
                yield f'"{place}.{field.name}[{at}]":"{field.item}"'
