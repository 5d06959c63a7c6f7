"""A port of one pod as a port of this machine, over the API server, as ``kubectl port-forward``.

Whoever connects to the local port talks to the pod; nothing of the cluster's network is needed, and
NetworkPolicies do not apply, since it is the pod's own node that connects. Each local connection is
a ``tunnel`` of its own. What the pod ends is ended here; what breaks is reset, so that half an
answer never looks like a whole one, and told as ``failure``.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final

from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import Ref
from modelfleet.cluster.tunnel import Tunnel, tunnel_to
from modelfleet.errors import ModelFleetError

HOST: Final = "127.0.0.1"

_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: at once, and with what is unsent dropped


class LocalPort:
    """A free port of this machine; each connection to it is carried over a tunnel of its own.

    ``tunnel`` opens one. ``failure`` is what the last connection broke with, None while all is
    well: clients of the local port see no more than a connection that was reset.
    """

    def __init__(self, tunnel: Callable[[], AbstractAsyncContextManager[Tunnel]]) -> None:
        self.local_port = 0
        self.failure: ModelFleetError | None = None
        self._tunnel = tunnel
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._is_over = False

    @property
    def url(self) -> str:
        """The local address as a URL without a path."""
        return f"http://{HOST}:{self.local_port}"

    async def open(self) -> None:
        """Take connections from now on, if that is not so already."""
        if self._server is not None:
            return
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.local_port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """End what is under way, and take no more."""
        self._is_over = True
        if self._server is None:
            return
        await _take_no_more(self._server)
        self._server.close()
        tasks = tuple(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one local connection, in a task of its own."""
        if self._is_over:  # it had come before the port was closed
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)

        def forget(task: asyncio.Task[None]) -> None:
            self._connections.discard(task)
            writer.transport.abort()  # a task that is cancelled before it began has not done that

        task.add_done_callback(forget)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._tunnel() as tunnel:
                await tunnel.carry(reader, writer)
            writer.close()
            await writer.wait_closed()
        except ModelFleetError as error:
            self.failure = error
        except OSError:
            pass  # the client has gone, and needs nothing more
        finally:
            await _reset(writer)


class PortForward(LocalPort):
    """A local address that leads to a port of a pod, while :func:`port_forward` holds it open."""

    def __init__(self, client: Client, pod: Ref, *, port: int) -> None:
        super().__init__(lambda: tunnel_to(client, pod, port=port))


@asynccontextmanager
async def port_forward(client: Client, pod: Ref, *, port: int) -> AsyncIterator[PortForward]:
    """Hold a free local port open that leads to ``port`` of ``pod``.

    Whether it may be forwarded is tried first. Whether anything listens there shows when somebody
    connects.

    Raises:
        ForbiddenError: no right to ``pods/portforward``.
        NotFoundError: there is no such pod.
        UnavailableError: the API server, or the pod's node, cannot be reached.
    """
    forward = PortForward(client, pod, port=port)
    async with tunnel_to(client, pod, port=port):
        pass
    await forward.open()
    try:
        yield forward
    finally:
        await forward.aclose()


async def _take_no_more(server: asyncio.Server) -> None:
    """Have a server that is about to close finish what it has begun to accept.

    Python forgets a connection, and leaves its socket open, whose server has closed between the
    two steps of accepting it (``Server._attach`` asserts, and nobody is told).
    """
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows' loop, which accepts in another way
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
        await asyncio.sleep(0)


async def _reset(writer: asyncio.StreamWriter) -> None:
    """End a local connection so that its client sees that it broke; one that has ended stays so."""
    raw = writer.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
