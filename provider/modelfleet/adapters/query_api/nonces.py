"""Signed requests that were accepted, so that nobody who overhears one can send it again.

One memory for all APIs of a process, bounded in number and in time. Only what was proved to come
from an account belongs in here: strangers must not be able to fill it.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from typing import Final

from modelfleet.adapters.query_api.refusal import RefusedError

_SLICES: Final = 32
"""In how many steps the time is forgotten for which a date is accepted."""


class ReplayedError(Exception):
    """A signed request was sent again, or could be one that was; the message says which."""


class Nonces:
    """Remembers each nonce, or signature, for as long as its date is accepted.

    ``capacity`` bounds how many; ``skew_seconds`` is how far a date may be from the clock.
    """

    def __init__(
        self, *, capacity: int, skew_seconds: float, now: Callable[[], float] = time.time
    ) -> None:
        self._capacity = capacity
        self._skew_seconds = skew_seconds
        self._now = now
        self._since = math.floor(now())  # some dates have whole seconds only
        self._slice_seconds = 2 * skew_seconds / _SLICES
        self._slices: dict[int, set[bytes]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def is_timely(self, signed_at: float) -> bool:
        """Return whether a date, in seconds since 1970, is near enough to the clock."""
        return abs(signed_at - self._now()) <= self._skew_seconds

    def spend(self, nonce: str, *, signed_at: float, changes: bool = False) -> None:
        """Accept ``nonce`` this once; call it after the signature was verified.

        ``nonce`` is looked for among those of the same date, so let it be one of an account or
        contain what is signed. ``changes`` says that the request writes: then it must not have been
        signed before this process began, since the one before it may have accepted it.

        Raises:
            ReplayedError: it was accepted before, or may have been.
            RefusedError: as many as can be remembered are; accepting one more would be unsafe.
        """
        if not self.is_timely(signed_at):
            raise ReplayedError("Its date is too far from this server's. Set your clock.")
        if changes and signed_at < self._since:
            raise ReplayedError(
                "It was signed before this server started. Sign it anew; if that does not help, "
                "set your clock."
            )
        digest = hashlib.blake2b(nonce.encode(), digest_size=16).digest()
        number = math.floor((signed_at + self._skew_seconds) / self._slice_seconds)
        if digest in self._slices.get(number, ()):
            raise ReplayedError("It was accepted before. Sign every request anew.")
        if self._count >= self._capacity:
            self._forget()
        if self._count >= self._capacity:
            raise RefusedError(
                503,
                "Busy",
                "More signed requests were accepted of late than can be remembered.",
                headers={"Retry-After": str(math.ceil(self._slice_seconds))},
            )
        if number not in self._slices:
            self._forget()
        self._slices.setdefault(number, set()).add(digest)
        self._count += 1

    def _forget(self) -> None:
        """Forget whatever is refused by its date now."""
        current = math.floor(self._now() / self._slice_seconds)
        for number in [each for each in self._slices if each < current]:
            self._count -= len(self._slices.pop(number))
