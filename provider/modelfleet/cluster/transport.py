"""One request to the API server: connections, credentials, bounds, retries.

Knows HTTP and nothing of Kubernetes' verbs. Requests in flight are bounded here rather than by
the connection pool, whose queue would turn a busy moment into timeouts; watches, which stay open,
do not count.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx

from modelfleet.cluster.access import Access, ClientCertificate
from modelfleet.cluster.api_errors import Asked, api_error, unreachable_error
from modelfleet.cluster.credentials import Credential, Credentials
from modelfleet.cluster.retry import RetryPolicy
from modelfleet.cluster.tls import tls_context
from modelfleet.errors import ClusterError, ConfigError, UnavailableError

CONNECT_TIMEOUT_SECONDS: Final = 10.0
READ_TIMEOUT_SECONDS: Final = 30.0

Parameters = Mapping[str, str | int]


class Transport:
    """Sends requests to one API server. Belongs to the event loop that first uses it.

    ``requests`` counts what was sent, attempt by attempt, as ``"<verb> <plural>"``.
    """

    def __init__(
        self,
        access: Access,
        *,
        in_flight: int = 64,
        retry: RetryPolicy | None = None,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``http`` stands in for the network in tests."""
        self.access = access
        self.requests: Counter[str] = Counter()
        self._credentials = Credentials(access)
        self._in_flight = in_flight
        self._slots = asyncio.Semaphore(in_flight)
        self._retry = retry or RetryPolicy()
        self._http = http
        self._clients: dict[ClientCertificate | None, httpx.AsyncClient] = {}

    async def send(
        self,
        asked: Asked,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        content: bytes | None = None,
        content_type: str = "application/json",
        retry: RetryPolicy | None = None,
    ) -> httpx.Response:
        """Send a request until it is answered, and return the answer if it is a success.

        The request must be idempotent: one whose reply got lost is sent again. Raises the class of
        error that ``api_errors`` has for the answer.
        """
        policy = retry or self._retry
        started = time.monotonic()
        attempt = 0
        while True:
            try:
                async with self._slots:
                    return await self._sent_once(
                        asked, method, path, parameters or {}, content, content_type
                    )
            except UnavailableError as error:
                delay_seconds = policy.delay_seconds(
                    error, attempt=attempt, spent_seconds=time.monotonic() - started
                )
                if delay_seconds is None:
                    raise
            # Outside the slot: waiting for a busy server must not keep others from asking.
            await asyncio.sleep(delay_seconds)
            attempt += 1

    async def lines(
        self,
        asked: Asked,
        path: str,
        *,
        parameters: Parameters,
        silence_seconds: float,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncGenerator[str, None]:
        """Yield the lines of a long reply as they come; one attempt, no slot taken.

        ``on_open`` is called when the server has agreed, which may be long before the first line.
        ``silence_seconds`` without a byte is UnavailableError, as is a broken connection: a peer
        that died says nothing at all.
        """
        timeouts = httpx.Timeout(CONNECT_TIMEOUT_SECONDS, read=silence_seconds, pool=None)
        with _network_errors(asked, self.access):
            response = await self._authorized(
                asked, "GET", path, parameters, timeouts=timeouts, stream=True
            )
            try:
                if not response.is_success:
                    await response.aread()
                    raise self._error(asked, response)
                if on_open is not None:
                    on_open()
                async for line in response.aiter_lines():
                    yield line
            finally:
                await response.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    async def _sent_once(
        self,
        asked: Asked,
        method: str,
        path: str,
        parameters: Parameters,
        content: bytes | None,
        content_type: str,
    ) -> httpx.Response:
        with _network_errors(asked, self.access):
            response = await self._authorized(
                asked, method, path, parameters, content=content, content_type=content_type
            )
        if not response.is_success:
            raise self._error(asked, response)
        return response

    async def _authorized(
        self,
        asked: Asked,
        method: str,
        path: str,
        parameters: Parameters,
        *,
        content: bytes | None = None,
        content_type: str = "application/json",
        timeouts: httpx.Timeout | None = None,
        stream: bool = False,
    ) -> httpx.Response:
        """Send with the current credential; once more with a new one where it is refused."""
        for last in (False, True):
            credential = await self._credentials.current()
            client = self._client(credential)
            headers = self._headers(credential)
            if content is not None:
                headers.append(("Content-Type", content_type))
            request = client.build_request(
                method,
                self.access.server + path,
                params=parameters,
                content=content,
                headers=headers,
                timeout=timeouts or client.timeout,
                extensions=self._extensions(),
            )
            self.requests[f"{asked.verb} {asked.plural}"] += 1
            response = await client.send(request, stream=stream)
            refused = response.status_code == httpx.codes.UNAUTHORIZED
            if last or not refused or not self._credentials.refuse(credential):
                break
            await response.aclose()
        return response

    def _client(self, credential: Credential) -> httpx.AsyncClient:
        """Return the connections that present the certificate of ``credential``.

        A helper may hand out a new certificate while requests are in flight under the old one, so
        the old connections stay until ``aclose``.
        """
        certificate = credential.client_certificate
        if certificate not in self._clients:
            self._clients[certificate] = httpx.AsyncClient(
                verify=tls_context(self.access, certificate=certificate),
                # Its own reading of the environment would send loopback traffic to a proxy.
                trust_env=False,
                proxy=self.access.proxy_url,
                transport=self._http,
                headers={"Accept": "application/json", "User-Agent": "modelfleet"},
                timeout=httpx.Timeout(
                    READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS, pool=None
                ),
                limits=httpx.Limits(
                    max_connections=None, max_keepalive_connections=self._in_flight
                ),
            )
        return self._clients[certificate]

    def _headers(self, credential: Credential) -> list[tuple[str, str]]:
        headers = list(self.access.impersonation)
        if credential.token:
            headers.append(("Authorization", f"Bearer {credential.token}"))
        return headers

    def _extensions(self) -> dict[str, str]:
        name = self.access.tls_server_name
        return {"sni_hostname": name} if name else {}

    def _error(self, asked: Asked, response: httpx.Response) -> ClusterError:
        return api_error(
            asked, status=response.status_code, body=response.content, headers=response.headers
        )


@contextmanager
def _network_errors(asked: Asked, access: Access) -> Iterator[None]:
    """Turn every failure to get a whole reply into UnavailableError.

    A server whose certificate is not the expected one will not become another: ConfigError.
    """
    try:
        yield
    except httpx.TimeoutException as error:
        raise unreachable_error(asked, f"timed out ({type(error).__name__})") from error
    except httpx.HTTPError as error:
        if distrust := _distrust(error):
            raise ConfigError(
                f"{asked.subject}: the API server {access.server} is not trusted: {distrust}.",
                hint=f"Check certificate-authority and tls-server-name in {access.source}.",
            ) from error
        raise unreachable_error(asked, str(error) or type(error).__name__) from error


def _distrust(error: BaseException | None) -> str:
    """Return why a certificate was not accepted, where that is what ``error`` comes from."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""
