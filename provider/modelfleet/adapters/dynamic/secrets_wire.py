"""Secrets as the engine wants them in results.

A value that the user passed as a secret stays one under the same key without our doing. A value
that we compute from a secret does not, and ``pulumi.Output.secret`` cannot be used on the threads
that serve calls (it wants an event loop of its own). This module gives such values the wire form.
"""

from __future__ import annotations

from typing import Any

from pulumi.runtime import rpc


def secret(value: Any) -> Any:
    """Return ``value`` marked so that the engine encrypts it in the state and masks it on screen.

    For results only: what comes back in a later call is plain again.
    """
    return rpc.wrap_rpc_secret(value)
