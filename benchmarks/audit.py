"""Requests by the API server's own word: its audit log, read between two moments."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

READS = frozenset({"get", "list", "watch"})

_LAG_SECONDS = 0.5  # a reply may be there before the line about it


class AuditLog:
    """The audit log of one API server, in which every line is a finished request."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def counting(self) -> Iterator[Counter[tuple[str, str]]]:
        """Count the requests that end within the block, by verb and resource, into what is given.

        The counter is filled when the block ends.
        """
        counts: Counter[tuple[str, str]] = Counter()
        start = self._path.stat().st_size if self._path.exists() else 0
        yield counts
        time.sleep(_LAG_SECONDS)
        with self._path.open("rb") as log:
            log.seek(start)
            counts.update(requests_in(log.read().decode().splitlines()))

    def lines(self) -> list[str]:
        """Return all that is written down, once what has just ended is."""
        time.sleep(_LAG_SECONDS)
        return self._path.read_text().splitlines()


def requests_in(lines: Iterable[str]) -> Counter[tuple[str, str]]:
    """Return how often each (verb, resource) stands in lines of an audit log."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in lines:
        event = json.loads(line)
        counts[event["verb"], (event.get("objectRef") or {}).get("resource", "")] += 1
    return counts


def writes_in(counts: Counter[tuple[str, str]]) -> int:
    """Return how many of the requests were writes."""
    return sum(count for (verb, _), count in counts.items() if verb not in READS)


def lists_in(counts: Counter[tuple[str, str]]) -> int:
    """Return how many of the requests were LISTs."""
    return sum(count for (verb, _), count in counts.items() if verb == "list")
