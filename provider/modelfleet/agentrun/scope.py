"""For whom a verb is carried out: where it looks, what it may see, in whose name it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_OWNER: Final = "modelfleet-client"
"""Whose resources those are that programs and the HTTP API make, where nobody says otherwise."""

DEFAULT_WORKSPACE: Final = "default"
"""What a resource without a workspace belongs to."""


@dataclass(frozen=True)
class Scope:
    """One caller's view of one cluster.

    Names are looked up, and made, in ``namespace``. ``workspaces`` are those whose resources may be
    seen and written, None for all; the first one is that of a resource made without any.
    ``take_ownership`` allows writes to what another owner declared, and makes it this owner's.
    """

    owner: str = DEFAULT_OWNER
    namespace: str = "default"
    cluster: str = "default"
    workspaces: tuple[str, ...] | None = None
    take_ownership: bool = False

    def sees(self, workspace_id: str | None) -> bool:
        """Return whether a resource of that workspace may be seen at all."""
        return self.workspaces is None or (workspace_id or DEFAULT_WORKSPACE) in self.workspaces
