"""``modelfleet serve`` as a process of its own, over HTTPS, with an authority that tests trust."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trustme
import yaml


@dataclass(frozen=True)
class Server:
    """A running server: its URL, and the file with the authority of its certificate."""

    url: str
    authority: Path

    @property
    def context(self) -> ssl.SSLContext:
        """What a client trusts."""
        return ssl.create_default_context(cafile=str(self.authority))


@contextmanager
def serving(
    folder: Path, *, accounts: Sequence[dict[str, Any]], kubeconfig: Path
) -> Iterator[Server]:
    """Run one that lets ``accounts`` call, until it has ended without a complaint."""
    url = f"https://127.0.0.1:{free_port()}"
    server = Server(url, folder / "authority.pem")
    _write_certificate(folder, server)
    (folder / "accounts.yaml").write_text(yaml.safe_dump({"accounts": [*accounts]}))
    command = [
        *(str(Path(sys.executable).with_name("modelfleet")), "serve"),
        *("--port", url.rpartition(":")[2], "--public-address", url),
        *("--tls-cert", str(folder / "chain.pem"), "--tls-key", str(folder / "key.pem")),
        *("--accounts", str(folder / "accounts.yaml"), "--kubeconfig", str(kubeconfig)),
    ]
    log = folder / "log"
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            _wait_until_ready(server, process)
            yield server
        finally:
            process.terminate()
    assert process.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


def _write_certificate(folder: Path, server: Server) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(server.authority))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
    (folder / "chain.pem").write_bytes(chain)


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    with httpx.Client(verify=server.context, base_url=server.url, timeout=60) as http:
        while not _is_ready(http):
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not become ready"
            time.sleep(0.1)


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
