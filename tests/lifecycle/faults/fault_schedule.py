"""Which request meets which fault: decided by a seed, or by a test. Pure.

A seed decides by what is asked for and how often that was asked for before, never by the clock, so
that it stands for the same faults however requests of several services fall in line.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Protocol

from faults.raw_http import Request


class Fault(StrEnum):
    """What can become of a request on its way to the API server and back."""

    CUT_BEFORE = "cut before the request"
    CUT_AFTER = "cut before the reply"
    CUT_REPLY = "cut in the reply"
    HALF_BODY = "half a body"
    STALL = "stalled"
    CONFLICT = "409"
    BUSY = "429 with Retry-After"
    INTERNAL = "500"
    NOT_READY = "503"
    CUT_WATCH = "watch cut in an event"
    EXPIRE_WATCH = "watch expired (410)"


OF_REQUESTS = tuple(fault for fault in Fault if "watch" not in fault)
OF_READS = tuple(fault for fault in OF_REQUESTS if fault is not Fault.CONFLICT)
OF_WATCHES = (
    Fault.CUT_WATCH,
    Fault.EXPIRE_WATCH,
    Fault.CUT_BEFORE,
    Fault.BUSY,
    Fault.INTERNAL,
    Fault.NOT_READY,
)


_RATE_OF_WATCHES = 0.4


class Schedule(Protocol):
    """Says what becomes of a request."""

    def __call__(self, request: Request) -> Fault | None:
        """Return the fault it meets, None where it passes."""
        ...


def no_faults(_request: Request) -> None:
    """Let everything pass."""


class Seeded:
    """Faults by chance: of all requests, the share ``rate`` meets one, until it is ``over``."""

    def __init__(self, seed: object, *, rate: float) -> None:
        self.over = False
        self._seed = seed
        self._rate = rate
        self._asked: Counter[str] = Counter()

    def __call__(self, request: Request) -> Fault | None:
        if self.over:
            return None
        # Without the namespace, which is that of whichever turn it is.
        asked = re.sub("/namespaces/[^/]+", "", str(request))
        self._asked[asked] += 1
        decisive = f"{self._seed} {asked} {self._asked[asked]}"
        chance = random.Random(decisive)  # noqa: S311 - chance that can be had again
        # Watches are few, and each of them lives long: a small share of them would be none.
        rate = max(self._rate, _RATE_OF_WATCHES) if request.is_watch else self._rate
        if chance.random() >= rate:
            return None
        if request.is_watch:
            return chance.choice(OF_WATCHES)
        return chance.choice(OF_REQUESTS if request.writes else OF_READS)


class Scripted:
    """The given faults, one after another, for the requests that ``when`` picks."""

    def __init__(self, faults: Iterable[Fault], *, when: Callable[[Request], bool]) -> None:
        self.left = list(faults)
        self._when = when

    def __call__(self, request: Request) -> Fault | None:
        return self.left.pop(0) if self.left and self._when(request) else None
