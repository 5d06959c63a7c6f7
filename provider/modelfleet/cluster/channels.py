"""The bytes of one forwarded port, as messages of a WebSocket: ``v4.channel.k8s.io``. Pure.

Kubernetes has two ways to forward a port over a WebSocket. This one is as old as WebSockets in
kubelets, needs no feature gate, and carries one TCP connection each. (The other,
``SPDY/3.1+portforward.k8s.io``, is on by default from 1.31, and is a whole SPDY session inside.)
Each message begins with the number of a channel: 0 for data both ways, 1 for what went wrong, as
text. The first message of either channel is the port, two bytes, little endian. Read in Kubernetes
1.36 (``cri-streaming/pkg/streaming/portforward/websocket.go``).

There is no half-close: whoever closes, closes both directions.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong

PROTOCOL: Final = "v4.channel.k8s.io"
DATA: Final = 0
ERROR: Final = 1

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_PORT: Final = struct.Struct("<H")
_NORMAL_CLOSE: Final = 1000
_ERROR_LIMIT: Final = 4_096


class NotSpoken(Exception):  # noqa: N818 - what is wrong with a peer, not a fault of ours
    """The peer does not speak this protocol; the message says what it did instead."""


def upgrade_headers() -> dict[str, str]:
    """Return the headers of a request for such a WebSocket, with a key of its own."""
    return {
        "Accept": "*/*",  # what comes is no JSON, and a kubelet may refuse who wants nothing else
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "Sec-WebSocket-Protocol": PROTOCOL,
    }


def check_upgrade(asked: Mapping[str, str], answered: Mapping[str, str]) -> None:
    """Raise NotSpoken unless the headers ``answered`` agree to those that were ``asked``.

    ``answered`` finds names in lower case.
    """
    digest = hashlib.sha1(asked["Sec-WebSocket-Key"].encode() + _GUID, usedforsecurity=False)
    if answered.get("sec-websocket-accept") != base64.b64encode(digest.digest()).decode():
        raise NotSpoken("what answered is no WebSocket server")
    if (chosen := answered.get("sec-websocket-protocol")) != PROTOCOL:
        raise NotSpoken(f"it speaks {chosen or 'no subprotocol'}, not {PROTOCOL}")


@dataclass(frozen=True)
class Received:
    """Bytes that the port sent."""

    data: bytes


@dataclass(frozen=True)
class Failure:
    """The last word on why the port could not be reached, or no longer."""

    text: str


@dataclass(frozen=True)
class Pinged:
    """The peer asks whether we are there; ``pong`` is the answer to send."""

    pong: bytes


@dataclass(frozen=True)
class Ended:
    """Nothing more comes. ``is_clean``: the peer said so, and the connection did not break."""

    is_clean: bool


Event = Received | Failure | Pinged | Ended


class Channels:
    """What is sent and received on one WebSocket, once it is open."""

    def __init__(self, port: int) -> None:
        self._port = _PORT.pack(port)
        self._socket = Connection(ConnectionType.CLIENT)
        self._heads = {DATA: b"", ERROR: b""}
        self._channel: int | None = None
        self._error = b""

    @property
    def is_open(self) -> bool:
        """Whether anything may still be sent."""
        return self._socket.state is ConnectionState.OPEN

    def data(self, payload: bytes) -> bytes:
        """Return what to send so that the port gets ``payload``."""
        return self._socket.send(BytesMessage(bytes((DATA,)) + payload))

    def ping(self) -> bytes:
        """Return what to send so that nobody on the way takes the connection for dead."""
        return self._socket.send(Ping())

    def close(self) -> bytes:
        """Return what to send last; nothing where the peer has closed and been answered."""
        if self._socket.state not in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            return b""
        return self._socket.send(CloseConnection(code=_NORMAL_CLOSE))

    def receive(self, data: bytes) -> Iterator[Event]:
        """Yield what ``data`` from the network means; ``b""`` is the end of the network.

        Raises NotSpoken for what is not of this protocol.
        """
        if not data:
            yield from self._failure()
            yield Ended(is_clean=False)
            return
        self._socket.receive_data(data)
        for event in self._socket.events():
            match event:
                case BytesMessage():
                    yield from self._content(bytes(event.data), ends=event.message_finished)
                case Ping():
                    yield Pinged(self._socket.send(Pong(event.payload)))
                case CloseConnection(code=code, reason=reason):
                    yield from self._failure()
                    if code != _NORMAL_CLOSE and not self._error:
                        yield Failure(f"closed with code {int(code)}: {reason or 'no reason'}")
                    yield Ended(is_clean=code == _NORMAL_CLOSE)
                case Pong():
                    pass
                case _:
                    raise NotSpoken(f"it sent a {type(event).__name__}, where bytes belong")

    def _content(self, piece: bytes, *, ends: bool) -> Iterator[Event]:
        """Yield what one piece of a message brings; a message may come in several."""
        if self._channel is None and piece:
            self._channel, piece = piece[0], piece[1:]
        channel = self._channel
        if ends:
            self._channel = None
        if channel is None or not piece:
            return
        if channel not in self._heads:
            raise NotSpoken(f"it sent on channel {channel}, of which nobody knows")
        piece = self._after_head(channel, piece)
        if channel == ERROR:
            self._error = (self._error + piece)[:_ERROR_LIMIT]
        elif piece:
            yield Received(piece)

    def _after_head(self, channel: int, piece: bytes) -> bytes:
        """Return ``piece`` without what of it belongs to the port number that comes first."""
        head = self._heads[channel]
        missing = _PORT.size - len(head)
        if not missing:
            return piece
        head = self._heads[channel] = head + piece[:missing]
        if len(head) == _PORT.size and head != self._port:
            raise NotSpoken(f"it forwards port {_PORT.unpack(head)[0]}, which nobody asked for")
        return piece[missing:]

    def _failure(self) -> Iterator[Event]:
        """Yield the error once it is whole, which nothing but the end tells."""
        if self._error:
            yield Failure(" ".join(self._error.decode(errors="replace").split()))
