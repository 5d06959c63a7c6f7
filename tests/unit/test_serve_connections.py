"""Connections: nobody keeps one for nothing, and nobody keeps the process from its end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
import uvicorn
from served import until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from modelfleet.adapters.query_api import connections
from modelfleet.adapters.query_api.connections import HEAD_BYTES, Connection

HEAD = b"POST / HTTP/1.1\r\nHost: server\r\nContent-Length: 4\r\n\r\n"


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


@asynccontextmanager
async def listening(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, Any]]:
    """Give the port of a server, and the server."""
    config = uvicorn.Config(
        Starlette(routes=[Route("/", echo, methods=["POST"])]),
        http=Connection,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
        log_config=None,
        ssl_context_factory=(lambda *_: context) if context else None,
    )
    server = uvicorn.Server(config)
    on = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[on]))

    async def has_started() -> bool:
        return bool(server.started)

    await until(has_started)
    yield on.getsockname()[1], server
    server.should_exit = True
    await serving


@asynccontextmanager
async def connected(
    port: int, **tls: Any
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **tls)
    yield reader, writer
    writer.transport.abort()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Return the status line of an answer with a body of four bytes, and read all of it."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    await reader.readexactly(4)
    return head.partition(b"\r\n")[0]


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 60) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: server\r\n"])
async def test_a_head_that_does_not_come_to_an_end_ends_the_connection(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.05)
    async with listening() as (port, _), connected(port) as (reader, writer):
        writer.write(sent)
        assert await is_closed(reader)


async def test_the_next_head_must_come_to_an_end_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    async with listening() as (port, _), connected(port) as (reader, writer):
        writer.write(HEAD + b"1234")
        assert await answer(reader) == b"HTTP/1.1 200 OK"
        writer.write(b"POST / HT")
        assert await is_closed(reader)


async def test_between_requests_and_in_a_body_one_may_take_ones_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    async with listening() as (port, _), connected(port) as (reader, writer):
        for _request in range(2):
            writer.write(HEAD + b"12")
            await asyncio.sleep(0.6)
            writer.write(b"34")
            assert await answer(reader) == b"HTTP/1.1 200 OK"
            await asyncio.sleep(0.6)


async def test_a_head_has_bounds() -> None:
    async with listening() as (port, _), connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: server\r\nX: " + b"x" * 2 * HEAD_BYTES)
        line = await asyncio.wait_for(reader.readline(), 60)
        assert line == b"HTTP/1.1 400 Bad Request\r\n"


async def test_more_connections_than_may_be_are_ended_and_the_others_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MOST", 2)
    async with (
        listening() as (port, _),
        connected(port) as (first, to_first),
        connected(port) as (second, to_second),
    ):
        for reader, writer in ((first, to_first), (second, to_second)):
            writer.write(HEAD + b"1234")
            assert await answer(reader) == b"HTTP/1.1 200 OK"
        async with connected(port) as (third, _):
            assert await is_closed(third)
        to_first.write(HEAD + b"1234")
        assert await answer(first) == b"HTTP/1.1 200 OK"


async def test_a_caller_who_does_not_hang_up_does_not_keep_a_server_from_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "GOODBYE_SECONDS", 0.05)
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    tls = {"ssl": trusting, "server_hostname": "localhost"}
    async with listening(context) as (port, server), connected(port, **tls) as (reader, writer):
        writer.write(HEAD + b"1234")
        assert await answer(reader) == b"HTTP/1.1 200 OK"
        writer.transport.pause_reading()  # so that its goodbye is not answered
        server.should_exit = True

        async def has_ended() -> bool:
            return not server.server_state.connections

        await until(has_ended)
