"""For whom a verb is carried out: where it looks, what it sees, in whose name it writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelfleet.catalogue import Entry
from modelfleet.errors import ConflictError, ForbiddenError

DEFAULT_OWNER: Final = "modelfleet-client"
"""Whose resources those are that programs and the HTTP API make, where nobody says otherwise."""

DEFAULT_WORKSPACE: Final = "default"
"""What a resource without a workspace belongs to."""


@dataclass(frozen=True)
class Scope:
    """One caller's view of one cluster.

    Names are looked up, and made, in ``namespace``. ``workspaces`` are those whose resources may be
    seen and written, None for all; the first one is that of a resource made without any.
    ``namespaces`` are those beside its own whose resources it may name, None for all.
    ``take_ownership`` allows writes to what another owner declared, and makes it this owner's.
    """

    owner: str = DEFAULT_OWNER
    namespace: str = "default"
    cluster: str = "default"
    workspaces: tuple[str, ...] | None = None
    namespaces: tuple[str, ...] | None = None
    take_ownership: bool = False

    @property
    def is_bounded(self) -> bool:
        """Return whether there can be resources that may not be known of."""
        return self.workspaces is not None or self.namespaces is not None

    def reaches(self, namespace: str) -> bool:
        """Return whether resources of that namespace may be known of at all."""
        return self.namespaces is None or namespace in (self.namespace, *self.namespaces)

    def sees(self, workspace_id: str | None) -> bool:
        """Return whether a resource of that workspace may be seen at all."""
        return self.workspaces is None or (workspace_id or DEFAULT_WORKSPACE) in self.workspaces


def workspace_of(entry: Entry) -> str:
    """Return the workspace that a resource belongs to.

    Where its record cannot be read, that is told by what it is called.
    """
    if entry.spec is not None:
        return entry.spec.workspace_id or DEFAULT_WORKSPACE
    return entry.service.access_name.rpartition("/")[0] or DEFAULT_WORKSPACE


def is_visible(entry: Entry, scope: Scope) -> bool:
    """Return whether ``scope`` may know of a resource."""
    return scope.reaches(entry.key.namespace) and scope.sees(workspace_of(entry))


def in_workspace(declaration: Mapping[str, Any], scope: Scope, *, subject: str) -> dict[str, Any]:
    """Return ``declaration`` in a workspace of ``scope``, its first one where it names none.

    Raises:
        ForbiddenError: it names another one, or there is none at all.
    """
    named = declaration.get("workspace_id")
    first = scope.workspaces[0] if scope.workspaces else DEFAULT_WORKSPACE
    placed = dict(declaration)
    if named is None and first != DEFAULT_WORKSPACE:
        placed["workspace_id"] = first
    refuse_foreign_workspace(placed.get("workspace_id"), scope, subject=subject)
    return placed


def refuse_foreign_workspace(workspace_id: str | None, scope: Scope, *, subject: str) -> None:
    """Raise ForbiddenError where ``scope`` may not have a resource in that workspace."""
    if scope.sees(workspace_id):
        return
    own = ", ".join(scope.workspaces or ()) or "none"
    raise ForbiddenError(
        subject,
        f"workspace_id: {workspace_id or DEFAULT_WORKSPACE} is not a workspace of this caller's "
        f"(they are: {own})",
        status=403,
        hint="Name one of those, or have the account given that workspace.",
    )


def refuse_foreign_owner(entry: Entry, scope: Scope) -> None:
    """Raise ConflictError where another owner declared a resource, and it is to stay theirs."""
    owner = entry.service.owner
    if owner == scope.owner or scope.take_ownership:
        return
    raise ConflictError(
        f"{entry.key.kind} {entry.service.id}",
        f"belongs to {owner or 'nobody'}, and would be written by {scope.owner}",
        status=409,
        hint="Change it where it is declared, or say take_ownership=True to make it yours.",
    )
