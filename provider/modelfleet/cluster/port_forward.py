"""A port of one pod as a port of this machine, over the API server, as ``kubectl port-forward``.

Whoever connects to the local port talks to the pod; nothing of the cluster's network is needed, and
NetworkPolicies do not apply, since it is the pod's own node that connects. Each local connection is
one WebSocket (``channels`` has the protocol), with the credentials of every other request.

Ends of a connection: what the pod ends is ended here. The protocol has no half-close, so a client
that says it is done and still listens is served until the pod is silent for a while. What breaks is
reset, so that half an answer never looks like a whole one, and told as ``failure``.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from modelfleet.cluster.channels import (
    Channels,
    Ended,
    Failure,
    NotSpoken,
    Pinged,
    Received,
    check_upgrade,
    upgrade_headers,
)
from modelfleet.cluster.client import Client
from modelfleet.cluster.container_state import short
from modelfleet.cluster.objects import Ref
from modelfleet.cluster.transport import Upgraded
from modelfleet.errors import ClusterError, ModelFleetError, NotFoundError, UnavailableError

HOST: Final = "127.0.0.1"

HALF_CLOSED_SECONDS: Final = 10.0
"""How long a pod may be silent once its client has said all. Container runtimes give it 0.5 s."""

PING_SECONDS: Final = 25.0
"""Load balancers drop connections that are silent for a minute; a model may think for longer."""

_CLOSE_SECONDS: Final = 1.0
_CHUNK_BYTES: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: at once, and with what is unsent dropped

# A peer that died says nothing. Pings cannot tell: their answers wait behind what is not yet read.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class PortForward:
    """A local address that leads to a port of a pod, while :func:`port_forward` holds it open.

    ``failure`` is what the last connection broke with, None while all is well: clients of the
    local port see no more than a connection that was reset.
    """

    def __init__(self, client: Client, pod: Ref, *, port: int) -> None:
        self.pod = pod
        self.port = port
        self.local_port = 0
        self.failure: ModelFleetError | None = None
        self._client = client
        self._connections: set[asyncio.Task[None]] = set()
        self._is_over = False

    @property
    def url(self) -> str:
        """The local address as a URL without a path."""
        return f"http://{HOST}:{self.local_port}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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

    async def end_connections(self) -> None:
        """End what is under way, and take no more."""
        self._is_over = True
        tasks = tuple(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with _tunnel(self._client, self.pod, port=self.port) as tunnel:
                await tunnel.carry(reader, writer)
            writer.close()
            await writer.wait_closed()
        except ModelFleetError as error:
            self.failure = error
        except OSError:
            pass  # the client has gone, and needs nothing more
        finally:
            await _reset(writer)


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
    async with _tunnel(client, pod, port=port):
        pass
    server = await asyncio.start_server(forward.accept, HOST, 0)
    try:
        forward.local_port = server.sockets[0].getsockname()[1]
        yield forward
    finally:
        server.close()
        await forward.end_connections()
        await server.wait_closed()


class _Tunnel:
    """One open WebSocket to a port of a pod."""

    def __init__(self, connection: Upgraded, pod: Ref, *, port: int) -> None:
        self._connection = connection
        self._pod = pod
        self._port = port
        self._channels = Channels(port)
        self._turn = asyncio.Lock()
        self._is_mid_frame = False
        self._pong = b""
        self._pinged = asyncio.Event()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until the pod ends it, or the client is gone.

        Raises ClusterError for every other end, OSError where the client broke it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as silence:
                aside = [
                    asyncio.create_task(self._send_all(reader, silence)),
                    asyncio.create_task(self._stay_alive()),
                ]
                try:
                    await self._receive_all(writer, silence)
                finally:
                    for task in aside:
                        task.cancel()
                    await asyncio.gather(*aside, return_exceptions=True)

    async def close(self) -> None:
        """Say goodbye, unless half a frame is under way, which it would become a part of."""
        if not self._is_mid_frame:
            with suppress(UnavailableError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._send(self._channels.close())

    async def _send_all(self, reader: asyncio.StreamReader, silence: asyncio.Timeout) -> None:
        """Send what the client says; once it has said all, let the pod's silence end it.

        Where the connection breaks, whoever receives hears of it, and why.
        """
        loop = asyncio.get_running_loop()
        try:
            while data := await reader.read(_CHUNK_BYTES):
                if not self._channels.is_open:
                    return
                await self._send(self._channels.data(data))
        except OSError:
            silence.reschedule(loop.time())
        except UnavailableError:
            pass
        else:
            silence.reschedule(loop.time() + HALF_CLOSED_SECONDS)

    async def _receive_all(self, writer: asyncio.StreamWriter, silence: asyncio.Timeout) -> None:
        failure = ""
        while True:
            for event in self._events(await self._connection.read()):
                match event:
                    case Received(data):
                        writer.write(data)
                    case Pinged(pong):
                        self._pong = pong
                        self._pinged.set()
                    case Failure(text):
                        failure = text
                    case Ended(is_clean):
                        if failure:
                            raise _port_error(self._pod, self._port, failure)
                        if not is_clean:
                            raise self._connection.broken("the connection broke")
                        return
            await writer.drain()
            if silence.when() is not None:
                silence.reschedule(asyncio.get_running_loop().time() + HALF_CLOSED_SECONDS)

    def _events(self, data: bytes) -> list[Received | Failure | Pinged | Ended]:
        try:
            return list(self._channels.receive(data))
        except NotSpoken as error:
            raise self._connection.broken(str(error)) from error

    async def _stay_alive(self) -> None:
        """Send pongs and pings: beside the reading, which must never wait for a slow pod."""
        while self._channels.is_open:
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_SECONDS):
                    await self._pinged.wait()
            self._pinged.clear()
            frame, self._pong = self._pong or self._channels.ping(), b""
            await self._send(frame)

    async def _send(self, frame: bytes) -> None:
        async with self._turn:
            self._is_mid_frame = True
            await self._connection.write(frame)
            self._is_mid_frame = False


@asynccontextmanager
async def _tunnel(client: Client, pod: Ref, *, port: int) -> AsyncIterator[_Tunnel]:
    """Give an open WebSocket to a port of a pod."""
    headers = upgrade_headers()
    async with client.upgraded(
        pod, "portforward", verb="reach", parameters={"ports": port}, headers=headers
    ) as connection:
        try:
            check_upgrade(headers, connection.headers)
        except NotSpoken as error:
            raise connection.broken(str(error)) from error
        _keep_alive(connection)
        tunnel = _Tunnel(connection, pod, port=port)
        try:
            yield tunnel
        finally:
            await tunnel.close()


def _port_error(pod: Ref, port: int, text: str) -> ClusterError:
    """Return the error for what the pod's node said of the port."""
    if "connection refused" in text:
        return UnavailableError(
            str(pod),
            f"nothing listens on port {port} in it",
            hint="Its engine is starting, has crashed, or listens on another port: see its log.",
        )
    if "not found" in text or "does not exist" in text:
        return NotFoundError(str(pod), f"it is gone ({short(text)})")
    return UnavailableError(str(pod), f"the connection to its port {port} broke: {short(text)}")


def _keep_alive(connection: Upgraded) -> None:
    """Have the system notice, within a minute or so, that the other side is gone."""
    raw: socket.socket | None = connection.stream.get_extra_info("socket")
    if raw is None:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):  # not on every system
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _reset(writer: asyncio.StreamWriter) -> None:
    """End a local connection so that its client sees that it broke; one that has ended stays so."""
    raw = writer.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
