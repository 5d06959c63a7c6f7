"""AgentRun's own SDK, unmodified, on ``modelfleet serve``; and the same program on the SDK here.

Behind both is one plane, whose pods answer as a gateway does, and one upstream on loopback.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
import trustme
import yaml
from agentrun_server import account, secret_of
from forwarding import ENGINE, Forwarding

from agentrun_sdk_environment import sdk_command, sdk_environment

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = ROOT / "examples" / "agentrun-sdk" / "main.py"
NAMESPACE: Final = "agentrun-sdk"
INBOUND: Final = "key-for-callers"

_MISSING: Final = "ResourceNotExistError: Resource Model({0}-service) does not exist."

# AgentRun's SDK 0.0.54 raises its bare ClientError where a *service* is missing; its own
# delete_and_wait_until_finished falls over that. Everything else is to be the same.
DIFFERS: Final = {
    "ModelService.get_by_name": _MISSING,
    "ModelService.refresh": _MISSING,
    "ModelService.delete_and_wait_until_finished": "done",
}

# The plane of the port-forwards: pods that answer.
pytestmark = pytest.mark.xdist_group("forwarding")


@dataclass(frozen=True)
class Server:
    """A running ``modelfleet serve``, and the authority that its callers trust."""

    url: str
    authority: Path


@pytest.fixture(scope="module")
def server(forwarding: Forwarding, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, over HTTPS, since that is all that AgentRun's SDK speaks."""
    forwarding.api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": NAMESPACE}})
    forwarding.api.send(
        "POST",
        f"/api/v1/namespaces/{NAMESPACE}/secrets",
        json={"metadata": {"name": INBOUND}, "stringData": {"api_key": "sk-for-callers-0001"}},
    )
    folder = tmp_path_factory.mktemp("serve")
    authority, url = trustme.CA(), f"https://127.0.0.1:{_free_port()}"
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "chain.pem").write_bytes(b"".join(it.bytes() for it in certificate.cert_chain_pems))
    may = {"may_write": True, "may_read_credentials": True}
    accounts = {"accounts": [account("sdk", NAMESPACE, **may)]}
    (folder / "accounts.yaml").write_text(yaml.safe_dump(accounts))
    command = [
        *(str(Path(sys.executable).with_name("modelfleet")), "serve"),
        *("--port", url.rpartition(":")[2], "--public-address", url),
        *("--tls-cert", str(folder / "chain.pem"), "--tls-key", str(folder / "key.pem")),
        *("--accounts", str(folder / "accounts.yaml")),
        *("--kubeconfig", str(forwarding.plane.kubeconfig)),
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as it:
        try:
            _wait_until_ready(url, folder / "authority.pem", it)
            yield Server(url, folder / "authority.pem")
        finally:
            it.terminate()
    assert it.returncode == 0, (folder / "log").read_text()
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def settings(forwarding: Forwarding) -> Mapping[str, str]:
    """What the program is told whichever SDK it is run with."""
    upstream = f"http://127.0.0.1:{forwarding.servers[ENGINE]}/v1"
    return {"UPSTREAM": upstream, "CREDENTIAL": INBOUND}


@pytest.fixture(scope="module")
def of_agentrun(server: Server, settings: Mapping[str, str]) -> list[str]:
    """What the program says with AgentRun's SDK."""
    environment = sdk_environment(
        {
            **settings,
            "AGENTRUN_CONTROL_ENDPOINT": server.url,
            "AGENTRUN_DATA_ENDPOINT": server.url,
            "AGENTRUN_ACCESS_KEY_ID": "key-of-sdk",
            "AGENTRUN_ACCESS_KEY_SECRET": secret_of("sdk"),
            "SSL_CERT_FILE": str(server.authority),
        }
    )
    return _lines(sdk_command(PROGRAM, "agentrun"), environment)


@pytest.fixture(scope="module")
def of_modelfleet(
    of_agentrun: list[str], forwarding: Forwarding, settings: Mapping[str, str]
) -> list[str]:
    """What the same program says with the SDK here, once the other one has cleared away."""
    environment = {
        **os.environ,
        **settings,
        "KUBECONFIG": str(forwarding.plane.kubeconfig),
        "MODELFLEET_NAMESPACE": NAMESPACE,
    }
    return _lines([sys.executable, str(PROGRAM), "modelfleet"], environment)


def test_agentruns_own_sdk_does_everything(of_agentrun: list[str]) -> None:
    """Everything that it can do at all: what its release 0.0.54 cannot, it cannot anywhere."""
    said = dict(line.split(": ", 1) for line in of_agentrun if ": " in line)
    for form, ending, complete in (("sync", "", "completion"), ("async", "_async", "acompletion")):
        service, proxy, client = (
            f"{form} {name}." for name in ("ModelService", "ModelProxy", "ModelClient")
        )
        told = f"{form}-service is READY: llm of openai at upstream, ['tiny'], 'changed'"
        assert said[f"{service}create{ending}"] == told.replace("'changed'", "None")
        assert said[f"{service}update{ending}"] == told, "an update of nothing changes nothing"
        assert said[f"{service}list_all{ending}"] == f"['{form}-service']"
        assert said[f"{service}wait_until_ready_or_failed{ending}"] == "done"
        assert said[f"{proxy}wait_until_ready_or_failed{ending}"] == "done"
        assert said[f"{proxy}get_by_name{ending}"] == "READY"
        assert said[f"{proxy}list_all{ending}"] == f"['{form}-proxy']"
        assert said[f"{proxy}update{ending}"] == (
            f"{form}-proxy: single to ['{form}-service'], cpu 0.5, memory 1024, 'changed'"
        )
        for callee in (service, proxy):
            assert said[f"{callee}model_info"] == "tiny of openai, a key"
            assert said[f"{callee}completion"] == "user hello tiny", "as a stream"
            assert said[f"{callee}{complete}"] == "user hello tiny"
        assert said[f"{client}create{ending}"] == (
            f"ResourceAlreadyExistError: Resource Model({form}-proxy) already exists."
        )
        assert said[f"{service}delete{ending}"].startswith("ClientError 409: ")
        assert said[f"{proxy}delete_and_wait_until_finished{ending}"] == "done"
        assert said[f"{client}delete{ending}"] == (
            f"ResourceNotExistError: Resource Model({form}-service) does not exist."
        )


def test_the_same_program_says_the_same_with_another_import(
    of_agentrun: list[str], of_modelfleet: list[str]
) -> None:
    assert of_modelfleet == [_as_here(line) for line in of_agentrun]


def _as_here(line: str) -> str:
    """Return a line of AgentRun's SDK as the SDK here says it: another one where that is known."""
    call, _, told = line.partition(": ")
    form, _, method = call.partition(" ")
    instead = DIFFERS.get(method.removesuffix("_async"))
    if instead is None or not told.startswith("ClientError 404"):
        return line
    return f"{call}: {instead.format(form)}"


def _lines(command: list[str], environment: Mapping[str, str]) -> list[str]:
    result = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def _wait_until_ready(url: str, authority: Path, server: subprocess.Popen[bytes]) -> None:
    context = ssl.create_default_context(cafile=str(authority))
    deadline = time.monotonic() + 60
    with httpx.Client(verify=context, base_url=url) as http:
        while not _is_ready(http):
            assert server.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not become ready"
            time.sleep(0.1)


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])
