"""What pods tell on a port of their own, asked through the API server, a few of them at a time.

Ports that are in no Service and behind NetworkPolicies are reached all the same: it is the pod's
own node that connects. What is answered is JSON.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx

from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import Ref
from modelfleet.errors import UnavailableError

AT_ONCE: Final = 8
"""How many pods are asked at a time: each takes two connections through the API server."""

TIMEOUT_SECONDS: Final = 15.0


class PodRequests:
    """Requests to pods of one cluster. Belongs to the event loop that first uses it."""

    def __init__(self, client: Client, *, at_once: int = AT_ONCE) -> None:
        self._client = client
        self._turn = asyncio.Semaphore(at_once)
        # Each forwarded port is another one, so there is nothing to keep alive.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False)

    async def json(self, pod: Ref, path: str, *, port: int) -> Any:
        """Return what ``GET path`` on ``port`` of ``pod`` answers.

        Raises:
            ForbiddenError: no right to ``pods/portforward``.
            NotFoundError: there is no such pod.
            UnavailableError: it cannot be reached, or does not answer with JSON.
        """
        # Imported here: most commands ask no pod, and need not wait for the library of WebSockets.
        from modelfleet.cluster.port_forward import port_forward

        async with self._turn, port_forward(self._client, pod, port=port) as forward:
            try:
                response = await self._http.get(forward.url + path)
                response.raise_for_status()
                return response.json()
            except (httpx.HTTPError, ValueError) as error:
                if forward.failure is not None:
                    raise forward.failure from error
                told = str(error) or type(error).__name__
                raise UnavailableError(str(pod), f"{path} on its port {port}: {told}") from error

    async def aclose(self) -> None:
        """End connections."""
        await self._http.aclose()
