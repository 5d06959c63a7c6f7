"""What a process asks an API server, counted: a proxy on loopback that forwards and writes down.

Whoever is to be counted gets a kubeconfig that names the proxy, over plain HTTP and without any
credentials; the proxy presents its own, over verified TLS. Streams pass as they come, so that a
watch stays a watch.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import h11
import httpx
import yaml
from anyio.from_thread import start_blocking_portal

from modelfleet.cluster.kubeconfig import load_access

_OF_THE_CONNECTION = {b"host", b"connection", b"transfer-encoding", b"content-length"}
_READ_BYTES = 65_536


class CountingProxy:
    """Counts requests as ``"<method> <path>"``, watches as ``"WATCH <path>"``."""

    def __init__(self, kubeconfig: Path) -> None:
        access = load_access(kubeconfig=str(kubeconfig))
        self.requests: Counter[str] = Counter()
        self._server = access.server
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {access.token}"},
            verify=ssl.create_default_context(cadata=access.certificate_authority),
            timeout=httpx.Timeout(30, read=None),  # a watch says nothing for a minute
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        )

    @contextmanager
    def serving(self, kubeconfig: Path) -> Iterator[None]:
        """Serve from a thread of its own, and write ``kubeconfig``, which points here."""
        with (
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(self._open()) as port,
        ):
            kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{port}"))
            yield

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[int]:
        connections: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
            await self._http.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after another."""
        connection = h11.Connection(h11.SERVER)
        try:
            while (request := await _event(connection, reader)) and isinstance(
                request, h11.Request
            ):
                body = b""
                while isinstance(part := await _event(connection, reader), h11.Data):
                    body += part.data
                await self._forward(request, body, connection, writer)
                connection.start_next_cycle()
        except (OSError, httpx.HTTPError, h11.ProtocolError):
            pass  # the counted process has ended, in the middle of a watch for example
        finally:
            writer.close()

    async def _forward(
        self,
        request: h11.Request,
        body: bytes,
        connection: h11.Connection,
        writer: asyncio.StreamWriter,
    ) -> None:
        method, target = request.method.decode(), request.target.decode()
        self._count(method, target)
        kept = [(name, value) for name, value in request.headers if name not in _OF_THE_CONNECTION]
        async with self._http.stream(
            method, self._server + target, headers=kept, content=body
        ) as reply:
            headers = [
                (name.lower(), value)
                for name, value in reply.headers.raw
                if name.lower() not in _OF_THE_CONNECTION
            ]
            headers.append((b"transfer-encoding", b"chunked"))
            head = h11.Response(status_code=reply.status_code, headers=headers)
            writer.write(connection.send(head) or b"")
            async for part in reply.aiter_raw():
                writer.write(connection.send(h11.Data(data=part)) or b"")
                await writer.drain()
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    def _count(self, method: str, target: str) -> None:
        url = urlsplit(target)
        verb = "WATCH" if "watch" in parse_qs(url.query) else method
        self.requests[f"{verb} {url.path}"] += 1


async def _event(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(_READ_BYTES))
    return event


def _kubeconfig(server: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "counted", "cluster": {"server": server}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "counted", "context": {"cluster": "counted", "user": "nobody"}}],
            "current-context": "counted",
        }
    )
