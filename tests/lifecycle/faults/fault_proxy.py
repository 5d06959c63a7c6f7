"""A proxy between provider and API server on which requests meet faults, and all else passes.

What passes is forwarded byte by byte. Whoever is to meet the faults is given
:meth:`FaultProxy.access`: the plane's own credentials, the address of the proxy, and plain HTTP on
the way there; the way from there to the plane is verified TLS.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from faults.fault_schedule import Fault, Schedule, no_faults
from faults.raw_http import Head, Request, body_of, content_of, read_head, read_request
from modelfleet.cluster.access import Access

STALL_SECONDS = 0.2
RETRY_AFTER_SECONDS = 1
WATCH_CUT_AFTER_SECONDS = 0.3
"""How long a watch that is to be cut may say nothing before it is cut all the same."""

_ANSWERS = {
    Fault.CONFLICT: (409, "Conflict"),
    Fault.BUSY: (429, "TooManyRequests"),
    Fault.INTERNAL: (500, "InternalError"),
    Fault.NOT_READY: (503, "ServiceUnavailable"),
    Fault.EXPIRE_WATCH: (410, "Expired"),
}
_BEFORE_ALL_IS_READ = 262_144

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Saw = Callable[[Request], Awaitable[None]]


class _CutError(Exception):
    """The connection to the client ends here."""


class FaultProxy:
    """Forwards to the server of ``access``; ``schedule`` says what does not simply pass.

    ``injected`` counts faults, ``forwarded`` requests that reached the server. ``after_write``, if
    any, is awaited when the server has answered a write and the client does not know it yet.
    """

    def __init__(
        self,
        access: Access,
        schedule: Schedule = no_faults,
        *,
        stall_seconds: float = STALL_SECONDS,
        after_write: Saw | None = None,
    ) -> None:
        self.schedule = schedule
        self.injected: Counter[Fault] = Counter()
        self.forwarded: Counter[str] = Counter()
        self._stall_seconds = stall_seconds
        self._after_write = after_write
        self._upstream = access
        self._tls = ssl.create_default_context(cadata=access.certificate_authority)
        self._address = urlsplit(access.server)
        self._port = 0
        self._connections: set[asyncio.Task[None]] = set()

    def access(self) -> Access:
        """Return how to reach the API server through this proxy."""
        return replace(
            self._upstream, server=f"http://127.0.0.1:{self._port}", certificate_authority=None
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FaultProxy]:
        """Serve on a port of loopback, until left."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_BEFORE_ALL_IS_READ)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await self.cut_off()

    async def cut_off(self) -> None:
        """End all connections and take no more: to the server, its client has been killed."""
        self.schedule = _nothing_passes
        await self._end()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.schedule is _nothing_passes:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _end(self) -> None:
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after another, over one to the server."""
        upstream: Streams | None = None
        try:
            while (request := await read_request(reader)) is not None:
                fault = self.schedule(request)
                if fault is not None:
                    self.injected[fault] += 1
                if fault is Fault.CUT_BEFORE:
                    return
                if fault in _ANSWERS:
                    writer.write(_answer(*_ANSWERS[fault], request))
                    continue
                if fault is Fault.STALL:
                    await asyncio.sleep(self._stall_seconds)
                    if reader.at_eof():  # a server, too, lets go of what nobody waits for
                        return
                upstream = upstream or await self._connected()
                await self._forward(request, upstream, writer, fault=fault)
        except (OSError, asyncio.IncompleteReadError, _CutError):
            pass  # one of the two ends has gone away, or was to believe so
        finally:
            for each in (writer, upstream and upstream[1]):
                if each is not None:
                    each.transport.abort()

    async def _connected(self) -> Streams:
        host, port = self._address.hostname, self._address.port
        return await asyncio.open_connection(host, port, ssl=self._tls, limit=_BEFORE_ALL_IS_READ)

    async def _forward(
        self,
        request: Request,
        upstream: Streams,
        writer: asyncio.StreamWriter,
        *,
        fault: Fault | None,
    ) -> None:
        from_server, to_server = upstream
        self.forwarded[str(request)] += 1
        to_server.write(request.raw)
        head = await read_head(from_server)
        if head is None:
            raise _CutError
        if request.is_watch:
            await _pass_watch(head, from_server, writer, cut=fault is Fault.CUT_WATCH)
            return
        body = b"".join([piece async for piece in body_of(head, from_server)])
        if request.writes and self._after_write is not None:
            await self._after_write(request)
        if fault is Fault.CUT_AFTER:
            raise _CutError
        if fault is Fault.HALF_BODY:
            writer.write(_halved(head, body))
        else:
            writer.write(head.raw)
            writer.write(body[: len(body) // 2] if fault is Fault.CUT_REPLY else body)
        await writer.drain()
        if fault is Fault.CUT_REPLY:
            await _flushed(writer)
            raise _CutError


def _nothing_passes(_request: Request) -> Fault:
    return Fault.CUT_BEFORE


async def _pass_watch(
    head: Head, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter, *, cut: bool
) -> None:
    """Hand on events as they come; ``cut`` ends that in the middle of one, or of silence."""
    writer.write(head.raw)
    pieces = body_of(head, from_server)
    if cut:
        with suppress(TimeoutError, StopAsyncIteration):
            async with asyncio.timeout(WATCH_CUT_AFTER_SECONDS):
                piece = await anext(pieces)
                writer.write(piece[: len(piece) // 2])
                await writer.drain()
        await _flushed(writer)
        raise _CutError
    async for piece in pieces:
        writer.write(piece)
        await writer.drain()


async def _flushed(writer: asyncio.StreamWriter) -> None:
    """Return when what was written has left, so that the cut comes after it."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _halved(head: Head, body: bytes) -> bytes:
    """Return a whole reply with half of the body, as a broken middleman makes them."""
    content = content_of(head, body)
    half = content[: len(content) // 2]
    told = {**head.fields, "content-length": len(half)}
    kept = [f"{key}: {told[key]}" for key in told if key.startswith("content-")]
    return _lines([head.first, *kept]) + half


def _answer(status: int, reason: str, request: Request) -> bytes:
    """Return what an API server answers that cannot, or will not, do what is asked."""
    answer: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": f"{reason} for {request.method} {request.path}",
        "code": status,
    }
    body = json.dumps(answer).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        lines.append(f"Retry-After: {RETRY_AFTER_SECONDS}")
    return _lines(lines) + body


def _lines(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
