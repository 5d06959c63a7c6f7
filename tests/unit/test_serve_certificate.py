"""A certificate is renewed without a restart; a pair that cannot be used changes nothing."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from modelfleet.adapters.query_api.certificate import Certificate
from modelfleet.errors import ConfigError


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def files_in(folder: Path, issued: trustme.LeafCert) -> tuple[Path, Path]:
    """Write a pair as cert-manager's Secret is mounted."""
    chain, key = folder / "tls.crt", folder / "tls.key"
    chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return chain, key


@asynccontextmanager
async def listening(certificate: Certificate) -> AsyncIterator[int]:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=certificate.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def presented(port: int, authority: trustme.CA) -> object:
    """Return the serial number of the certificate that is presented."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    shown = writer.get_extra_info("peercert")
    await reader.read()
    writer.close()
    await writer.wait_closed()
    return shown["serialNumber"]


async def test_a_renewed_certificate_is_presented_to_those_who_connect_next(
    tmp_path: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(*files_in(tmp_path, authority.issue_cert("localhost")))
    async with listening(certificate) as port:
        first = await presented(port, authority)
        files_in(tmp_path, authority.issue_cert("localhost"))
        await certificate.refresh()
        second = await presented(port, authority)
        assert first != second

        # A chain without its key, as when somebody renews one file after the other.
        other = authority.issue_cert("localhost")
        (tmp_path / "tls.crt").write_bytes(other.cert_chain_pems[0].bytes())
        await certificate.refresh()
        assert await presented(port, authority) == second
        assert "The certificate stays as it was" in caplog.text
        assert any(each.levelno == logging.ERROR for each in caplog.records)

        (tmp_path / "tls.key").write_bytes(other.private_key_pem.bytes())
        await certificate.refresh()
        assert await presented(port, authority) not in (first, second)


@pytest.mark.parametrize("spoilt", ["tls.crt", "tls.key"])
@pytest.mark.parametrize("content", [None, b"", b"not PEM"])
def test_a_pair_that_cannot_be_used_is_refused_at_the_start(
    tmp_path: Path, authority: trustme.CA, spoilt: str, content: bytes | None
) -> None:
    pair = files_in(tmp_path, authority.issue_cert("localhost"))
    if content is None:
        (tmp_path / spoilt).unlink()
    else:
        (tmp_path / spoilt).write_bytes(content)
    with pytest.raises(ConfigError, match=r"--tls-cert .* --tls-key"):
        Certificate(*pair)


async def test_nobody_may_speak_tls_older_than_1_2(tmp_path: Path, authority: trustme.CA) -> None:
    certificate = Certificate(*files_in(tmp_path, authority.issue_cert("localhost")))
    assert certificate.context.minimum_version == ssl.TLSVersion.TLSv1_2
