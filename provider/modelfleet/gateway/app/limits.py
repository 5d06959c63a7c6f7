"""Limits of requests and tokens, of keys, routes and the whole proxy: asked once a request.

::

    admission = await limiter.admission(scopes)      # counts the request
    if admission.refusal: ...                        # say so, and no more
    ...                                              # answer, with admission.headers
    await limiter.settle(scopes, tokens=usage.total_tokens)

Windows are fixed and aligned to the clock (:mod:`.windows`). A request is refused when what is
used has reached a limit; its own tokens are added when they are known, so that a window can end
above its limit by what was under way. Where counts are kept, :mod:`.counters` and
:mod:`.shared_counters` know.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .counters import Counters, MemoryCounters
from .rate_headers import rate_limit_headers
from .redis_counters import CountersAway, RedisCounters, redis_client
from .refusal import Refusal
from .shared_counters import SharedCounters
from .windows import Scope, bounds_of, refusal_by

__all__ = ["Admission", "Limiter", "Refusal", "Scope", "limiter_of"]

PASSWORD_FILE = Path("/etc/modelfleet/redis/password")

_AWAY = Refusal(
    "service_unavailable", "Limits cannot be checked at the moment. Try again in 1 s.", 1, 503
)


@dataclass(frozen=True)
class Admission:
    """``refusal`` is None for a request that was admitted; ``headers`` go with every reply."""

    refusal: Refusal | None
    headers: Mapping[str, str]


_UNLIMITED = Admission(None, {})


class Limiter:
    """Admits requests and counts their tokens; without counters given, in memory."""

    def __init__(self, counters: Counters | None = None) -> None:
        self._counters = MemoryCounters() if counters is None else counters

    @property
    def has_redis(self) -> bool:
        """Whether counts are kept in a Redis."""
        return isinstance(self._counters, SharedCounters)

    @property
    def is_away(self) -> bool:
        """Whether the Redis that counts are kept in failed when it was last asked."""
        return self._counters.is_away

    async def admission(self, scopes: Sequence[Scope]) -> Admission:
        """Count a request in all scopes, or say why it is refused and count it in none."""
        bounds = bounds_of(scopes)
        if not bounds:
            return _UNLIMITED
        try:
            reading = await self._counters.admit(bounds)
        except CountersAway:
            return Admission(_AWAY, {})
        return Admission(refusal_by(bounds, reading), rate_limit_headers(bounds, reading))

    async def admit(self, scopes: Sequence[Scope]) -> Refusal | None:
        """The refusal of ``admission``, for who sends no headers."""
        return (await self.admission(scopes)).refusal

    async def settle(self, scopes: Sequence[Scope], *, tokens: int) -> None:
        """Add the tokens of an admitted request, as soon as they are known. Never raises."""
        bounds = [bound for bound in bounds_of(scopes) if bound.unit.counts == "tokens"]
        if bounds and tokens > 0:
            await self._counters.settle(bounds, tokens=tokens)

    async def close(self) -> None:
        """Let what is being settled end, and let go of connections."""
        await self._counters.close()


def limiter_of(configuration: Mapping[str, Any], *, password_file: Path = PASSWORD_FILE) -> Limiter:
    """The limiter that gateway.json asks for; nothing is connected before the first request."""
    declared = configuration["redis"]
    if declared is None or configuration["limit_scope"] == "replica":
        return Limiter()
    connect = functools.partial(
        redis_client,
        host=declared["host"],
        port=declared["port"],
        is_tls=declared["tls"],
        password_file=password_file,
    )
    counters = RedisCounters(connect, proxy=configuration["proxy"])
    return Limiter(SharedCounters(counters, on_failure=declared["on_failure"]))
