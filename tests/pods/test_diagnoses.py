"""What is said of services that fail on real nodes: why, which declared field, and what to do.

The same in the error of ``pulumi up`` and in ``modelfleet status``. Where the hint asks for another
declaration, that one is made, and serves.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from children import tied
from failing_services import FAILING, LOCKED, NO_FOLDER, REGISTRY, REGISTRY_NODE, Failing
from small_services import PATIENCE_SECONDS

from modelfleet.adapters.cli.main import main
from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet
from modelfleet.local import Plane
from modelfleet.local.api import Api
from pulumi_stack import Stack

StackFactory = Callable[..., Stack]

ANSWERS = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Registry(BaseHTTPRequestHandler):
    def do_GET(self):
        denied = "denied" in self.path
        self.send_response(401 if denied else 404)
        if denied:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

host, _, port = sys.argv[1].partition(":")
server = ThreadingHTTPServer((host, int(port)), Registry)
print("listens", flush=True)
server.serve_forever()
"""
"""A registry that has no image, and wants credentials for one."""


@pytest.fixture(scope="module")
def registry(real_plane: Plane) -> Iterator[None]:
    """A registry on the loopback address of one node."""
    init = real_plane.status().components[f"{REGISTRY_NODE}/pause"]
    with subprocess.Popen(
        tied(["nsenter", f"--target={init}", "--net", sys.executable, "-c", ANSWERS, REGISTRY]),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "listens\n"
        yield
        server.kill()


@pytest.fixture(scope="module")
def locked(real_plane: Plane, api: Api, module_namespace: str) -> Iterator[list[Path]]:
    """The claims that cannot be used; gives the folders that root keeps to itself."""
    name = f"{LOCKED}-{module_namespace}"
    nodes = real_plane.state_folder / "plane" / "nodes"
    kept = [folder / "root/var/lib/modelfleet" for folder in sorted(nodes.glob("pods-*"))]
    folders = [folder / name for folder in kept]
    for folder in folders:
        folder.mkdir(mode=0o700)
        shutil.copy(folder.parent / "models" / "tiny-chat.gguf", folder)
    with (
        claimed(api, LOCKED, namespace=module_namespace, path=f"/var/lib/modelfleet/{name}"),
        claimed(api, NO_FOLDER, namespace=module_namespace, path="/var/lib/modelfleet/none"),
    ):
        yield folders
    for folder in folders:
        shutil.rmtree(folder)


@contextmanager
def claimed(api: Api, claim: str, *, namespace: str, path: str) -> Iterator[None]:
    """Give a namespace a claim on a folder that every node is to have."""
    name = f"{claim}-{namespace}"
    access = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    volume = {
        **access,
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": path, "type": "Directory"},
        "claimRef": {"namespace": namespace, "name": claim},
    }
    wanted = {**access, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}
    volumes, claims = "/api/v1/persistentvolumes", f"/api/v1/namespaces/{namespace}"
    api.send("POST", volumes, json={"metadata": {"name": name}, "spec": volume})
    api.send(
        "POST",
        f"{claims}/persistentvolumeclaims",
        json={"metadata": {"name": claim}, "spec": wanted},
    )
    yield
    api.send("DELETE", f"{volumes}/{name}")


Wait = Mapping[str, Any]


def program(namespace: str, deployments: Mapping[str, tuple[Mapping[str, Any], Wait]]) -> str:
    """Return a program of services with their deployments and what to wait for with each."""
    declared = "\n".join(
        f"ModelService({name!r}, namespace={namespace!r}, deployment={dict(deployment)!r}, "
        f"wait={dict(wait)!r})"
        for name, (deployment, wait) in deployments.items()
    )
    return f"from modelfleet import ModelService\n\n{declared}\n"


@pytest.fixture(scope="module")
def stack(
    module_stack_factory: StackFactory,
    module_namespace: str,
    kubeconfig: Path,
    registry: None,
    locked: list[Path],
) -> Stack:
    """A stack whose services have all failed.

    They are made without waiting, and waited for when what is to be told of them has happened: that
    takes each another time.
    """

    def declared(wait: Callable[[Failing], Wait]) -> str:
        broken = {name: (each.deployment, wait(each)) for name, each in FAILING.items()}
        return program(module_namespace, broken)

    stack = module_stack_factory(declared(lambda _: {"until": "accepted"}), cluster=True)
    stack.up()
    asyncio.run(failed(module_namespace, kubeconfig=kubeconfig))
    stack.program(declared(lambda each: {"timeout_seconds": each.wait_seconds}))
    # Else an error keeps the program from declaring more.
    ran = stack.up("--continue-on-error", expect_failure=True)
    assert "Traceback" not in ran.output
    assert "has a problem" not in ran.output
    return stack


async def failed(namespace: str, *, kubeconfig: Path) -> None:
    """Return when each service is known to fail for its reason; leaves it to tests if one is not.

    A program that ends comes to an end again and again, and between two ends it runs.
    """
    fleet = Fleet(Client.connect(kubeconfig=str(kubeconfig)))
    deadline = time.monotonic() + 300
    left = dict(FAILING)
    while left and time.monotonic() < deadline:
        for name, failing in list(left.items()):
            report = await fleet.status(namespace, name)
            told = report.diagnosis if report else ()
            if [each.code for each in told] == [failing.code] and re.fullmatch(
                rf"Pod {name}-\S+: {failing.says}", told[0].sentence
            ):
                del left[name]
        await asyncio.sleep(1)
    await fleet.aclose()


@pytest.fixture(scope="module")
def errors(stack: Stack) -> Mapping[str, str]:
    """What ``pulumi up`` said of each service."""
    return {
        name: " ".join(resource["initErrors"])
        for name, resource in stack.resources().items()
        if resource.get("initErrors")
    }


@pytest.mark.parametrize(("name", "failing"), FAILING.items(), ids=FAILING)
def test_a_failure_is_told_by_reason_field_and_advice(
    name: str,
    failing: Failing,
    errors: Mapping[str, str],
    module_namespace: str,
    kubeconfig: Path,
) -> None:
    subject = f"ModelService {module_namespace}/{name}"
    outcome = rf"(failed|is not ready after {failing.wait_seconds} s)"
    said = errors[name]
    assert re.fullmatch(rf"{subject}: {outcome}\. Pod {name}-\S+: {failing.says}", said), said

    status = ["modelfleet", "status", f"{module_namespace}/{name}", "--output=json"]
    with (
        patch.object(sys, "argv", [*status, f"--kubeconfig={kubeconfig}"]),
        redirect_stdout(io.StringIO()) as out,
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert ended.value.code == 3, out.getvalue()
    report = json.loads(out.getvalue())
    (told,) = report["diagnosis"]
    assert (told["code"], told["field"]) == (failing.code, failing.field)
    assert re.fullmatch(rf"Pod {name}-\S+: {failing.says}", told["sentence"]), told["sentence"]
    assert [pod["lacks"] for pod in report["pods"]] == [failing.code]


def test_what_is_corrected_as_the_hint_says_serves(
    stack: Stack, errors: Mapping[str, str], module_namespace: str, locked: list[Path]
) -> None:
    assert errors.keys() == FAILING.keys()
    for folder in locked:
        folder.chmod(0o755)
    corrected = {name: each.corrected for name, each in FAILING.items() if each.corrected}
    wait = {"timeout_seconds": PATIENCE_SECONDS}
    stack.program(program(module_namespace, {name: (d, wait) for name, d in corrected.items()}))
    stack.up()
    resources = stack.resources()
    assert {name: resources[name]["outputs"]["status"] for name in corrected} == dict.fromkeys(
        corrected, "READY"
    )
