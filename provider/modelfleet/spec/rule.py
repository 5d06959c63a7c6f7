"""What a rule between fields is: the paths it looks at, and a function from values to problems.

A rule runs when all of its paths are known and well-formed, also while other fields are unknown
or wrong. No rule stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modelfleet.errors import Problem
from modelfleet.spec.tree import value_in

Problems = Iterator[Problem]


@dataclass(frozen=True)
class Rule:
    """``check`` is called with the values at ``paths``, in order, defaults filled in.

    A rule that asks for ``names_only`` looks at whether a map is there and at the names in it, not
    at their values: it also runs while some of those are unknown or wrong, and must not read them.

    A rule that asks for ``gaps`` always runs, and gets ``UNKNOWN`` for what is unknown or wrong, at
    any depth: it says what holds all the same. Its values have every field of every model.
    """

    paths: tuple[str, ...]
    check: Callable[..., Problems]
    names_only: bool = False
    gaps: bool = False

    @cached_property
    def steps(self) -> tuple[tuple[str, ...], ...]:
        """The paths, each as its steps."""
        return tuple(tuple(path.split(".")) for path in self.paths)

    def values_in(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values at ``paths`` of a whole spec; None below what is absent."""
        return [value_in(values, steps) for steps in self.steps]


def rule(
    *paths: str, names_only: bool = False, gaps: bool = False
) -> Callable[[Callable[..., Problems]], Rule]:
    """Make a rule out of a function of the values at ``paths``."""
    return lambda check: Rule(paths, check, names_only, gaps)
