"""``modelfleet serve`` as a process of its own, with real TLS, and clients that trust it."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import trustme
import yaml

START_SECONDS: Final = 240.0
"""For a machine with a lot to do; it takes one."""

T = TypeVar("T")

PASSWORD: Final = "not-a-real-password"


@dataclass(frozen=True)
class Process:
    """A server that runs. ``folder`` holds its accounts, certificate, stdout and stderr."""

    popen: subprocess.Popen[bytes]
    folder: Path
    url: str
    authority: trustme.CA

    @property
    def context(self) -> ssl.SSLContext:
        """What a client verifies it by."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, verify=self.context, trust_env=False, timeout=120, **options
        )

    @property
    def audited(self) -> list[dict[str, Any]]:
        """The lines on its stdout, every one of which is JSON."""
        text = (self.folder / "stdout").read_text()
        return [json.loads(line) for line in text.splitlines()]

    @property
    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    def ended(self) -> int:
        """Wait for its end, and return its exit status."""
        return self.popen.wait(timeout=START_SECONDS)


def write_accounts(folder: Path, *entries: Mapping[str, Any]) -> Path:
    """Put a file of accounts in the place of the one that may be there."""
    new = folder / "accounts.new"
    new.write_text(yaml.safe_dump({"accounts": [dict(each) for each in entries]}))
    return new.replace(folder / "accounts.yaml")


def write_certificate(folder: Path, authority: trustme.CA) -> tuple[Path, Path]:
    issued = authority.issue_cert("localhost")
    chain, key = folder / "tls.crt", folder / "tls.key"
    issued.private_key_pem.write_to_path(key)
    chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    return chain, key


@contextmanager
def serving_process(
    folder: Path,
    kubeconfig: Path,
    *arguments: str,
    accounts: Sequence[Mapping[str, Any]] = (),
    authority: trustme.CA | None = None,
) -> Iterator[Process]:
    """Give a server that is ready, on a port of its own; it is killed at the end if it runs."""
    trusted = authority or trustme.CA()
    chain, key = write_certificate(folder, trusted)
    file = write_accounts(folder, *accounts)
    command = [
        *(str(Path(sys.executable).parent / "modelfleet"), "serve", "--port", "0"),
        *("--accounts", str(file), "--tls-cert", str(chain), "--tls-key", str(key)),
        *("--kubeconfig", str(kubeconfig), *arguments),
    ]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        popen = subprocess.Popen(
            command, stdout=out, stderr=err, env={**os.environ, "NO_COLOR": "1"}
        )
    try:
        port = until(lambda: _port_in(folder / "stderr", popen))
        process = Process(popen, folder, f"https://localhost:{port}", trusted)
        with process.client() as http:
            until(lambda: _is_ready(http))
        yield process
    finally:
        if popen.poll() is None:
            popen.send_signal(signal.SIGKILL)
        popen.wait()


def _port_in(path: Path, popen: subprocess.Popen[bytes]) -> str:
    text = path.read_text()
    assert popen.poll() is None, text
    found = re.search(r"Serving on https://[^ ]+:(\d+)\.", text)
    return found[1] if found else ""


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def until(found: Callable[[], T]) -> T:
    """Wait until something of another process is true, and return it."""
    deadline = time.monotonic() + START_SECONDS
    while not (result := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return result
