"""A port-forward against a server that speaks its protocol: how it is known, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from forwarding_node import NAME, PORT, Node, Pod, running
from wsproto.events import Ping, Pong

from modelfleet.cluster import tunnel
from modelfleet.cluster.access import Access, ClientCertificate, ExecPlugin
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import POD, Ref
from modelfleet.cluster.port_forward import PortForward, port_forward
from modelfleet.errors import ClusterError, ForbiddenError, NotFoundError, UnavailableError

TALKER = Ref(POD, "models", "qwen-0")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def silent(pod: Pod) -> None:
    await pod.until_closed()


def access_to(node: Node, authority: trustme.CA, **others: Any) -> Access:
    given = {
        "server": f"https://127.0.0.1:{node.port}",
        "source": "a test",
        "certificate_authority": authority.cert_pem.bytes().decode(),
        "tls_server_name": NAME,
        **others,
    }
    return Access(**given)


@asynccontextmanager
async def forwarded(node: Node, authority: trustme.CA, **others: Any) -> AsyncIterator[PortForward]:
    async with running(node, authority=authority):
        client = Client(access_to(node, authority, **others))
        try:
            async with port_forward(client, TALKER, port=PORT) as forward:
                yield forward
        finally:
            await client.aclose()


@asynccontextmanager
async def talking(
    forward: PortForward,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
    try:
        async with asyncio.timeout(120):
            yield reader, writer
    finally:
        writer.transport.abort()


# how it is known


async def test_it_is_known_as_every_other_request_is(authority: trustme.CA) -> None:
    issued = authority.issue_cert(common_name="a-person")
    certificate = ClientCertificate(
        issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()
    )
    known = {
        "client_certificate": certificate,
        "token": "a-token",
        "impersonation": (("Impersonate-User", "somebody"),),
    }
    async with forwarded(node := Node(silent), authority, **known):
        pass
    (asked,) = node.asked
    assert asked.line == (
        "GET /api/v1/namespaces/models/pods/qwen-0/portforward?ports=8000 HTTP/1.1"
    )
    assert asked.certificate == "a-person"
    assert asked.headers["authorization"] == "Bearer a-token"
    assert asked.headers["impersonate-user"] == "somebody"
    assert asked.headers["connection"] == "Upgrade"


async def test_a_token_that_is_refused_is_fetched_anew(
    authority: trustme.CA, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("first second")
    helper = tmp_path / "login"
    helper.write_text(
        f"#!{sys.executable}\nimport json, pathlib\n"
        f"tokens = pathlib.Path({str(tokens)!r})\n"
        "now, _, later = tokens.read_text().partition(' ')\n"
        "tokens.write_text(later)\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', "
        "'kind': 'ExecCredential', 'status': {'token': now}}))\n"
    )
    helper.chmod(0o700)
    plugin = ExecPlugin("client.authentication.k8s.io/v1", str(helper))
    node = Node(silent, refusals=[(401, "no")])
    async with forwarded(node, authority, exec_plugin=plugin):
        pass
    tried = [each.headers["authorization"] for each in node.asked]
    assert tried == ["Bearer first", "Bearer second"]


async def test_it_goes_through_the_proxy(authority: trustme.CA) -> None:
    async def echo(pod: Pod) -> None:
        await pod.say(await pod.hear_data())
        await pod.until_closed()

    # A proxy has no tls-server-name; so the server is asked for by its own name.
    async with running(Node(echo), authority=authority) as node, proxy(node) as (url, asked):
        access = access_to(
            node, authority, server=f"https://{NAME}:6443", proxy_url=url, tls_server_name=None
        )
        client = Client(access)
        async with (
            port_forward(client, TALKER, port=PORT) as forward,
            talking(forward) as (reader, writer),
        ):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
        await client.aclose()
    assert asked == [f"CONNECT {NAME}:6443 HTTP/1.1"] * 2


@asynccontextmanager
async def proxy(node: Node) -> AsyncIterator[tuple[str, list[str]]]:
    """Run a proxy that leads every tunnel to the node; give its URL and what it was asked."""
    asked: list[str] = []
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.decode().splitlines()[0])
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", node.port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(tunnel(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await asyncio.gather(*tasks)


# how it is refused


@pytest.mark.parametrize(
    ("status", "body", "error_class", "says"),
    [
        (
            403,
            '{"kind": "Status", "reason": "Forbidden", "message": "User \\"x\\" cannot create '
            'resource \\"pods/portforward\\" in API group \\"\\""}',
            ForbiddenError,
            'the verb "create" on "pods/portforward" .* the ClusterRole modelfleet-chat that',
        ),
        (
            404,
            '{"kind": "Status", "reason": "NotFound", "message": "pods \\"qwen-0\\" not found"}',
            NotFoundError,
            'Pod models/qwen-0: pods "qwen-0" not found',
        ),
        (
            500,
            '{"kind": "Status", "reason": "InternalError", "message": "error dialing backend"}',
            UnavailableError,
            "could not reach it: error dialing backend",
        ),
        (200, "<html>a login page</html>", ClusterError, "HTTP 200: <html>a login page"),
    ],
    ids=["no right", "no pod", "no node", "no API server"],
)
async def test_a_refusal_is_told_before_there_is_a_local_port(
    authority: trustme.CA, status: int, body: str, error_class: type[Exception], says: str
) -> None:
    with pytest.raises(error_class, match=says):
        async with forwarded(Node(silent, refusals=[(status, body)]), authority):
            raise AssertionError("it was opened")


async def test_a_server_that_agrees_to_another_protocol_is_refused(authority: trustme.CA) -> None:
    with pytest.raises(UnavailableError, match=r"it speaks chat, not v4\.channel\.k8s\.io"):
        async with forwarded(Node(silent, protocol="chat"), authority):
            raise AssertionError("it was opened")


async def test_a_server_that_is_not_there_is_told(authority: trustme.CA) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        client = Client(access_to(Node(silent, port=nobody.getsockname()[1]), authority))
        with pytest.raises(UnavailableError, match="no answer from the API server"):
            async with port_forward(client, TALKER, port=PORT):
                raise AssertionError("it was opened")
        await client.aclose()


# how it ends


async def test_what_the_pod_ends_is_ended_here_after_its_last_byte(authority: trustme.CA) -> None:
    async def farewell(pod: Pod) -> None:
        await pod.say(b"x" * 1_000_000)
        await pod.end()

    async with forwarded(Node(farewell), authority) as forward:
        async with talking(forward) as (reader, _):
            assert await reader.read() == b"x" * 1_000_000
        assert forward.failure is None


async def test_what_breaks_is_reset_and_not_mistaken_for_an_end(authority: trustme.CA) -> None:
    heard = asyncio.Event()

    async def crash(pod: Pod) -> None:
        await pod.say(b"half an ans")
        await heard.wait()
        pod.writer.transport.abort()

    async with forwarded(Node(crash), authority) as forward:
        async with talking(forward) as (reader, _):
            assert await reader.readexactly(11) == b"half an ans"
            heard.set()
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert isinstance(forward.failure, UnavailableError)
        assert "the connection broke" in forward.failure.message


@pytest.mark.parametrize(
    ("text", "error_class", "says"),
    [
        (
            "error forwarding port 8000 to pod a, uid : failed to connect to localhost:8000 inside "
            'namespace "b", IPv4: dial tcp4 127.0.0.1:8000: connect: connection refused',
            UnavailableError,
            "Pod models/qwen-0: nothing listens on port 8000 in it",
        ),
        (
            "error forwarding port 8000 to pod a, uid : failed to find sandbox: not found",
            NotFoundError,
            "Pod models/qwen-0: it is gone (",
        ),
        (
            "error forwarding port 8000 to pod a, uid : read: connection reset by peer",
            UnavailableError,
            "Pod models/qwen-0: the connection to its port 8000 broke: error forwarding",
        ),
    ],
    ids=["nobody listens", "gone", "reset"],
)
async def test_what_the_node_says_of_the_port_is_told(
    authority: trustme.CA, text: str, error_class: type[Exception], says: str
) -> None:
    async def fail(pod: Pod) -> None:
        await pod.fail(text)

    async with forwarded(Node(fail), authority) as forward:
        async with talking(forward) as (reader, _):
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert type(forward.failure) is error_class
        assert str(forward.failure).startswith(says)


async def test_a_client_that_breaks_the_connection_ends_it_for_the_pod(
    authority: trustme.CA,
) -> None:
    ended = asyncio.Event()

    async def listen(pod: Pod) -> None:
        assert await pod.hear_data() == b"hello"
        await pod.say(b"yes?")
        await pod.until_closed()
        ended.set()

    async with forwarded(Node(listen), authority) as forward:
        async with talking(forward) as (reader, writer):
            writer.write(b"hello")
            assert await reader.readexactly(4) == b"yes?"
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            await ended.wait()
        assert forward.failure is None


async def test_a_client_that_has_said_all_is_served_until_the_pod_is_silent(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "HALF_CLOSED_SECONDS", 0.3)

    async def answer(pod: Pod) -> None:
        assert await pod.hear_data() == b"well?"
        await pod.say(b"at last")
        await pod.until_closed()

    async with forwarded(Node(answer), authority) as forward:
        async with talking(forward) as (reader, writer):
            writer.write(b"well?")
            writer.write_eof()
            assert await reader.read() == b"at last"
        assert forward.failure is None


# what goes on meanwhile


async def test_a_slow_client_holds_the_pod_back(authority: trustme.CA) -> None:
    size = 64 * 1024 * 1024
    done = asyncio.Event()

    async def pour(pod: Pod) -> None:
        for _ in range(size // 65_536):
            await pod.say(b"x" * 65_536)
        done.set()
        await pod.end()

    async with forwarded(Node(pour), authority) as forward, talking(forward) as (reader, _):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(done.wait(), 1.0)  # without holding back it takes half of that
        left = size
        while data := await reader.read(1_048_576):
            left -= len(data)
        assert left == 0


async def test_a_slow_pod_holds_the_client_back(authority: trustme.CA) -> None:
    go_on = asyncio.Event()
    size = 32 * 1024 * 1024

    async def ponder(pod: Pod) -> None:
        await go_on.wait()
        heard = 0
        while heard < size:
            heard += len(await pod.hear_data())
        await pod.say(b"all of it")
        await pod.until_closed()

    async with forwarded(Node(ponder), authority) as forward, talking(forward) as (reader, writer):
        writer.write(b"x" * size)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 1.0)
        go_on.set()
        assert await reader.readexactly(9) == b"all of it"


async def test_pings_are_answered_and_sent(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "PING_SECONDS", 0.2)

    async def ping(pod: Pod) -> None:
        await pod.ping()
        heard = {type(await pod.hear()), type(await pod.hear())}
        await pod.say(b"both" if heard == {Ping, Pong} else repr(heard).encode())
        await pod.until_closed()

    async with forwarded(Node(ping), authority) as forward, talking(forward) as (reader, _):
        assert await reader.readexactly(4) == b"both"


async def test_leaving_ends_what_is_under_way_and_leaves_nothing_behind(
    authority: trustme.CA,
) -> None:
    ended = asyncio.Event()

    async def listen(pod: Pod) -> None:
        await pod.say(b"hello")
        await pod.until_closed()
        ended.set()

    async with running(Node(listen), authority=authority) as node:
        client = Client(access_to(node, authority))
        before = asyncio.all_tasks()
        with pytest.raises(RuntimeError, match="the caller's own"):
            async with port_forward(client, TALKER, port=PORT) as forward:
                reader, _ = await asyncio.open_connection("127.0.0.1", forward.local_port)
                assert await reader.readexactly(5) == b"hello"
                raise RuntimeError("the caller's own")
        async with asyncio.timeout(120):
            await ended.wait()
            with pytest.raises(ConnectionResetError):
                await reader.read()
        await client.aclose()
        assert asyncio.all_tasks() - before <= node.tasks
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", forward.local_port)


async def test_connections_that_come_as_it_is_left_are_turned_away(authority: trustme.CA) -> None:
    async with forwarded(Node(silent), authority) as forward:
        # Their greetings are all in the queue of the system when the port is closed.
        knocking = [socket.socket() for _ in range(20)]
        for each in knocking:
            each.connect(("127.0.0.1", forward.local_port))
    for each in knocking:
        each.settimeout(120)
        with each, suppress(ConnectionResetError):
            assert each.recv(1) == b""


@pytest.mark.parametrize("turns", range(4))
async def test_a_connection_that_is_being_accepted_as_it_is_left_is_not_left_open(
    authority: trustme.CA, turns: int
) -> None:
    with socket.socket() as knocking:
        async with forwarded(Node(silent), authority) as forward:
            knocking.connect(("127.0.0.1", forward.local_port))
            for _ in range(turns):
                await asyncio.sleep(0)
        gc.collect()  # Python tells of what it finds open, which fails the test
        knocking.settimeout(120)
        with suppress(ConnectionResetError):
            assert knocking.recv(1) == b""
