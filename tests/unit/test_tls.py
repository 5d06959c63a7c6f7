"""TLS against a real server on loopback: what is presented, what is trusted, what stays behind.

The certificates are made anew for every run: an authority, and a server ``api.inner`` and a client
that it signed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import ssl
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from modelfleet.cluster.client import Client
from modelfleet.errors import ConfigError

TLS = Path(tempfile.mkdtemp(prefix="modelfleet-tls-"))
AUTHORITY = {"certificate-authority": str(TLS / "ca.crt"), "tls-server-name": "api.inner"}
CLIENT = {
    "client-certificate": str(TLS / "client.crt"),
    "client-key": str(TLS / "client.key"),
}


@pytest.fixture(scope="module", autouse=True)
def certificates() -> Iterator[None]:
    """Fill the folder ``TLS``, and remove it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(TLS / "ca.crt")
    for name, identities in (("server", ["api.inner"]), ("client", [])):
        issued = authority.issue_cert(*identities, common_name=name)
        issued.cert_chain_pems[0].write_to_path(TLS / f"{name}.crt")
        issued.private_key_pem.write_to_path(TLS / f"{name}.key")
    key = serialization.load_pem_private_key((TLS / "client.key").read_bytes(), password=None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    (TLS / "client-encrypted.key").write_bytes(encrypted)
    yield
    shutil.rmtree(TLS)


@pytest.fixture(autouse=True)
def no_key_is_left_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail every test after which a temporary file is still there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


@asynccontextmanager
async def server() -> AsyncIterator[tuple[str, list[str]]]:
    """Run an API server that asks for a client certificate; give its URL and whom it saw."""
    seen: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("peercert") or {}
        subject = dict(pair for each in certificate.get("subject", ()) for pair in each)
        seen.append(subject.get("commonName", "nobody"))
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"metadata": {"uid": "the-uid"}}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(TLS / "ca.crt"))
    context.load_cert_chain(TLS / "server.crt", TLS / "server.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"https://127.0.0.1:{port}", seen


async def asked(*, user: dict[str, Any], cluster: dict[str, Any]) -> list[str]:
    """Ask a server for its identity as ``user``, and return whom it saw."""
    async with server() as (url, seen):
        kubeconfig = {
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "clusters": [{"name": "a", "cluster": {"server": url, **cluster}}],
            "users": [{"name": "a", "user": user}],
        }
        client = Client.connect(kubeconfig=json.dumps(kubeconfig))
        try:
            assert await client.cluster_uid() == "the-uid"
        finally:
            await client.aclose()
    return seen


@pytest.mark.parametrize("inline", [False, True], ids=["in files", "inline"])
async def test_a_client_certificate_is_presented(inline: bool) -> None:
    user = CLIENT
    if inline:
        user = {
            f"{key}-data": base64.b64encode((TLS / Path(path).name).read_bytes()).decode()
            for key, path in CLIENT.items()
        }
    assert await asked(user=user, cluster=AUTHORITY) == ["client"]


async def test_a_certificate_from_a_helper_is_presented(tmp_path: Path) -> None:
    helper = tmp_path / "login"
    status = {
        "clientCertificateData": (TLS / "client.crt").read_text(),
        "clientKeyData": (TLS / "client.key").read_text(),
    }
    version = "client.authentication.k8s.io/v1"
    credential = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    helper.write_text(f"#!{sys.executable}\nprint({json.dumps(credential)!r})\n")
    helper.chmod(stat.S_IRWXU)
    user = {"exec": {"apiVersion": version, "command": str(helper), "interactiveMode": "Never"}}

    assert await asked(user=user, cluster=AUTHORITY) == ["client"]


async def test_a_servers_own_certificate_may_be_named_as_the_authority() -> None:
    cluster = {**AUTHORITY, "certificate-authority": str(TLS / "server.crt")}

    assert await asked(user={}, cluster=cluster) == ["nobody"]


async def test_verification_can_be_switched_off() -> None:
    assert await asked(user={}, cluster={"insecure-skip-tls-verify": True}) == ["nobody"]


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        ({}, "is not trusted: self-signed certificate"),
        (
            {"certificate-authority": AUTHORITY["certificate-authority"]},
            "not valid for '127.0.0.1'",
        ),
        ({"certificate-authority": str(TLS / "ca.crt"), "tls-server-name": "other"}, "'other'"),
    ],
    ids=["no authority", "no server name", "another server name"],
)
async def test_a_server_that_is_not_the_expected_one_is_refused(
    cluster: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConfigError, match="Check certificate-authority and tls-server-name") as no:
        await asked(user={}, cluster=cluster)
    assert reason in str(no.value)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("client-encrypted.key", "the client key is encrypted"),
        ("server.key", "cannot be used together"),
        ("ca.crt", "cannot be used together"),
    ],
)
async def test_a_key_that_cannot_be_used_is_refused(key: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        await asked(user={**CLIENT, "client-key": str(TLS / key)}, cluster=AUTHORITY)
