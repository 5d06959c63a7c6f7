"""Connections to one API server, lent to one request at a time.

The pool of the HTTP library looks at every connection for every request: at 64 in flight that took
longer than the requests themselves, and its queue turns a busy moment into timeouts. So each
connection here is a pool of its own, and a request waits for its turn before it is lent one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from modelfleet.cluster.access import Access, ClientCertificate
from modelfleet.cluster.tls import tls_context

CONNECT_TIMEOUT_SECONDS: Final = 10.0
READ_TIMEOUT_SECONDS: Final = 30.0


class Connections:
    """At most ``in_flight`` connections for requests, and one more for every watch.

    They are kept apart by client certificate: a helper may hand out a new one while requests are
    in flight under the old one.
    """

    def __init__(
        self, access: Access, *, in_flight: int, http: httpx.AsyncBaseTransport | None
    ) -> None:
        """``http`` stands in for the network in tests."""
        self._access = access
        self._turns = asyncio.Semaphore(in_flight)
        self._http = http
        self._is_closed = False
        self._contexts: dict[ClientCertificate | None, ssl.SSLContext] = {}
        self._idle: defaultdict[ClientCertificate | None, list[httpx.AsyncClient]]
        self._idle = defaultdict(list)

    @asynccontextmanager
    async def lent(self, certificate: ClientCertificate | None) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a connection for one request, when it is its turn."""
        async with self._turns:
            # The one used last is the one most likely to be still open.
            idle = self._idle[certificate]
            client = idle.pop() if idle else self._opened(certificate)
            try:
                yield client
            finally:
                # One that comes back after the end, from a request that was given up, ends now.
                if self._is_closed:
                    await client.aclose()
                else:
                    idle.append(client)

    @asynccontextmanager
    async def own(self, certificate: ClientCertificate | None) -> AsyncIterator[httpx.AsyncClient]:
        """Give a connection of its own to a reply that stays open; it takes nobody's turn."""
        client = self._opened(certificate)
        try:
            yield client
        finally:
            await client.aclose()

    async def aclose(self) -> None:
        """Close all connections, those in use when they are given back."""
        self._is_closed = True
        for idle in self._idle.values():
            while idle:
                await idle.pop().aclose()

    def _opened(self, certificate: ClientCertificate | None) -> httpx.AsyncClient:
        if certificate not in self._contexts:
            self._contexts[certificate] = tls_context(self._access, certificate=certificate)
        return httpx.AsyncClient(
            verify=self._contexts[certificate],
            # Its own reading of the environment would send loopback traffic to a proxy.
            trust_env=False,
            proxy=self._access.proxy_url,
            transport=self._http,
            headers={"Accept": "application/json", "User-Agent": "modelfleet"},
            timeout=httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS, pool=None),
        )
