"""What pods and containers of ours may do: no more than to run. Pure."""

from __future__ import annotations

from typing import Any, Final

USER_ID: Final = 2000
"""The user that vLLM's images are built to run under; any but root will do for others."""


def pod_security_context() -> dict[str, Any]:
    """Return as whom the containers of a pod run."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        # Group 0 owns what images leave writable for users they do not know, by OpenShift's
        # convention.
        "runAsGroup": 0,
        "fsGroup": USER_ID,
        # Without it, every file of a large volume would change hands before the pod starts.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def security_context(*, read_only: bool = False) -> dict[str, Any]:
    """Return what a container may do; ``read_only`` where it writes to its volumes alone.

    GPU runtimes refresh the linker's cache inside the container, and engines write temporary files:
    both need a root file system that can be written.
    """
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only,
    }
