"""Counts in Redis, and what is done while it is away: refuse, or count in each replica.

Redis is asked until it fails. From then on everybody is answered at once without it, but for one
request a second, which finds out whether it is back. What could not be counted meanwhile is kept
and added when it is, if its window has not ended by then: the tokens of requests that Redis had
admitted, and, where replicas count on their own, all that they let through.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

from .counters import MemoryCounters
from .redis_counters import CountersAway, RedisCounters
from .windows import Bound, Reading

OnFailure = Literal["closed", "per_replica"]

PROBE_SECONDS = 1.0

# Scripts under way at a time, each on a connection of its own. Whoever waits for a turn is not
# waiting for Redis: many requests at once do not look like a Redis that is slow.
_TURNS = 16

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class SharedCounters:
    """``Counters`` of all processes of a proxy; ``monotonic`` returns seconds."""

    def __init__(
        self,
        counters: RedisCounters,
        *,
        on_failure: OnFailure,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counters = counters
        self._on_failure: OnFailure = on_failure
        self._monotonic = monotonic
        self._turns = asyncio.Semaphore(_TURNS)
        self._away_since: float | None = None
        self._next_probe_at = 0.0
        self._local = MemoryCounters()
        self._owed = MemoryCounters()
        self._settling: set[asyncio.Task[None]] = set()

    @property
    def is_away(self) -> bool:
        """Whether Redis failed when it was last asked."""
        return self._away_since is not None

    async def admit(self, bounds: Sequence[Bound]) -> Reading:
        """As ``Counters.admit`` does. Raises CountersAway where that is to refuse requests."""
        reading = await self._asked(lambda: self._counters.admit(bounds))
        if reading is not None:
            if self._on_failure == "per_replica":
                self._local.follow(bounds, reading)
            return reading
        if self._on_failure == "closed":
            raise CountersAway("Redis is away")
        reading = self._local.admit_now(bounds)
        if reading.admits(bounds):
            self._owed.add((bound, 1) for bound in bounds if bound.unit.counts == "requests")
        return reading

    async def settle(self, bounds: Sequence[Bound], *, tokens: int) -> None:
        """As ``Counters.settle`` does; goes on when who waits for it is cancelled. Never raises."""
        task = asyncio.create_task(self._settle([(bound, tokens) for bound in bounds]))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Let what is being settled end, and close the connections."""
        await asyncio.gather(*self._settling)
        await self._counters.close()

    async def _settle(self, amounts: Sequence[tuple[Bound, int]]) -> None:
        if self._on_failure == "per_replica":
            self._local.add(amounts)
        if await self._asked(lambda: self._added(amounts)) is None:
            self._owed.add(amounts)

    async def _added(self, amounts: Sequence[tuple[Bound, int]]) -> bool:
        await self._counters.add(amounts)
        return True

    async def _asked(self, question: Callable[[], Awaitable[_Answer]]) -> _Answer | None:
        """Redis' answer; None when it is away and now is not the time to ask."""
        if not self._may_ask():
            return None
        async with self._turns:
            if not self._may_ask():  # it went away while we waited for our turn
                return None
            is_probe = self.is_away
            self._next_probe_at = self._monotonic() + PROBE_SECONDS
            try:
                if is_probe:
                    await self._add_owed()
                answer = await question()
            except CountersAway as away:
                self._note_away(str(away))
                return None
            if is_probe:  # others may have been under way since before it went
                self._note_back()
            return answer

    async def _add_owed(self) -> None:
        owed = self._owed.drained()
        try:
            if owed:
                await self._counters.add(owed)
        except CountersAway:
            self._owed.add(owed)
            raise

    def _may_ask(self) -> bool:
        return not self.is_away or self._monotonic() >= self._next_probe_at

    def _note_away(self, reason: str) -> None:
        now = self._monotonic()
        self._next_probe_at = now + PROBE_SECONDS
        if self._away_since is None:
            self._away_since = now
            until = (
                "requests with limits are refused"
                if self._on_failure == "closed"
                else "each process counts on its own"
            )
            _log.error("Redis is away (%s): %s until it is back", reason, until)

    def _note_back(self) -> None:
        if self._away_since is not None:
            _log.warning("Redis is back after %.0f s", self._monotonic() - self._away_since)
            self._away_since = None
