"""What an import finds: a declaration, and what to know of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelfleet.resource_types import MODEL_SERVICE, ResourceType


@dataclass(frozen=True)
class Imported:
    """A declaration of what runs.

    ``source`` is what was found, by kind, namespace and name, and ``of`` what it is declared as.
    ``notes`` are what to know before it changes hands; ``obstacles`` keep it from being taken over
    with its pods: then the declaration is one of a new service beside it.
    """

    declaration: Mapping[str, Any]
    source: str
    of: ResourceType = MODEL_SERVICE
    notes: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the resource is called."""
        return str(self.declaration[self.of.name_field])
