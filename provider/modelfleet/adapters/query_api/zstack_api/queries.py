"""A query run on rows, and its answer as JSON text. Asks nobody."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final

from modelfleet.adapters.query_api.zstack_api.columns import COLUMNS, Column
from modelfleet.adapters.query_api.zstack_api.fields import FIELDS, Kind
from modelfleet.adapters.query_api.zstack_api.parameters import Query
from modelfleet.adapters.query_api.zstack_api.rows import Row

INVENTORY: Final = "ModelServiceInventory"

_AT_A_TIME: Final = 100
"""Rows that are looked at in one step."""

_TURN_SECONDS: Final = 0.01
"""How long a query goes on before others get their turn."""

_INDEX: Final = {name: index for index, name in enumerate(COLUMNS)}
_LISTS: Final = [field for field in FIELDS if field.kind is Kind.OBJECTS]


def answer_of(query: Query, found: Sequence[Row]) -> str:
    """Return the answer to ``query``, whose matches are ``found``."""
    if query.count:
        return f'{{"total":{len(found)},"schema":{{}}}}'
    page = found[query.start : query.start + query.limit]
    total = f'"total":{len(found)},' if query.reply_with_count else ""
    schema = ",".join(_schema(query, page))
    return f'{{"inventories":[{_inventories(query, page)}],{total}"schema":{{{schema}}}}}'


async def find(query: Query, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the matches of ``query``, letting others have their turns meanwhile."""
    steps, began = matching(query, rows), time.perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Sequence[Row] = end.value
            return found
        if time.perf_counter() - began > _TURN_SECONDS:
            await asyncio.sleep(0)
            began = time.perf_counter()


def matching(query: Query, rows: Sequence[Row]) -> Generator[None, None, Sequence[Row]]:
    """Return the rows that fulfil all conditions, in the order asked for, in many small steps."""
    for about, test in query.tests:
        at, kept = _INDEX[about.name], list[Row]()
        for start in range(0, len(rows), _AT_A_TIME):
            kept += [row for row in rows[start : start + _AT_A_TIME] if test(row.cells[at])]
            yield
        rows = kept
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
