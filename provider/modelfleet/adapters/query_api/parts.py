"""What the handlers of both APIs share: the one of each that a process has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelfleet.fleet import Fleet


@dataclass(frozen=True)
class Parts:
    """The fleet that is served, and what guards it."""

    fleet: Fleet
