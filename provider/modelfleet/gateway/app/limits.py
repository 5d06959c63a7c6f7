"""Limits of requests and tokens, of keys, routes and the whole proxy: asked once a request.

::

    if refusal := await limiter.admit(scopes):   # counts the request
        ...
    await limiter.settle(scopes, tokens=usage.total_tokens)

Windows are fixed and aligned to the clock (:mod:`.windows`). A request is refused when what is
used has reached a limit; its own tokens are added when they are known, so that a window can end
above its limit by what was under way. Where counts are kept, :mod:`.counters` and
:mod:`.redis_counters` know.
"""

from __future__ import annotations

from collections.abc import Sequence

from .counters import Counters, MemoryCounters
from .refusal import Refusal
from .windows import Scope, bounds_of, refusal_by

__all__ = ["Limiter", "Refusal", "Scope"]


class Limiter:
    """Admits requests and counts their tokens; without counters given, in memory."""

    def __init__(self, counters: Counters | None = None) -> None:
        self._counters = counters or MemoryCounters()

    async def admit(self, scopes: Sequence[Scope]) -> Refusal | None:
        """Count a request in all scopes, or return why it is refused and count it in none."""
        bounds = bounds_of(scopes)
        if not bounds:
            return None
        return refusal_by(bounds, await self._counters.admit(bounds))

    async def settle(self, scopes: Sequence[Scope], *, tokens: int) -> None:
        """Add the tokens of an admitted request, as soon as they are known."""
        bounds = [bound for bound in bounds_of(scopes) if bound.unit.counts == "tokens"]
        if bounds and tokens > 0:
            await self._counters.settle(bounds, tokens=tokens)
