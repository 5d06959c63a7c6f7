"""Pages of a listing, all of one moment: what comes and goes meanwhile moves nothing.

Keeps what was listed for whoever goes on, a bounded number of items for a bounded time. Asks nobody
and knows nothing of what is listed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from modelfleet.errors import Problem, SpecError

T = TypeVar("T")

KEPT_SECONDS: Final = 60.0
"""How long a listing is kept for whoever may ask for its next page."""

KEPT_LISTINGS: Final = 256
KEPT_ITEMS: Final = 200_000
"""How much is kept in all: some tens of MB, whatever callers do."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """Page ``number``, from 1, of a listing of ``total`` items; empty beyond the last one."""

    items: Sequence[T]
    number: int
    size: int
    total: int


class Pages:
    """The listings that callers are going through. Belongs to one event loop."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = KEPT_SECONDS,
        listings: int = KEPT_LISTINGS,
        items: int = KEPT_ITEMS,
    ) -> None:
        """Keep what was listed for ``seconds`` after its last page; the least used goes first."""
        self._clock = clock
        self._seconds = seconds
        self._most_listings = listings
        self._most_items = items
        self._kept: OrderedDict[Hashable, tuple[float, Sequence[Any]]] = OrderedDict()

    async def page(
        self,
        key: Hashable,
        *,
        number: int,
        size: int,
        make: Callable[[], Awaitable[Sequence[T]]],
    ) -> Page[T]:
        """Return one page of the listing that ``key`` names: who lists, and what.

        Page 1 is of what ``make`` returns now, and so are those that follow, for as long as that is
        kept; a page of a listing that is not kept any more begins another one.

        Raises:
            SpecError: pages are counted from 1, and hold at least one item.
        """
        _refuse_odd(page_number=number, page_size=size)
        found = self._found(key) if number > 1 else None
        items: Sequence[T] = await make() if found is None else found
        self._keep(key, items)
        begin = (number - 1) * size
        return Page(items[begin : begin + size], number, size, len(items))

    def _found(self, key: Hashable) -> Sequence[Any] | None:
        until, items = self._kept.get(key, (0.0, None))
        return items if self._clock() < until else None

    def _keep(self, key: Hashable, items: Sequence[Any]) -> None:
        now = self._clock()
        self._kept[key] = now + self._seconds, items
        self._kept.move_to_end(key)  # so those whose time is over stand first
        while next(iter(self._kept.values()))[0] <= now or self._is_too_much:
            self._kept.popitem(last=False)
            if not self._kept:
                return

    @property
    def _is_too_much(self) -> bool:
        count = sum(len(items) for _, items in self._kept.values())
        return len(self._kept) > self._most_listings or count > self._most_items


def _refuse_odd(**numbers: int) -> None:
    problems = [
        Problem(name, f"must be at least 1, and is {number}")
        for name, number in numbers.items()
        if number < 1
    ]
    if problems:
        raise SpecError("a listing", problems)
