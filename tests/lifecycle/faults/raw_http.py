"""HTTP/1.1 messages as bytes on a stream: enough to forward them unchanged, and to cut them.

Reads heads and the raw bytes of bodies; understands lengths and chunks, and nothing else. Both
ends of the fault proxy are programs that speak HTTP well, so what is malformed is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

_PIECE_BYTES = 65_536


@dataclass(frozen=True)
class Head:
    """The first line of a message and its header fields, in lower case; ``raw`` is both."""

    raw: bytes
    first: str
    fields: dict[str, str]

    @property
    def status(self) -> int:
        """The status of a reply."""
        return int(self.first.split()[1])


@dataclass(frozen=True)
class Request:
    """What a client asks for, read whole."""

    method: str
    target: str
    raw: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def is_watch(self) -> bool:
        return "watch" in parse_qs(urlsplit(self.target).query)

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    def __str__(self) -> str:
        return f"{'WATCH' if self.is_watch else self.method} {self.path}"


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Return the next head, None where the peer has ended the connection instead."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = raw.decode("latin-1").rstrip().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return Head(raw, first, fields)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request of a connection, None at its end."""
    head = await read_head(reader)
    if head is None:
        return None
    method, target, _ = head.first.split()
    body = b"".join([piece async for piece in body_of(head, reader)])
    return Request(method, target, head.raw + body)


def content_of(head: Head, body: bytes) -> bytes:
    """Return the content of a whole ``body``, without the marks of its chunks."""
    if head.fields.get("transfer-encoding") != "chunked":
        return body
    content = b""
    while (size := int(body.split(b"\r\n", 1)[0], 16)) > 0:
        chunk = body.split(b"\r\n", 1)[1]
        content += chunk[:size]
        body = chunk[size + len(b"\r\n") :]
    return content


async def body_of(head: Head, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the bytes of the body that follows ``head``, as they come and as they are."""
    if head.fields.get("transfer-encoding") == "chunked":
        size = -1
        while size != 0:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            yield line + await reader.readexactly(size + len(b"\r\n"))
        return
    left = int(head.fields.get("content-length", 0))
    while left > 0:
        piece = await reader.readexactly(min(left, _PIECE_BYTES))
        left -= len(piece)
        yield piece
