"""What a caller is told whose request is not let through: said once, whoever refuses.

Knows no request and no protocol; :mod:`.limits`, :mod:`.concurrency` and :mod:`.guardrails` make
refusals, and whoever answers the caller turns one into a reply.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """``code`` is the error's code, ``status`` the HTTP status of the reply.

    ``retry_after_seconds`` is None when waiting does not help.
    """

    code: str
    message: str
    retry_after_seconds: int | None
    status: int


def rate_refusal(message: str, *, retry_after_seconds: int) -> Refusal:
    """Too much now, and not too much later."""
    return Refusal("model_rate_limit_exceeded", message, retry_after_seconds, 429)
