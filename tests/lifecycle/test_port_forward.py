"""Ports of pods as local ports: a real API server, KWOK's kubelet behind it, real servers."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from forwarding import (
    DIGEST,
    ECHO,
    NOBODY,
    SLOW,
    SLOW_SECONDS,
    SOURCE,
    SOURCE_BYTES,
    Forwarding,
)

from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import POD, Ref
from modelfleet.cluster.port_forward import PortForward, port_forward
from modelfleet.errors import ForbiddenError, NotFoundError, UnavailableError

pytestmark = pytest.mark.xdist_group("forwarding")

POD_NAME = "talker"
TALKER = Ref(POD, "default", POD_NAME)


@pytest.fixture(scope="module", autouse=True)
def talker(forwarding: Forwarding) -> None:
    """A pod that runs, in the eyes of the API server."""
    container = {"name": "engine", "image": "registry.example.com/engine:1"}
    pod = {"metadata": {"name": POD_NAME}, "spec": {"containers": [container]}}
    path = "/api/v1/namespaces/default/pods"
    forwarding.api.send("POST", path, json=pod)
    _wait_until_running(forwarding, f"{path}/{POD_NAME}")


def _wait_until_running(forwarding: Forwarding, path: str) -> None:
    deadline = time.monotonic() + 240
    while forwarding.api.send("GET", path)["status"]["phase"] != "Running":
        assert time.monotonic() < deadline, "the pod does not run"
        time.sleep(0.05)


@pytest_asyncio.fixture
async def client(forwarding: Forwarding) -> AsyncIterator[Client]:
    client = Client.connect(kubeconfig=str(forwarding.chat_kubeconfig))
    yield client
    await client.aclose()


async def talk(
    forward: PortForward, said: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
    writer.write(said)
    return reader, writer


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def test_what_is_said_to_the_local_port_is_answered_by_the_pod(client: Client) -> None:
    async with port_forward(client, TALKER, port=ECHO) as forward:
        reader, writer = await talk(forward, b"hello")
        assert await reader.readexactly(5) == b"hello"
        await closed(writer)
    assert forward.failure is None


async def test_large_bodies_arrive_whole_in_both_directions(client: Client) -> None:
    body = bytes(range(256)) * 65_536
    async with port_forward(client, TALKER, port=DIGEST) as forward:
        reader, writer = await talk(forward, f"{len(body)}\n".encode() + body)
        assert await reader.readexactly(64) == hashlib.sha256(body).hexdigest().encode()
        await closed(writer)
    async with port_forward(client, TALKER, port=SOURCE) as forward:
        reader, writer = await talk(forward, b"go\n")
        received = await reader.readexactly(SOURCE_BYTES)
        expected = b"".join(n.to_bytes(4) * 16_384 for n in range(SOURCE_BYTES // 65_536))
        assert received == expected
        await closed(writer)


async def test_many_connections_at_once_keep_apart(client: Client) -> None:
    async with port_forward(client, TALKER, port=ECHO) as forward:

        async def echoed(number: int) -> bytes:
            said = f"{number:06}".encode() * 1_000
            reader, writer = await talk(forward, said)
            answer = await reader.readexactly(len(said))
            await closed(writer)
            return answer

        answers = await asyncio.gather(*(echoed(number) for number in range(50)))
    assert answers == [f"{number:06}".encode() * 1_000 for number in range(50)]


async def test_a_client_that_has_said_all_still_gets_its_answer(client: Client) -> None:
    async with port_forward(client, TALKER, port=SLOW) as forward:
        reader, writer = await talk(forward, b"well?\n")
        writer.write_eof()
        async with asyncio.timeout(SLOW_SECONDS + 240):
            assert await reader.readexactly(15) == b"at last: well?\n"
        await closed(writer)


async def test_a_port_on_which_nothing_listens_is_told_and_resets_the_connection(
    client: Client,
) -> None:
    async with port_forward(client, TALKER, port=NOBODY) as forward:
        reader, writer = await talk(forward, b"hello")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await closed_by_reset(writer)
        assert isinstance(forward.failure, UnavailableError)
        assert str(forward.failure).startswith(
            f"Pod default/talker: nothing listens on port {NOBODY} in it. Its engine is starting"
        )


async def closed_by_reset(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with pytest.raises(ConnectionResetError):
        await writer.wait_closed()


async def test_a_pod_that_is_not_there_is_told_before_anybody_connects(client: Client) -> None:
    with pytest.raises(NotFoundError, match=r'Pod default/gone: pods "gone" not found'):
        async with port_forward(client, Ref(POD, "default", "gone"), port=ECHO):
            pass


async def test_without_the_right_to_forward_the_role_that_grants_it_is_named(
    forwarding: Forwarding, tmp_path: Path
) -> None:
    kubeconfig: dict[str, Any] = yaml.safe_load(forwarding.plane.kubeconfig.read_text())
    kubeconfig["users"][0]["user"]["as"] = "nobody-in-particular"
    client = Client.connect(kubeconfig=yaml.safe_dump(kubeconfig))
    with pytest.raises(ForbiddenError) as caught:
        async with port_forward(client, TALKER, port=ECHO):
            pass
    await client.aclose()
    assert 'cannot get resource "pods/portforward"' in caught.value.message
    assert 'Grant the verb "get" on "pods/portforward"' in caught.value.hint
    assert "ClusterRole modelfleet-chat that modelfleet ships" in caught.value.hint


async def test_leaving_ends_connections_that_are_in_use(client: Client) -> None:
    before = len(asyncio.all_tasks())
    async with port_forward(client, TALKER, port=ECHO) as forward:
        reader, writer = await talk(forward, b"hello")
        assert await reader.readexactly(5) == b"hello"
    async with asyncio.timeout(120):
        with pytest.raises(ConnectionResetError):
            await reader.read()
    await closed_by_reset(writer)
    assert len(asyncio.all_tasks()) == before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", forward.local_port)
