"""Who may call, and what for: accounts of a mounted file, which is read again when it changes.

Passwords are kept as slow hashes. Secrets of access keys cannot be: an HMAC is verified with the
secret itself, so the file is one to mount from a Secret. Never logs either.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelfleet.agentrun.scope import DEFAULT_OWNER, Scope


@dataclass(frozen=True)
class Account:
    """Somebody who may call.

    Resources are made and looked up by name in ``namespace``; queries see ``namespaces``, None for
    all. ``workspaces`` are those whose resources are seen and written, None for all.
    """

    name: str
    owner: str = DEFAULT_OWNER
    namespace: str = "default"
    namespaces: tuple[str, ...] | None = ("default",)
    workspaces: tuple[str, ...] | None = None
    may_write: bool = False
    may_read_credentials: bool = False

    @property
    def scope(self) -> Scope:
        """Return its view of the cluster."""
        return Scope(owner=self.owner, namespace=self.namespace, workspaces=self.workspaces)
