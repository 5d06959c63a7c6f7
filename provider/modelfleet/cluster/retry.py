"""When to try again, and how long to wait before: pure arithmetic, no clock of its own.

Only :class:`UnavailableError` is ever retried. Every request of this package is idempotent (reads,
server-side apply and deletes under preconditions), so a request whose reply was lost may be sent
again.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelfleet.cluster.jitter import jittered
from modelfleet.errors import UnavailableError


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with jitter, within a total budget; all in seconds."""

    first_delay_seconds: float = 0.2
    longest_delay_seconds: float = 5.0
    budget_seconds: float = 30.0

    def delay_seconds(
        self, error: UnavailableError, *, attempt: int, spent_seconds: float
    ) -> float | None:
        """Return how long to wait after the failed ``attempt`` (from 0), or None to give up.

        What the server asked for (Retry-After) is the least we wait: coming back earlier is what
        got us refused. Half of our own delay is random, so that a thousand requests refused in
        the same moment do not return in the same moment.
        """
        ceiling = min(self.first_delay_seconds * 2.0**attempt, self.longest_delay_seconds)
        delay = jittered(ceiling)
        if error.retry_after_seconds is not None:
            delay += error.retry_after_seconds
        return delay if spent_seconds + delay <= self.budget_seconds else None


NO_RETRY = RetryPolicy(budget_seconds=0.0)
"""For requests whose answer is worth nothing later, such as a log read for a diagnosis."""
