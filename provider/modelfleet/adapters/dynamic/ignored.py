"""The resource option ``ignore_changes``, as far as it is ours to keep.

The engine puts an ignored input back to what the state has, and so never shows or sends a change of
it. But the state does not know what an autoscaler or a person has made of it since: applied as the
state has it, an ignored field would be put back, which is what the user asked not to happen. So an
update applies ignored fields as they are. Reads the running call, and asks no cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelfleet.adapters.dynamic.calls import Call
from modelfleet.diff import differences
from modelfleet.spec.tree import Path

_STEP = re.compile(r"\[\"(?P<quoted>[^\"]*)\"\]|\[(?P<index>\d+|\*)\]|(?P<plain>[^.\[\]]+)")
_ANY = "*"


@dataclass(frozen=True)
class Ignored:
    """The paths of one resource's ``ignore_changes``; a path stands for everything below it."""

    paths: tuple[tuple[str, ...], ...]

    def __bool__(self) -> bool:
        return bool(self.paths)

    def __contains__(self, path: str | Path) -> bool:
        """Say whether the field at ``path``, a tuple or dotted text, is to stay as it is."""
        steps = _steps(path) if isinstance(path, str) else tuple(map(str, path))
        return any(
            len(ignored) <= len(steps)
            and all(own in (_ANY, step) for own, step in zip(ignored, steps, strict=False))
            for ignored in self.paths
        )

    def values(
        self, news: Mapping[str, Any], *, olds: Mapping[str, Any], live: Mapping[Path, Any]
    ) -> dict[Path, Any]:
        """Return, by path, what the ignored fields of the declaration ``news`` are to be instead.

        ``olds`` is what was applied last, ``live`` what others have made of that since.
        """
        applied = {path: old for path, (_, old) in differences(news, olds).items()}
        return {path: value for path, value in {**applied, **live}.items() if path in self}


def ignored_by(call: Call | None) -> Ignored:
    """Return what the running call, an update or a diff, is told to ignore."""
    given = getattr(call.request, "ignoreChanges", ()) if call is not None else ()
    return Ignored(tuple(map(_steps, given)))


def _steps(path: str) -> tuple[str, ...]:
    """Return the steps of a property path such as ``a.b["c/d"][0].*``."""
    return tuple(
        next(part for part in step.groups() if part is not None) for step in _STEP.finditer(path)
    )
