"""The framing of a forwarded port: what is sent, what is understood, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

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

PORT = 8000
HEAD = PORT.to_bytes(2, "little")


class Node:
    """The other side: makes the bytes that a kubelet sends."""

    def __init__(self) -> None:
        self._socket = Connection(ConnectionType.SERVER)

    def on(self, channel: int, data: bytes) -> bytes:
        return self._socket.send(BytesMessage(bytes((channel,)) + data))

    def greeting(self) -> bytes:
        return self.on(0, HEAD) + self.on(1, HEAD)

    def close(self, code: int = 1000, reason: str = "") -> bytes:
        return self._socket.send(CloseConnection(code, reason))

    def text(self, said: str) -> bytes:
        return self._socket.send(TextMessage(said))

    def ping(self) -> bytes:
        return self._socket.send(Ping(b"there?"))

    def understood(self, data: bytes) -> bytes:
        """Return what a kubelet hands to the port of all that was sent."""
        self._socket.receive_data(data)
        messages = [each for each in self._socket.events() if isinstance(each, BytesMessage)]
        assert all(bytes(each.data)[0] == 0 for each in messages)
        return b"".join(bytes(each.data)[1:] for each in messages)


def events(*pieces: bytes) -> list[Event]:
    channels = Channels(PORT)
    return [event for piece in pieces for event in channels.receive(piece)]


def received(found: list[Event]) -> bytes:
    return b"".join(each.data for each in found if isinstance(each, Received))


def test_the_port_that_comes_first_is_no_data() -> None:
    node = Node()
    assert events(node.greeting()) == []
    assert events(node.greeting() + node.on(0, b"hello")) == [Received(b"hello")]


@given(said=st.lists(st.binary(min_size=1, max_size=300), max_size=5), cut_bytes=st.integers(1, 50))
def test_however_the_network_cuts_it_what_arrives_is_what_was_sent(
    said: list[bytes], cut_bytes: int
) -> None:
    node = Node()
    sent = node.greeting() + b"".join(node.on(0, each) for each in said) + node.close()
    pieces = [sent[at : at + cut_bytes] for at in range(0, len(sent), cut_bytes)]
    found = events(*pieces)
    assert received(found) == b"".join(said)
    assert found[-1] == Ended(is_clean=True)


def test_the_port_and_data_may_come_in_one_message_or_byte_by_byte() -> None:
    node = Node()
    assert events(node.on(0, HEAD + b"hello")) == [Received(b"hello")]
    node = Node()
    assert events(node.on(0, HEAD[:1]), node.on(0, HEAD[1:] + b"h")) == [Received(b"h")]


@given(st.lists(st.binary(min_size=1, max_size=70_000), max_size=3))
def test_what_is_sent_goes_to_the_data_channel(said: list[bytes]) -> None:
    channels = Channels(PORT)
    assert Node().understood(b"".join(map(channels.data, said))) == b"".join(said)


def test_an_error_is_told_at_the_end_as_one_line() -> None:
    node = Node()
    sent = node.greeting() + node.on(1, b"dial:\n refused") + node.on(1, b" twice") + node.close()
    assert events(sent) == [Failure("dial: refused twice"), Ended(is_clean=True)]


def test_an_error_is_told_where_the_network_ends_without_a_goodbye() -> None:
    node = Node()
    found = events(node.greeting() + node.on(1, b"no"), b"")
    assert found == [Failure("no"), Ended(is_clean=False)]


def test_another_close_than_the_normal_one_is_a_failure() -> None:
    node = Node()
    assert events(node.greeting() + node.close(1011, "out of order")) == [
        Failure("closed with code 1011: out of order"),
        Ended(is_clean=False),
    ]


def test_a_ping_is_to_be_answered() -> None:
    (found,) = events(Node().ping())
    assert isinstance(found, Pinged)
    assert b"there?" not in found.pong  # it is masked, as all that clients send
    assert len(found.pong) == 2 + 4 + len(b"there?")


def test_after_the_last_word_nothing_is_sent() -> None:
    channels = Channels(PORT)
    assert channels.is_open
    assert channels.close() != b""
    assert channels.close() == b""
    assert not channels.is_open


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (Node().on(0, (81).to_bytes(2, "little")), "it forwards port 81, which nobody asked for"),
        (Node().on(7, b"hello"), "it sent on channel 7, of which nobody knows"),
        (Node().text("hello"), "it sent a TextMessage, where bytes belong"),
    ],
    ids=["another port", "another channel", "text"],
)
def test_what_is_not_of_the_protocol_is_refused(sent: bytes, says: str) -> None:
    with pytest.raises(NotSpoken, match=says):
        events(sent)


def test_bytes_that_are_no_frame_end_it() -> None:
    assert events(b"HTTP/1.1 400 Bad Request\r\n\r\n")[-1] == Ended(is_clean=False)


def test_an_upgrade_counts_only_with_the_digest_of_our_key_and_our_protocol() -> None:
    asked = {**upgrade_headers(), "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    # The example of RFC 6455, section 1.3.
    accept = {"sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}
    protocol = {"sec-websocket-protocol": "v4.channel.k8s.io"}
    check_upgrade(asked, {**accept, **protocol})
    with pytest.raises(NotSpoken, match="is no WebSocket server"):
        check_upgrade(asked, protocol)
    with pytest.raises(NotSpoken, match="speaks no subprotocol, not v4"):
        check_upgrade(asked, accept)


def test_every_request_has_a_key_of_its_own() -> None:
    assert upgrade_headers()["Sec-WebSocket-Key"] != upgrade_headers()["Sec-WebSocket-Key"]
