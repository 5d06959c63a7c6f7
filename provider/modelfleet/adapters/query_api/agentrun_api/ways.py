"""How this server reaches the pods of proxies and services: their Service, or a held-open port.

Inside of the cluster a request goes to the Service; outside of it through a port-forward that all
requests to one resource share. Sends what it is given and adds nothing; follows no redirect.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from typing import Final

import httpx

from modelfleet import labels
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.catalogue import Entry
from modelfleet.fleet import Fleet
from modelfleet.standing_port import StandingPorts
from modelfleet.targets import Target

CONNECT_SECONDS: Final = 10.0

Headers = Sequence[tuple[bytes, bytes]]


class Ways:
    """The ways to the resources of one fleet. Belongs to one event loop."""

    def __init__(self, fleet: Fleet) -> None:
        """Nothing is opened before the first request."""
        self._fleet = fleet
        self._ports = StandingPorts(fleet.client, fleet.catalogue)
        # How long an answer takes is for the guard, and for the gateway.
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self._client = httpx.AsyncClient(
            timeout=timeout, limits=limits, trust_env=False, follow_redirects=False
        )

    @classmethod
    def of(cls, parts: Parts) -> Ways:
        """Return those of a server, for :meth:`Parts.one`."""
        return cls(parts.fleet)

    async def send(
        self,
        entry: Entry,
        *,
        method: str,
        target: str,
        headers: Headers,
        content: AsyncIterable[bytes] | None,
    ) -> httpx.Response:
        """Send a request to path and query ``target``; whoever gets the response closes it.

        Raises:
            NotReadyError: nobody would answer; says why.
            ClusterError: there is no way to the pods.
            httpx.TransportError: the connection failed, or broke.
        """
        url = await self._url(entry) + target
        # Not the client's own build_request: it would add headers of its own.
        request = httpx.Request(method, url, headers=list(headers), content=content)
        request.extensions["timeout"] = self._client.timeout.as_dict()
        return await self._client.send(request, stream=True)

    def failure(self, entry: Entry) -> str:
        """Return why the last connection on a held-open port broke, as far as it is known."""
        failure = self._ports.failure(entry.key)
        return str(failure) if failure else ""

    async def aclose(self) -> None:
        """End everything."""
        await self._client.aclose()
        await self._ports.aclose()

    async def _url(self, entry: Entry) -> str:
        target = _target(entry)
        if self._fleet.client.access.is_own_cluster:
            ref = target.service_ref
            return labels.endpoint(ref.name, namespace=ref.namespace)
        port = await self._ports.to(entry.key, target)
        await port.open()
        await port.check()
        return port.url


def _target(entry: Entry) -> Target:
    """Return who is reached, by what the catalogue knows: no request is sent to find out."""
    return Target(
        entry.service,
        model_type="",
        models=(),
        model=None,
        credential_name=None,
        primary=entry.primary,
    )
