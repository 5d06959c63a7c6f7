"""Who reaches a hosted service on real nodes, by the NetworkPolicy that is rendered for it.

Dimensions: who calls (a neighbour, a proxy, a stranger, a stranger who is declared) x from which
node x by the service's name or by its pod's address.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from small_services import PATIENCE_SECONDS

from modelfleet import labels
from modelfleet.fleet import Desired, Fleet, new_incarnation
from modelfleet.local.api import Api
from modelfleet.local.pods.real_nodes import NAMES as NODES
from modelfleet.plan import spec_of

ANSWERED, TIMED_OUT, REFUSED = "answered", "timed out", "refused"

IMAGE = "ghcr.io/ggml-org/llama.cpp:server-b11312"  # one that nodes have, with a shell in it
ROLE = "example.com/role"
ENGINE_PORT = 8080

# What callers run: a server that hangs up on everybody.
LISTEN = f"""use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalPort => {ENGINE_PORT}, Listen => 5) or die;
close $server->accept while 1"""

# $0 and $1 are host and port.
CONNECT = "exec 3<>/dev/tcp/$0/$1 || exit 7"
ASK = f"""{CONNECT}
printf "GET /health HTTP/1.0\\r\\n\\r\\n" >&3
grep -q "HTTP/1.* 200" <&3"""
Target = tuple[str, int]
"""A host and a port."""

OUTCOMES = {0: ANSWERED, 7: REFUSED, 124: TIMED_OUT}


@dataclass(frozen=True)
class Caller:
    """A pod that connects to others."""

    namespace: str
    name: str
    environment: Mapping[str, str]

    async def outcome(
        self, target: Target, *, script: str = ASK, timeout_seconds: float = 60
    ) -> str:
        """Return what becomes of a connection; what `kubectl` says where none was tried."""
        pod = ("--namespace", self.namespace, self.name)
        timed = (
            "timeout",
            f"{timeout_seconds:.1f}",
            "bash",
            "-c",
            script,
            target[0],
            str(target[1]),
        )
        done = await asyncio.to_thread(
            subprocess.run,
            ["kubectl", "exec", *pod, "--", *timed],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        return OUTCOMES.get(done.returncode, f"{done.returncode}: {done.stderr}")

    def address(self, api: Api) -> str:
        """Return the pod's own address."""
        pod = api.send("GET", f"/api/v1/namespaces/{self.namespace}/pods/{self.name}")
        return str(pod["status"]["podIP"])


async def until(
    wanted: str, callers: list[Caller], targets: list[Target], *, timeout_seconds: float = 60
) -> float:
    """Wait until all connections of all callers end as ``wanted``: nodes hear of a change soon.

    Returns how long it took the last time, when all of them did.
    """
    every = list(product(callers, targets))
    deadline = time.monotonic() + 300
    while True:
        started = time.monotonic()
        found = await asyncio.gather(
            *(caller.outcome(target, timeout_seconds=timeout_seconds) for caller, target in every)
        )
        if set(found) == {wanted}:
            return time.monotonic() - started
        others = [(c.name, t, o) for (c, t), o in zip(every, found, strict=True) if o != wanted]
        assert time.monotonic() < deadline, others


async def only(callers: list[Caller], strangers: list[Caller], targets: list[Target]) -> None:
    """Wait until ``callers`` are answered and ``strangers`` are not, in longer than that takes."""
    answers_seconds = await until(ANSWERED, callers, targets)
    await until(TIMED_OUT, strangers, targets, timeout_seconds=max(3, 2 * answers_seconds))


def call_from(
    namespace: str, role: str, *, api: Api, environment: Mapping[str, str]
) -> list[Caller]:
    """Start a caller on every node, and return them when they run."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    callers = [Caller(namespace, f"{role}-{node}", environment) for node in NODES]
    for caller, node in zip(callers, NODES, strict=True):
        kind = {labels.KIND: "ModelProxy"} if role == "proxy" else {}
        container = {"name": "only", "image": IMAGE, "command": ["perl", "-e", LISTEN]}
        spec = {
            "automountServiceAccountToken": False,
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        }
        metadata = {"name": caller.name, "labels": {ROLE: role, **kind}}
        api.send("POST", pods, json={"metadata": metadata, "spec": spec})
    deadline = time.monotonic() + 300
    for caller in callers:
        while api.send("GET", f"{pods}/{caller.name}")["status"].get("phase") != "Running":
            assert time.monotonic() < deadline, api.send("GET", f"{pods}/{caller.name}")["status"]
            time.sleep(0.1)
    return callers


@pytest.fixture
def elsewhere(api: Api) -> Iterator[str]:
    """Another namespace."""
    name = f"p-{uuid.uuid4().hex[:8]}"
    api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    yield name
    api.send("DELETE", f"/api/v1/namespaces/{name}")


def desired(namespace: str, *, prior: Desired | None = None, **others: Any) -> Desired:
    declaration = {
        "model_service_name": "tiny",
        "namespace": namespace,
        "deployment": {
            "model": {"uri": "pvc://models/tiny-chat.gguf"},
            "runtime": "llama.cpp",
            "cpu": 0.2,
            "memory_gib": 1,
            "shm_gib": 0,
            "max_model_len": 512,
            "drain_seconds": 0,
        },
        "wait": {"until": "all", "timeout_seconds": PATIENCE_SECONDS},
        **others,
    }
    owner = "acme/fleet/prod"
    if prior is None:
        return Desired(spec_of(declaration), owner=owner, incarnation=new_incarnation())
    return Desired(
        spec_of(declaration),
        owner=owner,
        former_owner=owner,
        prior=prior.spec,
        incarnation=prior.incarnation,
    )


async def test_neighbours_proxies_and_declared_strangers_reach_a_service_and_nobody_else_does(
    fleet: Fleet, api: Api, environment: Mapping[str, str], namespace: str, elsewhere: str
) -> None:
    neighbours = call_from(namespace, "neighbour", api=api, environment=environment)
    proxies = call_from(elsewhere, "proxy", api=api, environment=environment)
    strangers = call_from(elsewhere, "stranger", api=api, environment=environment)
    closed = desired(namespace)
    await fleet.apply(closed)
    ours = {"labelSelector": labels.NAME}
    (pod,) = api.send("GET", f"/api/v1/namespaces/{namespace}/pods", params=ours)["items"]
    engine = Caller(namespace, pod["metadata"]["name"], environment)
    targets = [
        (f"tiny.{namespace}.svc.cluster.local", labels.SERVICE_PORT),
        (engine.address(api), ENGINE_PORT),
    ]
    await only([*neighbours, *proxies], strangers, targets)

    for stranger in strangers:
        outward = (stranger.address(api), ENGINE_PORT)
        assert await engine.outcome(outward, script=CONNECT) == ANSWERED

    peer = {
        "namespace_labels": {"kubernetes.io/metadata.name": elsewhere},
        "pod_labels": {ROLE: "stranger"},
    }
    opened = desired(namespace, prior=closed, network_configuration={"allow_from": [peer]})
    await fleet.apply(opened)
    await until(ANSWERED, [*neighbours, *proxies, *strangers], targets)

    await fleet.apply(desired(namespace, prior=opened))
    await only([*neighbours, *proxies], strangers, targets)
