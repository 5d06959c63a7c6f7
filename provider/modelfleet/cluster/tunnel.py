"""One connection to a port of a pod, over a WebSocket: its bytes both ways, and how it ends.

The protocol (``channels``) has no half-close: a client that has said all and still listens is
served until the pod is silent for a while.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from modelfleet.cluster.channels import (
    Channels,
    Ended,
    Event,
    Failure,
    NotSpoken,
    Pinged,
    Received,
    check_upgrade,
    upgrade_headers,
)
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import Ref
from modelfleet.cluster.others_words import short
from modelfleet.cluster.subresources import upgraded
from modelfleet.cluster.transport import Upgraded
from modelfleet.errors import ClusterError, NotFoundError, UnavailableError

HALF_CLOSED_SECONDS: Final = 10.0
"""How long a pod may be silent once its client has said all. Container runtimes give it 0.5 s."""

PING_SECONDS: Final = 25.0
"""Load balancers drop connections that are silent for a minute; a model may think for longer."""

_CLOSE_SECONDS: Final = 1.0
_CHUNK_BYTES: Final = 65_536

# A peer that died says nothing. Pings cannot tell: their answers wait behind what is not yet read.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class Tunnel:
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

    def _events(self, data: bytes) -> list[Event]:
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
async def tunnel_to(client: Client, pod: Ref, *, port: int) -> AsyncIterator[Tunnel]:
    """Give an open WebSocket to a port of a pod."""
    headers = upgrade_headers()
    async with upgraded(
        client, pod, "portforward", verb="reach", parameters={"ports": port}, headers=headers
    ) as connection:
        try:
            check_upgrade(headers, connection.headers)
        except NotSpoken as error:
            raise connection.broken(str(error)) from error
        _keep_alive(connection)
        tunnel = Tunnel(connection, pod, port=port)
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
