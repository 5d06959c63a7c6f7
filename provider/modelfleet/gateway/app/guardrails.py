"""Guardrails of one route: which texts are let neither to a model nor back to the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .refusal import Refusal


class Guardrail:
    """Made of a route's ``guardrail`` in gateway.json. Compiles its patterns once."""

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self._declared = declared

    def refusal_of_request(self, body: Mapping[str, Any]) -> Refusal | None:
        """Why the body of a request is blocked, or None. Asked before any upstream is."""
        return None

    async def refusal_of_reply(self, body: Mapping[str, Any]) -> Refusal | None:
        """Why a whole JSON reply is blocked, or None."""
        return None
