"""How much anybody may ask for: requests a second, bytes a body, requests at once, seconds.

Counts; what a refusal looks like is for each API. Connections and heads are bounded by the server.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.requests import HTTPConnection

from modelfleet.adapters.query_api.refusal import RefusedError

KEYS: Final = 20_000
"""Callers that are counted at once; who has asked for nothing the longest makes way."""

_BURST_SECONDS: Final = 2.0


class Rates:
    """A bucket of tokens for each caller: ``rate`` come in a second, ``burst`` at most are kept."""

    def __init__(
        self,
        rate: float,
        *,
        burst: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = max(1.0, rate * _BURST_SECONDS if burst is None else burst)
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, *, subject: str) -> None:
        """Take one token.

        Raises:
            RefusedError: there is none; it says when there will be.
        """
        self.require(key, subject=subject)
        self.note(key)

    def require(self, key: str, *, subject: str) -> None:
        """Raise where there is no token, and take none.

        Raises:
            RefusedError: there is none; it says when there will be.
        """
        tokens = self._tokens(key)
        if tokens < 1.0:
            seconds = math.ceil((1.0 - tokens) / self._rate)
            raise RefusedError(
                429,
                "TooOften",
                f"Too many requests of {subject}. Try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
            )

    def note(self, key: str) -> None:
        """Take one token, there or not."""
        self._buckets[key] = (max(0.0, self._tokens(key) - 1.0), self._now())
        self._buckets.move_to_end(key)
        if len(self._buckets) > KEYS:
            self._buckets.popitem(last=False)

    def _tokens(self, key: str) -> float:
        if key not in self._buckets:
            return self._burst
        left, at = self._buckets[key]
        return min(self._burst, left + (self._now() - at) * self._rate)


def address_of(request: HTTPConnection) -> str:
    """Return where a request comes from; of IPv6 the network that one customer gets."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host
