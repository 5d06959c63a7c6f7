"""Pods that have nothing but Python: clients of services, on a node that a test chooses."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import tied

from modelfleet.local.api import Api

NODES = ("pods-0", "pods-1")
CLIENT = "tests/client"
"""The label of every client, so that who drains a node can leave them there."""

PATIENCE_SECONDS = 300
"""How long what is sure to come may take; only where it does not come, somebody waits so long."""

_IMAGE = "modelfleet.local/base:1"
_LOAD = Path(__file__).parent / "load.py"
_SCRIPTS = "/scripts"


@dataclass(frozen=True)
class ClientPod:
    """A running pod, and ``kubectl`` to do something in it."""

    api: Api
    namespace: str
    name: str
    environment: Mapping[str, str]

    def run(self, *command: str) -> str:
        """Run a command in it, and return what that prints; fails the test if the command does."""
        return self._said("exec", self.name, "--", *command)

    def python(self, program: str, *arguments: str) -> str:
        """Run a Python program in it, and return what that prints."""
        return self.run("python3", "-c", program, *arguments).strip()

    @property
    def status(self) -> Mapping[str, Any]:
        """What the cluster says of it."""
        status: Mapping[str, Any] = self.api.send("GET", self._path)["status"]
        return status

    def wait_for(self, phase: str, *, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it is in that phase; fail the test when it is not in time."""
        wait_until(lambda: self.status["phase"] == phase, timeout_seconds=timeout_seconds)

    @property
    def log(self) -> str:
        """What its program printed."""
        return self._said("logs", self.name)

    def wait_for_line(self, ending: str) -> None:
        """Wait until its program prints a line that ends so; fail the test when it ends without."""
        follow = ["kubectl", "logs", "--follow", "--namespace", self.namespace, self.name]
        with subprocess.Popen(
            tied(follow), env=self.environment, stdout=subprocess.PIPE, text=True
        ) as following:
            timer = threading.Timer(PATIENCE_SECONDS, following.kill)
            timer.start()
            try:
                assert following.stdout is not None
                said = []
                for each in following.stdout:
                    said.append(each)
                    if each.rstrip("\n").endswith(ending):
                        return
                raise AssertionError(f"{self.name} never says {ending!r}: {said}")
            finally:
                timer.cancel()
                following.kill()

    def _said(self, verb: str, *arguments: str) -> str:
        kubectl = ["kubectl", verb, "--namespace", self.namespace, *arguments]
        ended = subprocess.run(
            kubectl,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{kubectl}:\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"


def client_pod(
    api: Api,
    namespace: str,
    *,
    node: str,
    environment: Mapping[str, str],
    name: str = "client",
    image: str = _IMAGE,
    command: Sequence[str] = ("sleep", "3600"),
    scripts: str | None = None,
) -> ClientPod:
    """Return a pod that runs ``command`` on ``node``, whatever taints that has.

    ``scripts`` names a ConfigMap, whose files it has.
    """
    mounts = [{"name": "scripts", "mountPath": _SCRIPTS}] if scripts else []
    volumes = [{"name": "scripts", "configMap": {"name": scripts}}] if scripts else []
    pod = {
        "metadata": {"name": f"{name}-{node}", "labels": {CLIENT: name}},
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "client",
                    "image": image,
                    "command": list(command),
                    "volumeMounts": mounts,
                }
            ],
            "volumes": volumes,
        },
    }
    api.send("POST", f"/api/v1/namespaces/{namespace}/pods", json=pod)
    client = ClientPod(api, namespace, f"{name}-{node}", environment)
    client.wait_for("Running")
    return client


@dataclass(frozen=True)
class LoadCounts:
    """What a load was answered. ``longest_seconds`` is a request's, by kind, as ``requests`` is."""

    requests: Mapping[str, int]
    longest_seconds: Mapping[str, float]
    connections: int
    failures: Sequence[str]

    def __str__(self) -> str:
        kinds = "; ".join(
            f"{count} {kind} (longest {self.longest_seconds[kind]:.1f} s)"
            for kind, count in sorted(self.requests.items())
        )
        total = sum(self.requests.values())
        return (
            f"{total} requests on {self.connections} connections, "
            f"{len(self.failures)} failed: {kinds}"
        )


class Load:
    """``load.py`` in a client pod of each real node. It goes with its namespace."""

    def __init__(self, api: Api, namespace: str, *, environment: Mapping[str, str]) -> None:
        self._api, self._namespace, self._environment = api, namespace, environment
        self._clients: list[ClientPod] = []

    def start(self, *, url: str, text: str, model: str = "", key: str = "") -> None:
        """Start it, and wait until all workers are at work."""
        more = [model, key] if model else []
        load = {"metadata": {"name": "load"}, "data": {_LOAD.name: _LOAD.read_text()}}
        self._api.send("POST", f"/api/v1/namespaces/{self._namespace}/configmaps", json=load)
        self._clients = [
            client_pod(
                self._api,
                self._namespace,
                node=node,
                environment=self._environment,
                name="load",
                command=("python3", f"{_SCRIPTS}/{_LOAD.name}", url, text, *more),
                scripts="load",
            )
            for node in NODES
        ]
        for client in self._clients:
            client.wait_for_line("at work")

    def end(self) -> LoadCounts:
        """Have it finish what runs, and return the counts of all clients."""
        for client in self._clients:
            client.run("sh", "-c", "kill -TERM 1")
        for client in self._clients:
            client.wait_for("Succeeded")
        counts = [json.loads(client.log.splitlines()[-1]) for client in self._clients]
        kinds = {kind for each in counts for kind in each["requests"]}
        return LoadCounts(
            requests={
                kind: sum(each["requests"].get(kind, 0) for each in counts) for kind in kinds
            },
            longest_seconds={
                kind: max(each["seconds"].get(kind, 0) for each in counts) for kind in kinds
            },
            connections=sum(each["connections"] for each in counts),
            failures=[failure for each in counts for failure in each["failures"]],
        )


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float = PATIENCE_SECONDS) -> None:
    """Return once ``condition`` holds; fail the test when it does not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
