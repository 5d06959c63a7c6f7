"""Counts of what was used, in the memory of one process. Refuses nothing itself.

Safe for one event loop: nothing is awaited between reading a count and adding to it. Bounded: a
count whose window is over goes, at the latest a minute after the next request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from .windows import Bound, Reading, Unit, window_index

_SWEEP_SECONDS = 60


class Counters(Protocol):
    """Counts in the windows of now, by scope and unit."""

    async def admit(self, bounds: Sequence[Bound]) -> Reading:
        """Return what is used before this request, and count it unless a bound is used up.

        All or nothing: a request that one bound refuses counts in none.
        """
        ...

    async def settle(self, bounds: Sequence[Bound], *, tokens: int) -> None:
        """Add tokens to the windows of now, of each bound, all of which count tokens."""
        ...


class MemoryCounters:
    """``Counters`` of this process; ``clock`` returns seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._used: dict[tuple[str, str], tuple[Unit, int, int]] = {}
        self._swept_at = clock()

    def __len__(self) -> int:
        return len(self._used)

    async def admit(self, bounds: Sequence[Bound]) -> Reading:
        """See ``Counters``."""
        now = self._clock()
        self._sweep(now)
        used = tuple(self._count(bound, now=now) for bound in bounds)
        if all(count < bound.limit for count, bound in zip(used, bounds, strict=True)):
            for bound in bounds:
                if bound.unit.counts == "requests":
                    self._add(bound, 1, now=now)
        return Reading(now, used)

    async def settle(self, bounds: Sequence[Bound], *, tokens: int) -> None:
        """See ``Counters``."""
        now = self._clock()
        for bound in bounds:
            self._add(bound, tokens, now=now)

    def _count(self, bound: Bound, *, now: float) -> int:
        _, index, used = self._used.get((bound.scope, bound.unit.name), (bound.unit, -1, 0))
        return used if index == window_index(bound.unit, now=now) else 0

    def _add(self, bound: Bound, amount: int, *, now: float) -> None:
        used = self._count(bound, now=now) + amount
        index = window_index(bound.unit, now=now)
        self._used[bound.scope, bound.unit.name] = (bound.unit, index, used)

    def _sweep(self, now: float) -> None:
        if now - self._swept_at >= _SWEEP_SECONDS:
            self._swept_at = now
            self._used = {
                key: (unit, index, used)
                for key, (unit, index, used) in self._used.items()
                if index == window_index(unit, now=now)
            }
