"""Whether upstreams answer, looked at when somebody asks: the provider, before it calls us ready.

Callers' requests neither wait for it nor are steered by it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from .settings import Gateway, Settings, Upstream

_FRESH_SECONDS = 2.0
_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True)
class Finding:
    """What GET /models of an upstream came to: an HTTP status, or why there is none."""

    status: int | None
    reason: str | None

    @property
    def is_reachable(self) -> bool:
        """Whether it answers as an upstream does that takes our credential."""
        return self.status is not None and self.status < 400


class UpstreamChecks:
    """Asks each upstream at most every two seconds; those with one address and key only once."""

    def __init__(self, settings: Settings, gateway: Gateway) -> None:
        self._settings, self._gateway = settings, gateway
        self._lock = asyncio.Lock()
        self._found: Mapping[tuple[str, int | None], Finding] = {}
        self._found_at = -_FRESH_SECONDS

    async def document(self) -> dict[str, Any]:
        """``{"upstreams": {id: {name, field, service, reachable, status, reason}}}``."""
        found = await self._findings()
        return {
            "upstreams": {
                upstream.id: _described(upstream, found[upstream.base_url, upstream.credential])
                for upstream in self._gateway.upstreams.values()
            }
        }

    async def _findings(self) -> Mapping[tuple[str, int | None], Finding]:
        async with self._lock:
            if time.monotonic() - self._found_at >= _FRESH_SECONDS:
                places = {(u.base_url, u.credential) for u in self._gateway.upstreams.values()}
                async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
                    found = await asyncio.gather(*(self._ask(client, *p) for p in places))
                self._found = dict(zip(places, found, strict=True))
                self._found_at = time.monotonic()
            return self._found

    async def _ask(
        self, client: httpx.AsyncClient, base_url: str, credential: int | None
    ) -> Finding:
        headers = {}
        if credential is not None:
            try:
                key = self._settings.credential_file(credential).read_text().strip()
            except OSError:
                return Finding(None, "its credential is not mounted")
            headers["authorization"] = f"Bearer {key}"
        try:
            # Of the answer only the head is read: there may be no end to the rest.
            url = f"{base_url.rstrip('/')}/models"
            async with client.stream("GET", url, headers=headers) as reply:
                return Finding(reply.status_code, _reason(reply.status_code))
        except httpx.TimeoutException:
            return Finding(None, f"no answer within {_TIMEOUT_SECONDS:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return Finding(None, str(error) or type(error).__name__)


def _reason(status: int) -> str | None:
    if status < 400:
        return None
    if status in (401, 403):
        return f"it refuses the credential ({status})"
    return f"GET /models answers {status}"


def _described(upstream: Upstream, finding: Finding) -> dict[str, Any]:
    return {
        "name": upstream.name,
        "field": upstream.field,
        "service": upstream.service,
        "reachable": finding.is_reachable,
        "status": finding.status,
        "reason": finding.reason,
    }
