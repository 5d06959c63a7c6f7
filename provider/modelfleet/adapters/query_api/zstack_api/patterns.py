"""SQL's LIKE: ``%`` is any run of characters, ``_`` any one, a backslash before either itself.

Takes time in proportion to text times pattern, whatever the pattern: there is nothing to back out
of, since what stands between two ``%`` is best found where it comes first. So a pattern must not be
long, where there are many texts. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LONGEST: Final = 256
"""Characters of a pattern that a request may ask for."""

_TOKEN: Final = re.compile(r"\\[%_\\]|.", re.DOTALL)
_ANY_RUN: Final = "%"

Matches = Callable[[str], bool]


def like(pattern: str) -> Matches:
    """Return what says whether a text is like ``pattern``."""
    pieces = _pieces(pattern)
    first, *rest = [re.compile("".join(piece), re.DOTALL) for piece in pieces]
    if not rest:
        return lambda text: first.fullmatch(text) is not None
    *middle, last = rest
    lengths = [len(piece) for piece in pieces]
    least, begin_length, end_length = sum(lengths), lengths[0], lengths[-1]
    between = [piece for piece in middle if piece.pattern]

    def matches(text: str) -> bool:
        if len(text) < least or (begin_length and first.match(text) is None):
            return False
        at, end = begin_length, len(text) - end_length
        for piece in between:
            found = piece.search(text, at, end)
            if found is None:
                return False
            at = found.end()
        return not end_length or last.match(text, end) is not None

    return matches


def _pieces(pattern: str) -> list[list[str]]:
    """Return what stands between the runs, each as expressions for one character."""
    pieces: list[list[str]] = [[]]
    for token in _TOKEN.findall(pattern):
        if token == _ANY_RUN:
            pieces.append([])
        elif token == "_":  # noqa: S105
            pieces[-1].append(".")
        else:
            pieces[-1].append(re.escape(token[-1]))
    return pieces
