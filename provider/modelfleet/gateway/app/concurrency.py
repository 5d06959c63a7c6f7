"""How many requests are under way at a time, of a route and of the whole proxy, in this process.

A declared limit is of all processes together, and each keeps its part of it, rounded up: sharing
the exact number would cost a round trip at the end of each request, and leave behind the slots of
a process that was killed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .refusal import Refusal, rate_refusal


class Slots:
    """``limits`` are by the names that are taken (``proxy``, ``route:<access name>``); None: none.

    ``processes`` is how many processes serve the proxy: replicas times workers.
    """

    def __init__(self, limits: Mapping[str, int | None], *, processes: int = 1) -> None:
        self._declared = {name: limit for name, limit in limits.items() if limit is not None}
        self._limits = {
            name: math.ceil(limit / processes) for name, limit in self._declared.items()
        }
        self._taken = dict.fromkeys(self._limits, 0)

    def take(self, names: Sequence[str]) -> Refusal | None:
        """Take one slot of each name, or none of any and return why. Unlimited names are free."""
        for name in names:
            if self._taken.get(name, 0) >= self._limits.get(name, math.inf):
                return _refusal(name, self._declared[name])
        for name in names:
            if name in self._taken:
                self._taken[name] += 1
        return None

    def give_back(self, names: Sequence[str]) -> None:
        """Give back what ``take`` took of the same names: once, however the request ended."""
        for name in names:
            if name in self._taken:
                self._taken[name] -= 1

    def taken(self, name: str) -> int:
        """How many slots of a limited name are taken now."""
        return self._taken.get(name, 0)


def _refusal(name: str, limit: int) -> Refusal:
    whose = name.replace(":", " ", 1) if ":" in name else f"the {name}"
    return rate_refusal(
        f"Too many requests are under way: concurrency_limit of {whose}: {limit:,}. "
        "Try again in 1 s.",
        retry_after_seconds=1,
    )


def slots_of(configuration: Mapping[str, Any]) -> Slots:
    """The slots that gateway.json asks for, of ``proxy`` and of each ``route:<access name>``."""
    routes = configuration["routes"].items()
    limits = {f"route:{name}": route["concurrency_limit"] for name, route in routes}
    limits["proxy"] = configuration["policies"]["concurrency_limit"]
    return Slots(limits, processes=configuration["processes"])
