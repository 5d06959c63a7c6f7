"""What an import finds: a declaration, whose the service is, and what to know of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Imported:
    """A declaration of what runs.

    ``source`` is what was found, by kind, namespace and name. ``notes`` are what to know before it
    changes hands; ``obstacles`` keep it from being taken over with its pods: then the declaration
    is one of a new service beside it.
    """

    declaration: Mapping[str, Any]
    source: str
    notes: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the service is called."""
        return str(self.declaration["model_service_name"])
