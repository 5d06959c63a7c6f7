"""Whoever means harm: what callers of the HTTP APIs cannot reach, and connections that are odd.

What proves a caller, and what each API tells of itself, is for the tests of those; here it is what
several parts must do together.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from agentrun_server import (
    PROXIES,
    ROOT,
    SERVICES,
    account,
    asked_as,
    external,
    parts_of,
    proxy,
    secret_of,
)
from served_process import PASSWORD, Process, serving_process

from agentrun_signing import DataSigner
from modelfleet.adapters.query_api.audit import LOGGER
from modelfleet.adapters.query_api.parts import Parts
from modelfleet.adapters.query_api.passwords import Cost, PasswordHash, sha512_of
from modelfleet.fleet import Fleet
from modelfleet.local.api import Api

KEY: Final = "sk-not-a-real-key-of-red"


def hosted(name: str, **deployment: Any) -> dict[str, Any]:
    """Return the body of a create of a service that would run here, with no pods."""
    runs = {"model": {"uri": "hf://org/model"}, "runtime": "vllm", "gpu": {"product": "NVIDIA-L4"}}
    return {"modelServiceName": name, "deployment": {**runs, "replicas": 0, **deployment}}


def through(**endpoint: Any) -> dict[str, Any]:
    """Return the body of a create of a proxy with one endpoint."""
    return {"modelProxyName": "thief", "proxyConfig": {"endpoints": [endpoint]}}


def pod(**spec: Any) -> dict[str, Any]:
    """Return the body of a create of a service whose pods are overridden."""
    return hosted("thief", podOverrides={"spec": spec})


def engine(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "engine", **fields}])


def refusal(reply: httpx.Response, status: int) -> str:
    content = reply.json()
    assert reply.status_code == status, content
    assert KEY not in reply.text
    return str(content["message"])


# -- tenants


@pytest.fixture
def other_namespace(plane_api: Api, namespace: str) -> Iterator[str]:
    name = f"{namespace}-b"
    plane_api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    yield name
    plane_api.send("DELETE", f"/api/v1/namespaces/{name}")


@pytest_asyncio.fixture
async def parts(fleet: Fleet, namespace: str, other_namespace: str) -> AsyncIterator[Parts]:
    """A server with a tenant of a namespace, and two that share another one by workspaces."""
    every = {"may_write": True, "may_read_credentials": True}
    served = parts_of(
        fleet,
        account("far", other_namespace, **every),
        account("all", namespace, namespaces="*", **every),
        *(account(name, namespace, workspaces=[name], **every) for name in ("red", "blue")),
    )
    with_key = {
        "baseUrl": "https://api.example.com/v1",
        "modelNames": ["gpt-of-red"],
        "apiKey": KEY,
    }
    async with asked_as(served, "red") as red, asked_as(served, "far") as far:
        for http in (red, far):
            for body in (
                external("theirs", providerSettings=with_key),
                hosted("theirs-here", secretEnv={"TOKEN": KEY}),
            ):
                made = await http.post(SERVICES, json=body)
                assert made.status_code == 200, made.text
    yield served
    await served.aclose()


BY_NAME: Final = {
    "by name": (PROXIES, "theirs", through(modelServiceName="theirs")),
    "by place": (PROXIES, "theirs", through(modelServiceName="{namespace}/theirs")),
    "one that runs here": (PROXIES, "theirs-here", through(modelServiceName="theirs-here")),
    "by a route": (
        PROXIES,
        "theirs",
        {"modelProxyName": "thief", "routes": {"chat": {"targets": [{"service": "theirs"}]}}},
    ),
    "by a fallback": (
        PROXIES,
        "theirs",
        {
            "modelProxyName": "thief",
            "proxyConfig": {
                "endpoints": [{"baseUrl": "https://thief.example.com/v1", "modelNames": ["m"]}],
                "policies": {"fallbacks": [{"modelServiceName": "theirs"}]},
            },
        },
    ),
    "by a key of it": (
        PROXIES,
        "theirs-external",
        through(
            baseUrl="https://thief.example.com/v1",
            modelNames=["m"],
            credentialName="theirs-external/api_key",
        ),
    ),
}


async def test_what_is_another_workspaces_is_refused_in_the_words_for_what_is_not_there(
    parts: Parts, namespace: str
) -> None:
    async with asked_as(parts, "blue") as blue:
        for how, (path, name, body) in BY_NAME.items():
            text = json.dumps(body).replace("{namespace}", namespace)
            foreign = refusal(await blue.post(path, content=text), 400)
            missing = refusal(await blue.post(path, content=text.replace(name, "nobodys")), 400)
            assert foreign.replace(name, "nobodys") == missing, how


async def test_what_is_another_namespaces_is_as_if_it_was_not_there(
    parts: Parts, namespace: str, other_namespace: str
) -> None:
    async with asked_as(parts, "far") as far, asked_as(parts, "all") as everybody:
        for name in ("theirs", "theirs-here"):
            named, none = f"{namespace}/{name}", f"{namespace}/nobodys"
            foreign = refusal(await far.post(PROXIES, json=through(modelServiceName=named)), 400)
            missing = refusal(await far.post(PROXIES, json=through(modelServiceName=none)), 400)
            assert foreign.replace(named, none) == missing
        for path in (f"{namespace}%2Ftheirs", f"..%2F{namespace}%2Ftheirs", "theirs%2F"):
            assert "does not exist" in refusal(await far.get(f"{SERVICES}/{path}"), 404)
        away = f"http://theirs-here.{namespace}.svc/v1"
        by_address = await far.post(PROXIES, json=through(baseUrl=away, modelNames=["m"]))
        assert "there is no ModelService" in refusal(by_address, 400)
        assert "namespace: is that of the caller" in refusal(
            await far.post(SERVICES, json=external("mine", namespace=namespace)), 400
        )
        # Who sees all namespaces may name what is in them.
        allowed = through(modelServiceName=f"{other_namespace}/theirs-here")
        assert (await everybody.post(PROXIES, json=allowed)).status_code == 200


SPELLED: Final = {
    "as it is": "http://theirs-here.{namespace}.svc/v1",
    "with a port": "http://theirs-here.{namespace}.svc:8000/v1",
    "short": "http://theirs-here/v1",
    "without svc": "http://theirs-here.{namespace}/v1",
    "whole, in capitals": "http://THEIRS-HERE.{namespace}.svc.cluster.local./v1",
    "encoded": "http://theirs%2dhere.{namespace}.svc/v1",
    "with another full stop": "http://theirs-here\u3002{namespace}\u3002svc/v1",
    "in wide letters": "http://\uff54heirs-here.{namespace}.svc/v1",
}


async def test_no_spelling_of_an_address_leads_a_proxy_to_another_workspace(
    parts: Parts, namespace: str
) -> None:
    async with asked_as(parts, "blue") as blue:
        for number, (how, url) in enumerate(SPELLED.items()):
            settings = {"baseUrl": url.replace("{namespace}", namespace), "modelNames": ["m"]}
            told = refusal(await blue.post(PROXIES, json=through(**settings)), 400)
            assert f"there is no ModelService {namespace}/theirs-here" in told, how
            # Nor by a service of one's own at that address.
            alias = external(f"alias-{number}", providerSettings=settings)
            assert (await blue.post(SERVICES, json=alias)).status_code == 200
            by_alias = through(modelServiceName=f"alias-{number}")
            assert "there is no ModelService" in refusal(
                await blue.post(PROXIES, json=by_alias), 400
            ), how


FROM_SECRETS: Final = {
    "a credential": external("thief", credentialName="theirs-external"),
    "an environment": hosted("thief", env={"secret": {"secret": "theirs-here-env/TOKEN"}}),
    "a token of weights": hosted(
        "thief", model={"uri": "hf://org/model", "credentialName": "theirs-external/api_key"}
    ),
    "a variable of a pod": engine(
        env=[
            {
                "name": "X",
                "valueFrom": {"secretKeyRef": {"name": "theirs-here-env", "key": "TOKEN"}},
            }
        ]
    ),
    "all variables of a pod": engine(envFrom=[{"secretRef": {"name": "theirs-here-env"}}]),
    "a volume": pod(volumes=[{"name": "v", "secret": {"secretName": "theirs-here-env"}}]),
    "a projected volume": pod(
        volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "theirs-here-env"}}]}}]
    ),
}


async def test_no_resource_takes_the_secret_of_another_workspaces(parts: Parts) -> None:
    async with asked_as(parts, "blue") as blue:
        for how, body in FROM_SECRETS.items():
            told = refusal(await blue.post(SERVICES, json=body), 400)
            assert "there is no Secret theirs-" in told, how
        assert (await blue.post(SERVICES, json=external("own"))).status_code == 200
        changed = await blue.put(f"{SERVICES}/own", json={"credentialName": "theirs-external"})
        assert "there is no Secret theirs-" in refusal(changed, 400)
        for credential in ("theirs-external", "theirs-external%2Fapi_key"):
            refusal(await blue.get(f"{ROOT}/credentials/{credential}"), 404)


# -- addresses that callers declare


async def test_the_server_itself_calls_no_address_that_a_caller_declares(
    parts: Parts, namespace: str
) -> None:
    calls: list[object] = []

    async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(reader)
        writer.close()

    trap = await asyncio.start_server(called, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{trap.sockets[0].getsockname()[1]}"
    settings = {"baseUrl": f"{address}/v1", "modelNames": ["gpt-x"], "apiKey": "sk-0123456789"}
    signer = DataSigner("key-of-all", secret_of("all"))
    async with asked_as(parts, "all") as http:
        for path, body in (
            (SERVICES, external("trap", providerSettings=settings)),
            (PROXIES, proxy("gate", "trap", apiKeys={"team": {"generate": {}}})),
        ):
            made = await http.post(path, json=body)
            assert made.status_code == 200, made.text
        for path in (
            *(f"{SERVICES}/trap", SERVICES, f"{PROXIES}/gate", PROXIES),
            *(f"{ROOT}/model-providers", f"{ROOT}/credentials/trap-external"),
        ):
            assert (await http.get(path)).status_code == 200
        asked = {"model": "gpt-x", "messages": [], "base_url": address, "api_base": address}
        for name in ("trap", "gate", f"127.0.0.1:{address.rpartition(':')[2]}"):
            url = f"/models/{name}/v1/chat/completions"
            reply = await http.post(url, json=asked, auth=signer)
            assert reply.status_code in (404, 502, 503), reply.text
        assert (await http.put(f"{SERVICES}/trap", json={"description": "x"})).status_code == 200
        assert (await http.delete(f"{PROXIES}/gate")).status_code == 200
    trap.close()
    await trap.wait_closed()
    assert calls == []


# -- what is refused half way, and what stands in the log


async def test_what_the_api_server_refuses_is_told_as_the_callers(parts: Parts) -> None:
    wrong = {"limits": {"memory": "a lot"}}
    async with asked_as(parts, "all") as http:
        told = refusal(await http.post(SERVICES, json=engine(resources=wrong)), 400)
    assert "was not written wholly" in told
    assert "quantities must match" in told


async def test_a_name_cannot_forge_a_line_of_the_audit_log(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    odd = '\u2028{"account":"root"}\x1b[2K\x85\t"'
    async with asked_as(parts, "red") as red:
        refusal(await red.put(f"{SERVICES}/{quote(odd)}", json={"description": "x"}), 404)
        refusal(await red.post(SERVICES, json=external(odd)), 400)
    lines = [each.getMessage() for each in caplog.records if each.name == LOGGER]
    assert len(lines) == 2
    for line in lines:
        assert line.isascii() and line.isprintable()
        assert json.loads(line)["account"] == "red"


async def test_a_header_makes_no_other_verb_of_a_request(parts: Parts) -> None:
    overriding = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE"}
    async with asked_as(parts, "red") as red:
        for _ in range(2):
            assert (await red.get(f"{SERVICES}/theirs", headers=overriding)).status_code == 200


async def test_a_body_is_not_inflated(parts: Parts) -> None:
    bomb = gzip.compress(json.dumps(external("bomb", description="x" * 4_000)).encode())
    async with asked_as(parts, "red") as red:
        packed = {"Content-Encoding": "gzip"}
        assert "not JSON" in refusal(await red.post(SERVICES, content=bomb, headers=packed), 400)


# -- connections


@pytest.fixture(scope="module")
def process(fleet_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    hashed = PasswordHash.made(sha512_of(PASSWORD), cost=Cost(n=16, r=1, p=1)).text
    entry = {"name": "ci", "password_hash": hashed}
    folder = tmp_path_factory.mktemp("access")
    with serving_process(folder, fleet_kubeconfig, accounts=[entry]) as running:
        yield running


LOGIN: Final = b"PUT /zstack/v1/accounts/login HTTP/1.1\r\nHost: localhost\r\n"
QUERY: Final = b"GET /zstack/v1/ai/model-services HTTP/1.1\r\nHost: localhost\r\n"
ALIVE: Final = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

ODD: Final = {
    "two lengths": (LOGIN + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x" + ALIVE, 400),
    "a length and chunks": (
        LOGIN + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + ALIVE,
        400,
    ),
    "chunks of another kind": (
        LOGIN + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + ALIVE,
        400,
    ),
    "a negative length": (LOGIN + b"Content-Length: -1\r\n\r\n" + ALIVE, 400),
    "a length beyond all bounds": (LOGIN + b"Content-Length: 99999999\r\n\r\n" + ALIVE, 413),
    "a space before the colon": (QUERY + b"Authorization : OAuth x\r\n\r\n" + ALIVE, 400),
    "a NUL in a header": (QUERY + b"Authorization: OAuth \0\r\n\r\n" + ALIVE, 400),
    "two hosts": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + ALIVE, 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n" + ALIVE, 400),
    "no HTTP": (b"hello\r\n\r\n" + ALIVE, 400),
}


@pytest.mark.parametrize(("sent", "status"), ODD.values(), ids=ODD)
def test_a_request_that_can_be_read_in_two_ways_ends_its_connection(
    process: Process, sent: bytes, status: int
) -> None:
    assert statuses(process, sent) == [status]


def test_two_proofs_in_one_request_are_none(process: Process) -> None:
    two = QUERY + b"Authorization: OAuth a\r\nauthORIZATION: OAuth b\r\nConnection: close\r\n\r\n"
    assert statuses(process, two) == [400]


def test_paths_are_taken_as_they_are_sent(process: Process) -> None:
    for path in (
        b"//healthz",
        b"/zstack/../healthz",
        b"/%2e%2e/healthz",
        b"/healthz/",
        b"/HEALTHZ",
    ):
        sent = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert statuses(process, sent) == [404], path


def test_whoever_leaves_within_a_body_is_no_bug_in_the_log(process: Process) -> None:
    with connected(process) as it:
        it.sendall(LOGIN + b"Content-Length: 100\r\n\r\n{")
    assert statuses(process, ALIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) == [200]
    assert "ERROR" not in process.log
    assert "Traceback" not in process.log


def connected(process: Process) -> socket.socket:
    port = int(process.url.rpartition(":")[2])
    raw = socket.create_connection(("127.0.0.1", port), timeout=240)
    return process.context.wrap_socket(raw, server_hostname="localhost")


def statuses(process: Process, sent: bytes) -> list[int]:
    """Return the statuses of all answers until the server ends the connection."""
    with connected(process) as it:
        it.sendall(sent)
        received = b""
        while part := it.recv(65_536):
            received += part
    return [int(each[:3]) for each in received.split(b"HTTP/1.1 ")[1:]]
