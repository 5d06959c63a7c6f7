"""What goes wrong with a measurement itself."""

from __future__ import annotations

from modelfleet.errors import ModelFleetError


class BenchmarkError(ModelFleetError):
    """A figure could not be measured; says which step failed, with the end of its output."""
