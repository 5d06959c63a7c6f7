"""A file that is read again when it has changed, asked for on requests and never in between.

The kubelet replaces mounted files by switching a link, so that a file is never half there; a file
edited in place may be, and then what was read before stays.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

STAT_SECONDS = 0.5

T = TypeVar("T")

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What a parser may raise over a file that is not as it expects."""


class WatchedFile(Generic[T]):
    """The value that ``parse`` makes of a file's bytes, and ``absent`` while there is none.

    What ``parse`` raises is said once on stderr, without the content.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], T], *, absent: T) -> None:
        self._path, self._parse, self._absent = path, parse, absent
        self._value = absent
        self._seen: object = None
        self._looked_at = -STAT_SECONDS
        self.is_sound = True
        self.version = 0
        """Counts up with each new value."""

    def current(self) -> T:
        """The value of the file as it was at most ``STAT_SECONDS`` ago."""
        now = time.monotonic()
        if now - self._looked_at >= STAT_SECONDS:
            self._looked_at = now
            self._look()
        return self._value

    def _look(self) -> None:
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen == self._seen:
                return
            content = self._path.read_bytes()
        except FileNotFoundError:
            if self._seen is not None or self.version == 0:
                self._take(self._absent)
            self._seen = None
            return
        except OSError as error:
            self._complain(type(error).__name__)
            return
        self._seen = seen
        try:
            self._take(self._parse(content))
        except _UNREADABLE as error:
            self._complain(type(error).__name__)

    def _take(self, value: T) -> None:
        self._value = value
        self.version += 1
        self.is_sound = True

    def _complain(self, reason: str) -> None:
        if self.is_sound:
            print(f"{self._path}: kept as it was, cannot be read: {reason}", file=sys.stderr)
        self.is_sound = False
