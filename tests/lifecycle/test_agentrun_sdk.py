"""AgentRun's own SDK, unmodified, on ``modelfleet serve``; and the same program on the SDK here.

Behind both is one plane, whose pods answer as a gateway does, and one upstream on loopback.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from agentrun_server import account, secret_of
from forwarding import ENGINE, Forwarding
from proxies import make_secret

from agentrun_sdk_environment import sdk_command, sdk_environment
from modelfleet.agentrun.differences import DIFFERENCES
from serve_process import Server, serving

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = ROOT / "examples" / "agentrun-sdk" / "main.py"
NAMESPACES: Final = ("agentrun-sdk-1", "agentrun-sdk-2", "agentrun-sdk-3")
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


@pytest.fixture(scope="module")
def server(forwarding: Forwarding, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, over HTTPS, since that is all that AgentRun's SDK speaks."""
    for name in NAMESPACES:
        forwarding.api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
        make_secret(forwarding.api, name, INBOUND, api_key="sk-for-callers-0001")
    may = {"may_write": True, "may_read_credentials": True}
    with serving(
        tmp_path_factory.mktemp("serve"),
        accounts=[account(name, name, **may) for name in NAMESPACES],
        kubeconfig=forwarding.plane.kubeconfig,
    ) as it:
        yield it


@pytest.fixture(scope="module")
def settings(forwarding: Forwarding) -> Mapping[str, str]:
    """What the program is told whichever SDK it is run with."""
    upstream = f"http://127.0.0.1:{forwarding.servers[ENGINE]}/v1"
    return {"UPSTREAM": upstream, "CREDENTIAL": INBOUND}


@dataclass(frozen=True)
class Said:
    """What the program said, and where its resources were."""

    namespace: str
    lines: list[str]


@pytest.fixture(scope="module")
def of_agentrun(server: Server, settings: Mapping[str, str]) -> Said:
    """What the program says with AgentRun's SDK.

    Which gives up on a connection after 0.6 s, whatever is configured; on a busy machine that is
    not the server's fault, so it has another try in another namespace.
    """
    for namespace in NAMESPACES:
        environment = sdk_environment(
            {
                **settings,
                "AGENTRUN_CONTROL_ENDPOINT": server.url,
                "AGENTRUN_DATA_ENDPOINT": server.url,
                "AGENTRUN_ACCESS_KEY_ID": f"key-of-{namespace}",
                "AGENTRUN_ACCESS_KEY_SECRET": secret_of(namespace),
                "SSL_CERT_FILE": str(server.authority),
            }
        )
        said = Said(namespace, _lines(sdk_command(PROGRAM, "agentrun"), environment))
        if not any(re.search(r"timed out|timeout to host", line) for line in said.lines):
            break
    return said


@pytest.fixture(scope="module")
def of_modelfleet(
    of_agentrun: Said, forwarding: Forwarding, settings: Mapping[str, str]
) -> list[str]:
    """What the same program says with the SDK here, once the other one has cleared away."""
    environment = {
        **os.environ,
        **settings,
        "KUBECONFIG": str(forwarding.plane.kubeconfig),
        "MODELFLEET_NAMESPACE": of_agentrun.namespace,
    }
    return _lines([sys.executable, str(PROGRAM), "modelfleet"], environment)


def test_agentruns_own_sdk_does_everything(of_agentrun: Said) -> None:
    """Everything that it can do at all: what its release 0.0.54 cannot, it cannot anywhere."""
    said = dict(line.split(": ", 1) for line in of_agentrun.lines if ": " in line)
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
    of_agentrun: Said, of_modelfleet: list[str]
) -> None:
    assert of_modelfleet == [_as_here(line) for line in of_agentrun.lines]


def test_what_differs_stands_in_the_table_of_differences() -> None:
    told = " ".join(each.theirs for each in DIFFERENCES if "0.0.54" in each.theirs)
    assert all(f"`{method.partition('.')[2]}`" in told for method in DIFFERS)


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
        command, env=dict(environment), capture_output=True, text=True, timeout=900, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()
