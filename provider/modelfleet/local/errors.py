"""The two errors of this package; both are part of the tree in :mod:`modelfleet.errors`."""

from __future__ import annotations

from modelfleet.errors import ModelFleetError


class LocalError(ModelFleetError):
    """A tool could not be built or started on this machine; the message says which and why."""


class NotRunningError(LocalError):
    """What was asked for needs a running plane, and there is none in this state folder."""
