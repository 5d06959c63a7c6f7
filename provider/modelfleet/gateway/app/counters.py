"""Counts of what was used, in the memory of one process. Refuses nothing itself.

Safe for one event loop: nothing is awaited between reading a count and adding to it. Bounded: a
count whose window is over goes, at the latest a minute after the next request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from .windows import Bound, Reading, window_index

_SWEEP_SECONDS = 60


class Counters(Protocol):
    """Counts in the windows of now, by scope and unit."""

    @property
    def is_away(self) -> bool:
        """Whether the counts cannot be reached."""
        ...

    async def admit(self, bounds: Sequence[Bound]) -> Reading:
        """Return what is used before this request, and count it unless a bound is used up.

        All or nothing: a request that one bound refuses counts in none.
        """
        ...

    async def settle(self, bounds: Sequence[Bound], *, tokens: int) -> None:
        """Add tokens to the windows of now, of each bound, all of which count tokens."""
        ...

    async def close(self) -> None:
        """Let go of what is held open."""
        ...


class MemoryCounters:
    """``Counters`` of this process; ``clock`` returns seconds since 1970."""

    is_away = False

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # By scope and unit: a bound that was last counted, its window, and what was used in it.
        self._used: dict[tuple[str, str], tuple[Bound, int, int]] = {}
        self._swept_at = clock()

    def __len__(self) -> int:
        return len(self._used)

    async def admit(self, bounds: Sequence[Bound]) -> Reading:
        """See ``Counters``."""
        return self.admit_now(bounds)

    async def settle(self, bounds: Sequence[Bound], *, tokens: int) -> None:
        """See ``Counters``."""
        self.add((bound, tokens) for bound in bounds)

    async def close(self) -> None:
        """See ``Counters``."""

    def admit_now(self, bounds: Sequence[Bound]) -> Reading:
        """What ``admit`` does, for who cannot wait."""
        now = self._clock()
        self._sweep_if_due(now)
        reading = Reading(now, tuple(self._count(bound, now=now) for bound in bounds))
        if reading.admits(bounds):
            self.add((bound, 1) for bound in bounds if bound.unit.counts == "requests")
        return reading

    def add(self, amounts: Iterable[tuple[Bound, int]]) -> None:
        """Add to the windows of now."""
        now = self._clock()
        self._sweep_if_due(now)
        for bound, amount in amounts:
            self._set(bound, self._count(bound, now=now) + amount, now=now)

    def follow(self, bounds: Sequence[Bound], reading: Reading) -> None:
        """Take over what others counted, and the request that they admitted then."""
        now = self._clock()
        self._sweep_if_due(now)
        is_admitted = reading.admits(bounds)
        for bound, used in zip(bounds, reading.used, strict=True):
            one_more = is_admitted and bound.unit.counts == "requests"
            self._set(bound, used + one_more, now=now)

    def drained(self) -> Sequence[tuple[Bound, int]]:
        """What was added in windows that are not over, which is forgotten here."""
        self._sweep(self._clock())
        used, self._used = self._used, {}
        return [(bound, amount) for bound, _, amount in used.values()]

    def _count(self, bound: Bound, *, now: float) -> int:
        _, index, used = self._used.get((bound.scope, bound.unit.name), (bound, -1, 0))
        return used if index == window_index(bound.unit, now=now) else 0

    def _set(self, bound: Bound, used: int, *, now: float) -> None:
        index = window_index(bound.unit, now=now)
        self._used[bound.scope, bound.unit.name] = (bound, index, used)

    def _sweep_if_due(self, now: float) -> None:
        if now - self._swept_at >= _SWEEP_SECONDS:
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        self._swept_at = now
        self._used = {
            key: (bound, index, used)
            for key, (bound, index, used) in self._used.items()
            if index == window_index(bound.unit, now=now)
        }
