"""ZStack's query API on a real API server, asked as people ask: by curl, and by a typed client."""

from __future__ import annotations

import asyncio
import json
import re
import runpy
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import httpx
import pytest

from benchmarks.querying import ACCOUNT, Serving, serving
from benchmarks.records import create, external_services
from documented import ROOT, Shell, blocks
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.local import Plane
from modelfleet.local.api import Api

EXAMPLE: Final = ROOT / "examples" / "query-api"
SERVICES: Final = 1_000

pytestmark = pytest.mark.xdist_group("zstack")


@pytest.fixture(scope="module")
def namespace(plane: Plane, plane_api: Api) -> str:
    """A namespace with 1,000 external services."""
    name = f"zstack-{secrets.token_hex(4)}"
    plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    access = load_access(kubeconfig=str(plane.kubeconfig))
    asyncio.run(create(access, list(external_services(SERVICES, namespace=name))))
    return name


@pytest.fixture(scope="module")
def served(
    namespace: str, fleet_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """A server over them, as a process with the least rights."""
    folder = tmp_path_factory.mktemp("serve")
    with serving(folder, kubeconfig=fleet_kubeconfig, namespace=namespace) as server:
        yield server


@pytest.fixture(scope="module")
def client() -> Any:
    """The names of the example's file."""
    return SimpleNamespace(**runpy.run_path(str(EXAMPLE / "model_services.py")))


def test_a_typed_client_finds_its_way_through_a_thousand_services(
    served: Serving, client: Any
) -> None:
    with client.ModelServices(f"{served.address}/zstack/v1", ACCOUNT, served.password) as services:
        everything = list(services.query())
        assert [each["name"] for each in everything] == [f"svc-{n:05}" for n in range(SERVICES)]
        assert len({each["uuid"] for each in everything}) == SERVICES
        assert set(everything[0]) == set(client.ModelService.__annotations__)
        of_search = list(services.query("__userTag__=team::search", fields=["name"]))
        assert of_search == [{"name": f"svc-{number:05}"} for number in range(0, SERVICES, 7)]
        assert services.count("__userTag__!=team::search") == SERVICES - len(of_search)
        assert services.count("description~=%a!=b.", "name<svc-00100") == 66
        one = services.get(everything[500]["uuid"])
        assert one == everything[500]
        assert services.get("0" * 32) is None
        with pytest.raises(client.QueryError, match=r"SYS.1007.*Did you mean name\?"):
            services.count("nmae=x")
    session = f"{served.address}/zstack/v1/accounts/sessions/{services._session}"
    assert httpx.get(f"{session}/valid", trust_env=False).json() == {"valid": False}


def test_what_is_made_shows_at_once_and_what_is_gone_does_not(
    served: Serving, namespace: str, plane: Plane, plane_api: Api
) -> None:
    with httpx.Client(headers=served.headers) as http:

        def found() -> list[dict[str, Any]]:
            params = [("q", "name=svc-latecomer")]
            reply = http.get(served.services, params=params)
            assert reply.headers["X-Modelfleet-Age-Seconds"] == "0"
            return list(reply.json()["inventories"])

        def until(count: int) -> list[dict[str, Any]]:
            deadline = time.monotonic() + 240
            while len(inventories := found()) != count:
                assert time.monotonic() < deadline, inventories
            return inventories

        [latecomer] = external_services(1, namespace=namespace)
        latecomer = json.loads(json.dumps(latecomer).replace("svc-00000", "svc-latecomer"))
        access = load_access(kubeconfig=str(plane.kubeconfig))
        asyncio.run(create(access, [latecomer]))
        [inventory] = until(1)
        path = f"/api/v1/namespaces/{namespace}/secrets/{latecomer['metadata']['name']}"
        uid = plane_api.send("GET", path)["metadata"]["uid"]
        assert inventory["uuid"] == uid.replace("-", "")
        plane_api.send("DELETE", path)
        until(0)


def test_the_example_does_what_its_readme_says(
    namespace: str, plane: Plane, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    (clone / "examples").mkdir(parents=True)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    (clone / "examples" / "query-api").symlink_to(EXAMPLE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "MODELFLEET_STATE": str(plane.state_folder),
        "NAMESPACE": namespace,
        "PORT": str(port),
    }
    commands = [
        command
        for block in blocks(EXAMPLE / "README.md")
        if block.language == "sh"
        for command in block.commands
    ]
    ends = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"
    runs = Shell(clone, environment=environment).run([ends, *commands])
    printed = {run.typed: run for run in runs}

    def told(*words: str) -> Any:
        [run] = [run for command, run in printed.items() if all(word in command for word in words)]
        return json.loads(run.output)

    assert told("/valid") == {"valid": True}
    assert [each["name"] for each in told("sort=-name")["inventories"]] == [
        f"svc-{number:05}" for number in range(SERVICES - 1, SERVICES - 6, -1)
    ]
    assert told("framework?=")["total"] == 0
    assert told("status::READY")["total"] == SERVICES
    assert told("a!=b")["total"] == SERVICES - len(range(0, SERVICES, 3))
    assert told("nmae")["error"]["elaboration"] == "Did you mean name?"
    assert told("-X DELETE", "0123456789abcdef")["error"]["code"] == "ID.1002"
    assert told("-X DELETE", "$SESSION", "/accounts/sessions") == {}
    [table] = [run.output for command, run in printed.items() if "model_services.py" in command]
    assert re.search(rf"^0 of {SERVICES} services$", table, re.MULTILINE)
