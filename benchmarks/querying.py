"""How fast the query API answers over ten thousand services, and whether its memory stays flat.

One client asks one thing at a time, of ``modelfleet serve`` as a process, over a real API server.
docs/benchmarks.md says what each row is.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from benchmarks.gateway_load import percentile
from benchmarks.gateway_places import Server
from benchmarks.records import create, external_services
from benchmarks.results import Row
from benchmarks.site import Site
from modelfleet.adapters.query_api.passwords import sha512_of
from modelfleet.cluster.kubeconfig import load_access

RECORDS: Final = 10_000
REQUESTS: Final = 100_000
TIMED: Final = 300
WARM_UP: Final = 2_000
"""Requests before anything is timed, and before memory is looked at for the first time."""

LIMIT_MILLISECONDS: Final = 50.0
GROWTH_LIMIT: Final = 1.05

ACCOUNT: Final = "bench"

Parameters = Sequence[tuple[str, str]]

QUERIES: Final[Mapping[str, Parameters]] = {
    "one by its name": [("q", "name=svc-04711")],
    "a page of 20": [("limit", "20"), ("start", "4000"), ("replyWithCount", "true")],
    "a page of 1,000": [("limit", "1000")],
    "a pattern": [("q", "description~=%its limit is a!=b%"), ("limit", "20")],
    "a pattern in a list": [("q", "__userTag__~=team::s%"), ("limit", "20")],
    "five conditions": [
        ("q", "createDate>2026-01-01"),
        ("q", "__systemTag__=provider::openai"),
        ("q", "__systemTag__=status::READY"),
        ("q", "__userTag__?=team::search,team::chat"),
        ("q", "description not null"),
        ("limit", "20"),
    ],
    "in order, two fields": [("sort", "-name"), ("limit", "100"), ("fields", "uuid,name")],
    "a count": [("q", "name~=%7%"), ("count", "true")],
}
"""What is asked, by what rows call it."""


@dataclass(frozen=True)
class Serving:
    """A server that is ready: where it is, its process, and how to get in."""

    address: str
    server: Server
    password: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def services(self) -> str:
        """The URL of the collection."""
        return f"{self.address}/zstack/v1/ai/model-services"


def measure_querying(
    site: Site, *, records: int = RECORDS, requests: int = REQUESTS
) -> Iterator[Row]:
    """Yield the rows. Takes ten minutes. Raises BenchmarkError."""
    namespace = site.create_namespace()
    access = load_access(kubeconfig=str(site.kubeconfig))
    with site.step(f"querying: {records} services are made"):
        asyncio.run(create(access, list(external_services(records, namespace=namespace))))
    site.settle()
    folder = site.folder / "querying"
    with (
        serving(folder, kubeconfig=site.kubeconfig, namespace=namespace) as served,
        httpx.Client(headers=served.headers, timeout=60, trust_env=False) as http,
    ):
        with site.step("querying: the first answer, and warm-up"):
            first_seconds = _seconds(http, served, QUERIES["a count"])
            _ask(http, served, number=WARM_UP)
        yield Row("first query after the start", records, first_seconds, "s")
        for title, parameters in QUERIES.items():
            with site.step(f"querying: {title}"):
                took = [_seconds(http, served, parameters) * 1000 for _ in range(TIMED)]
            name = f"query, {title}, p99"
            yield Row(name, records, percentile(took, 99), "ms", limit=LIMIT_MILLISECONDS)
        before, _ = served.server.memory_mib
        with site.step(f"querying: {requests} requests"):
            _ask(http, served, number=requests)
        after, _ = served.server.memory_mib
    name = f"memory after {requests:,} queries"
    yield Row(name, records, after, "MiB", baseline=before, limit=GROWTH_LIMIT)


@contextmanager
def serving(folder: Path, *, kubeconfig: Path, namespace: str) -> Iterator[Serving]:
    """Run ``modelfleet serve`` for an account of ``namespace``, until it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    command = Path(sys.executable).with_name("modelfleet")
    made = subprocess.run(
        [command, "serve", "--account", ACCOUNT, "--namespace", namespace],
        capture_output=True,
        text=True,
        check=True,
    )
    accounts = folder / "accounts.yaml"
    accounts.write_text(f"accounts:\n{made.stdout}")
    password = re.findall(r"^Password of .*: (\S+)$", made.stderr, re.MULTILINE)[0]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = Server(
        [
            str(command),
            "serve",
            f"--port={port}",
            f"--accounts={accounts}",
            f"--kubeconfig={kubeconfig}",
            "--account-rate=1e6",
            "--address-rate=1e6",
        ],
        environment={"HOME": str(folder)},
        folder=folder,
        core=None,
        ready=lambda: _is_ready(address),
    )
    try:
        yield Serving(address, server, password, _session(address, password))
    finally:
        server.close()


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _session(address: str, password: str) -> dict[str, str]:
    said = {"accountName": ACCOUNT, "password": sha512_of(password)}
    reply = httpx.put(
        f"{address}/zstack/v1/accounts/login", json={"logInByAccount": said}, trust_env=False
    )
    return {"Authorization": f"OAuth {reply.raise_for_status().json()['inventory']['uuid']}"}


def _ask(http: httpx.Client, served: Serving, *, number: int) -> None:
    """Ask so often, one thing after the other."""
    for parameters in itertools.islice(itertools.cycle(QUERIES.values()), number):
        _seconds(http, served, parameters)


def _seconds(http: httpx.Client, served: Serving, parameters: Parameters) -> float:
    began = time.perf_counter()
    reply = http.get(served.services, params=list(parameters))
    took = time.perf_counter() - began
    reply.raise_for_status()
    return took
