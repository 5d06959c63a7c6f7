"""An API server with one pod behind it, as far as port-forwards go: on loopback, with real TLS.

Behaviours that KWOK does not have: a pod that ends, breaks, pings, is slow, or says nonsense.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import trustme
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping

PORT = 8000
NAME = "api.inner"
"""What the certificate is for, and nobody's address."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Asked:
    """One request: its line, its headers in lower case, and who the client's certificate names."""

    line: str
    headers: dict[str, str]
    certificate: str


class Pod:
    """What the pod's side of one connection can do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._socket = Connection(ConnectionType.SERVER)
        self._heard: list[Event] = []
        self._is_within = False

    async def say(self, data: bytes, *, channel: int = 0) -> None:
        self.writer.write(self._socket.send(BytesMessage(bytes((channel,)) + data)))
        await self.writer.drain()

    async def ping(self) -> None:
        self.writer.write(self._socket.send(Ping(b"there?")))

    async def hear(self) -> Event:
        """Return the next frame, a CloseConnection where the network ends."""
        while not self._heard:
            data = await self._reader.read(65_536)
            if not data:
                return CloseConnection(1006)
            self._socket.receive_data(data)
            self._heard += self._socket.events()
        return self._heard.pop(0)

    async def hear_data(self) -> bytes:
        """Return the next data; a large message comes in pieces, of which one names the channel."""
        event = await self.hear()
        assert isinstance(event, BytesMessage), event
        begins, self._is_within = not self._is_within, not event.message_finished
        return bytes(event.data)[1 if begins else 0 :]

    async def until_closed(self) -> None:
        while not isinstance(await self.hear(), CloseConnection):
            pass

    async def end(self) -> None:
        """Say goodbye as a kubelet does: with a frame, and at once with the connection."""
        self.writer.write(self._socket.send(CloseConnection(1000)))
        await self.writer.drain()

    async def fail(self, text: str) -> None:
        await self.say(text.encode(), channel=1)
        await self.end()


Behaviour = Callable[[Pod], Awaitable[None]]


@dataclass
class Node:
    """The server: ``asked`` is what it was asked, ``refusals`` what it answers before it agrees.

    The first connection that it accepts is the one that only tries; ``behaviour`` has the others.
    """

    behaviour: Behaviour
    refusals: list[tuple[int, str]] = field(default_factory=list)
    protocol: str = "v4.channel.k8s.io"
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    accepted: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip()
        line, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        subject = (writer.get_extra_info("peercert") or {}).get("subject", ())
        names = dict(pair for each in subject for pair in each)
        self.asked.append(Asked(line, headers, names.get("commonName", "nobody")))
        if self.refusals:
            status, body = self.refusals.pop(0)
            size = len(body.encode())
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: {size}\r\n\r\n{body}".encode())
            await writer.drain()
            return
        digest = hashlib.sha1(
            headers["sec-websocket-key"].encode() + _GUID, usedforsecurity=False
        ).digest()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Protocol: {self.protocol}\r\n"
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n".encode()
        )
        self.accepted += 1
        pod = Pod(reader, writer)
        for channel in (0, 1):
            await pod.say(PORT.to_bytes(2, "little"), channel=channel)
        await (pod.until_closed() if self.accepted == 1 else self.behaviour(pod))


@asynccontextmanager
async def running(node: Node, *, authority: trustme.CA) -> AsyncIterator[Node]:
    """Run the node; it asks for a client certificate, and takes none as well."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    failures: list[BaseException] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(node.serve(reader, writer))
        node.tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    node.port = server.sockets[0].getsockname()[1]
    try:
        yield node
    finally:
        server.close()
        async with asyncio.timeout(120):
            results = await asyncio.gather(*node.tasks, return_exceptions=True)
        failures = [each for each in results if isinstance(each, BaseException)]
        assert not failures, failures
