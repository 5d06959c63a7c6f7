"""Windows of limits: which one a moment falls into, how long it lasts, what it refuses.

Pure arithmetic on seconds since 1970 (UTC). Windows are fixed and aligned to that clock: the
windows of ``tpd`` begin at midnight UTC. Keeps no counts; :mod:`.counters` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .refusal import Refusal, rate_refusal


@dataclass(frozen=True)
class Unit:
    """One kind of limit. ``seconds`` is how long its window lasts, None for one that never ends."""

    name: str
    seconds: int | None
    counts: Literal["requests", "tokens"]


UNITS: Mapping[str, Unit] = {
    unit.name: unit
    for unit in (
        Unit("rpm", 60, "requests"),
        Unit("tps", 1, "tokens"),
        Unit("tpm", 60, "tokens"),
        Unit("tph", 3_600, "tokens"),
        Unit("tpd", 86_400, "tokens"),
        Unit("token_quota", None, "tokens"),
    )
}
"""Every limit that can be declared, by the name it is declared under."""


@dataclass(frozen=True)
class Scope:
    """What is counted together: ``key:<name>``, ``route:<access name>`` or ``proxy``.

    ``limits`` are by the names of ``UNITS``; the counts of a scope outlive a change of its limits.
    """

    name: str
    limits: Mapping[str, int]


@dataclass(frozen=True)
class Bound:
    """One limit of one scope: at most ``limit`` of ``unit`` in each window."""

    scope: str
    unit: Unit
    limit: int


@dataclass(frozen=True)
class Reading:
    """What was used in the windows of ``now``, one count for each bound that was asked for."""

    now: float
    used: Sequence[int]

    def admits(self, bounds: Sequence[Bound]) -> bool:
        """Whether none of the bounds that were asked for is used up."""
        return all(used < bound.limit for used, bound in zip(self.used, bounds, strict=True))


def bounds_of(scopes: Sequence[Scope]) -> Sequence[Bound]:
    """Every limit of every scope. Raises ValueError for one of an unknown name."""
    return tuple(
        Bound(scope.name, unit_named(name), limit)
        for scope in scopes
        for name, limit in scope.limits.items()
    )


def unit_named(name: str) -> Unit:
    """The unit of that name. Raises ValueError when there is none."""
    try:
        return UNITS[name]
    except KeyError:
        raise ValueError(f"no such limit: {name!r}; there are {', '.join(UNITS)}") from None


def window_index(unit: Unit, *, now: float) -> int:
    """The number of the window that ``now`` falls into; always 0 for one that never ends."""
    return 0 if unit.seconds is None else int(now // unit.seconds)


def seconds_left(unit: Unit, *, now: float) -> float | None:
    """How long the window of ``now`` still lasts, in (0, ``unit.seconds``]; None for ever."""
    return None if unit.seconds is None else unit.seconds - now % unit.seconds


def refusal_by(bounds: Sequence[Bound], reading: Reading) -> Refusal | None:
    """The refusal of the limit that holds longest, of those that are used up; None without any.

    The longest, so that whoever waits as long as told is not refused by the next limit then.
    """
    used_up = [
        bound for bound, used in zip(bounds, reading.used, strict=True) if used >= bound.limit
    ]
    if not used_up:
        return None
    longest = max(used_up, key=lambda bound: _wait(bound, reading))
    wait = seconds_left(longest.unit, now=reading.now)
    if wait is None:
        return Refusal("insufficient_quota", f"The quota is used up: {_what(longest)}.", None, 402)
    seconds = max(1, math.ceil(wait))
    return rate_refusal(
        f"The rate limit is reached: {_what(longest)}. Try again in {seconds} s.",
        retry_after_seconds=seconds,
    )


def _wait(bound: Bound, reading: Reading) -> float:
    left = seconds_left(bound.unit, now=reading.now)
    return math.inf if left is None else left


def _what(bound: Bound) -> str:
    """Such as ``tpm of key team-a: 1,000 tokens``."""
    scope = bound.scope.replace(":", " ", 1) if ":" in bound.scope else f"the {bound.scope}"
    counted = bound.unit.counts if bound.limit != 1 else bound.unit.counts.removesuffix("s")
    return f"{bound.unit.name} of {scope}: {bound.limit:,} {counted}"
