"""What a declaration may hold at all, wherever it stands: what JSON and Kubernetes can say.

Fields that are in a form of Kubernetes are not looked into by the spec; what nobody could write
down is found here, in whatever depth, before anything goes through it. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelfleet.errors import Problem
from modelfleet.spec.tree import Path, dotted

DEEPEST: Final = 64
"""How many maps and lists may stand inside one another; Kubernetes' own need about a dozen."""


def unsendable(body: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what in ``body`` cannot be written down, each by the path to it.

    A name that is no text is told by what it stands in: it could not be printed.
    """
    left: list[tuple[Path, Any]] = [((), body)]
    while left:
        path, value = left.pop()
        if isinstance(value, Mapping | list | tuple) and len(path) > DEEPEST:
            yield Problem(dotted(path[:1]), f"is nested more than {DEEPEST} levels deep")
            continue
        if isinstance(value, Mapping):
            if not all(isinstance(name, str) and _is_text(name) for name in value):
                yield Problem(dotted(path), "has a name that is no text")
                continue
            left += (((*path, name), item) for name, item in value.items())
        elif isinstance(value, list | tuple):
            left += (((*path, at), item) for at, item in enumerate(value))
        elif isinstance(value, str) and not _is_text(value):
            yield Problem(dotted(path), "must be text; it has half of a surrogate pair")
        elif isinstance(value, float) and not math.isfinite(value):
            yield Problem(dotted(path), "must be a finite number")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
