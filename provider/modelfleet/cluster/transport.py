"""One request to the API server: with which credentials, over which connection, how often.

Knows HTTP and nothing of Kubernetes' verbs.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from typing import Final

import anyio
import httpcore
import httpx

from modelfleet.cluster.access import Access, ClientCertificate
from modelfleet.cluster.api_errors import Asked, api_error, unreachable_error
from modelfleet.cluster.connections import Connections
from modelfleet.cluster.credentials import Credential, Credentials
from modelfleet.cluster.retry import RetryPolicy
from modelfleet.errors import ClusterError, ConfigError, UnavailableError

Parameters = Mapping[str, str | int]


def parameters_of(**given: str | int | None) -> dict[str, str | int]:
    """Return what is set of ``given``."""
    return {name: value for name, value in given.items() if value not in ("", None)}


_Http = httpx.AsyncClient

_CHUNK_BYTES: Final = 65_536


@dataclass(frozen=True)
class _Wanted:
    """A request, before it is known who sends it. ``silence_seconds`` is a watch's."""

    method: str
    path: str
    parameters: Parameters
    content: bytes | None = None
    content_type: str = ""
    silence_seconds: float | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Upgraded:
    """A connection that speaks another protocol from here on. ``headers`` agreed to it."""

    headers: Mapping[str, str]
    stream: httpcore.AsyncNetworkStream
    asked: Asked

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the end. Raises UnavailableError where it broke."""
        try:
            return await self.stream.read(_CHUNK_BYTES)
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise self.broken(str(error)) from error

    async def write(self, content: bytes) -> None:
        """Send bytes, as fast as they are taken. Raises UnavailableError where it broke.

        For one at a time: whole frames must not mix.
        """
        try:
            await self.stream.write(content)
        # The last one slips through httpcore where TLS finds out that the peer has hung up.
        except (httpcore.NetworkError, httpcore.TimeoutException, anyio.EndOfStream) as error:
            raise self.broken(str(error)) from error

    def broken(self, cause: str) -> UnavailableError:
        """Return the error of a connection that broke."""
        return unreachable_error(self.asked, cause or "the connection broke")


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
        self._connections = Connections(access, in_flight=in_flight, http=http)
        self._retry = retry or RetryPolicy()

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
        error that ``api_errors`` has for the answer, which says whether a former attempt of a write
        may have been carried out.
        """
        wanted = _Wanted(method, path, parameters or {}, content, content_type)
        policy = retry or self._retry
        started = time.monotonic()
        attempt = 0
        maybe_written = False
        while True:
            try:
                return await self._sent_once(asked, wanted)
            except ClusterError as error:
                maybe_written = maybe_written or _may_be_written(wanted, error)
                error.maybe_written = maybe_written
                if not isinstance(error, UnavailableError):
                    raise
                delay_seconds = policy.delay_seconds(
                    error, attempt=attempt, spent_seconds=time.monotonic() - started
                )
                if delay_seconds is None:
                    raise
            # With no connection in hand: waiting for a busy server keeps nobody else from asking.
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
        """Yield the lines of a long reply as they come; one attempt, nobody's turn taken.

        ``on_open`` is called when the server has agreed, which may be long before the first line.
        ``silence_seconds`` without a byte is UnavailableError, as is a broken connection: a peer
        that died says nothing at all.
        """
        wanted = _Wanted("GET", path, parameters, silence_seconds=silence_seconds)
        with _network_errors(asked, self.access):
            async with self._reply(asked, wanted, connection=self._connections.own) as reply:
                if not reply.is_success:
                    await reply.aread()
                    raise _error(asked, reply)
                if on_open is not None:
                    on_open()
                async for line in reply.aiter_lines():
                    yield line

    @asynccontextmanager
    async def upgraded(
        self,
        asked: Asked,
        path: str,
        *,
        parameters: Parameters,
        headers: Mapping[str, str],
    ) -> AsyncIterator[Upgraded]:
        """Ask for another protocol by ``headers``, and give the connection to it; one attempt.

        The connection is nobody else's, takes nobody's turn, and is closed at the end.
        """
        wanted = _Wanted("GET", path, parameters, headers=tuple(headers.items()))
        async with AsyncExitStack() as stack:
            with _network_errors(asked, self.access):
                reply = await stack.enter_async_context(
                    self._reply(asked, wanted, connection=self._connections.own)
                )
                if reply.status_code != httpx.codes.SWITCHING_PROTOCOLS:
                    await reply.aread()
                    raise _error(asked, reply)
            yield Upgraded(reply.headers, reply.extensions["network_stream"], asked)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connections.aclose()

    async def _sent_once(self, asked: Asked, wanted: _Wanted) -> httpx.Response:
        with _network_errors(asked, self.access):
            async with self._reply(asked, wanted, connection=self._connections.lent) as reply:
                await reply.aread()
        if _is_half(reply):
            raise unreachable_error(asked, "only half of its reply came")
        if not reply.is_success:
            raise _error(asked, reply)
        return reply

    @asynccontextmanager
    async def _reply(
        self,
        asked: Asked,
        wanted: _Wanted,
        *,
        connection: Callable[[ClientCertificate | None], AbstractAsyncContextManager[_Http]],
    ) -> AsyncIterator[httpx.Response]:
        """Give the reply, its body still to be read; asked once more where we were refused."""
        is_last = False
        while True:
            credential = await self._credentials.current()
            async with connection(credential.client_certificate) as http:
                self.requests[f"{asked.verb} {asked.plural}"] += 1
                reply = await http.send(self._request(http, wanted, credential), stream=True)
                try:
                    is_refused = reply.status_code == httpx.codes.UNAUTHORIZED
                    if is_last or not is_refused or not self._credentials.refuse(credential):
                        yield reply
                        return
                finally:
                    await reply.aclose()
            is_last = True

    def _request(self, http: _Http, wanted: _Wanted, credential: Credential) -> httpx.Request:
        headers = [*self.access.impersonation, *wanted.headers]
        if credential.token:
            headers.append(("Authorization", f"Bearer {credential.token}"))
        if wanted.content is not None:
            headers.append(("Content-Type", wanted.content_type))
        timeout = http.timeout
        if wanted.silence_seconds is not None:
            timeout = httpx.Timeout(timeout.connect, read=wanted.silence_seconds, pool=None)
        name = self.access.tls_server_name
        return http.build_request(
            wanted.method,
            self.access.server + wanted.path,
            params=wanted.parameters,
            content=wanted.content,
            headers=headers,
            timeout=timeout,
            extensions={"sni_hostname": name} if name else {},
        )


def _may_be_written(wanted: _Wanted, error: ClusterError) -> bool:
    """Return whether a request that ended with ``error`` may have changed something.

    A server that is too busy says so before it does anything; one that fails may fail after.
    """
    if wanted.method == "GET" or error.status == httpx.codes.TOO_MANY_REQUESTS:
        return False
    return isinstance(error, UnavailableError)


def _is_half(reply: httpx.Response) -> bool:
    """Return whether a reply that counts only as a whole has lost its end on the way.

    A success says in its body what is there now, and a 404 what is not there: an object, or the
    path, which must not pass for it. Other refusals count by their status.
    """
    if not reply.is_success and reply.status_code != httpx.codes.NOT_FOUND:
        return False
    is_json = "json" in reply.headers.get("content-type", "json")
    return is_json and reply.content[:1] == b"{" and not reply.content.rstrip().endswith(b"}")


def _error(asked: Asked, reply: httpx.Response) -> ClusterError:
    return api_error(asked, status=reply.status_code, body=reply.content, headers=reply.headers)


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
            return error.verify_message.rstrip(".")
        error = error.__cause__ or error.__context__
    return ""
