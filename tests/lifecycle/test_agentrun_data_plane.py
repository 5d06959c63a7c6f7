"""The data endpoint: who may call a model through the server, what passes, and what does not.

Behind it is a plane whose pods have ports that lead to servers of these tests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import openai
import pytest
from agentrun_server import account, secret_of
from fleets import desired as desired_service
from fleets import external, hosted
from forwarding import THINKING_SECONDS, Forwarding
from proxies import desired as desired_proxy
from proxies import proxy

from agentrun_signing import DataSigner
from modelfleet.cluster.client import Client
from modelfleet.fleet import Fleet
from serve_process import Server, serving

NAMESPACE: Final = "agentrun-data"
CHAT: Final = "/v1/chat/completions"
KEY: Final = "sk-of-a-caller-0123456789"
ACCEPTED: Final = {"until": "accepted"}

pytestmark = pytest.mark.xdist_group("forwarding")


def hello(said: str = "hello", **others: Any) -> dict[str, Any]:
    return {"model": "x", "messages": [{"role": "user", "content": said}], **others}


@pytest.fixture(scope="module")
def server(forwarding: Forwarding, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over two proxies, one of which asks for keys, and three services.

    No other module has these names on its plane, where commands are given names alone.
    """
    forwarding.api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": NAMESPACE}})
    asyncio.run(_applied(forwarding))
    with serving(
        tmp_path_factory.mktemp("serve"),
        accounts=[
            account("ci", NAMESPACE),
            account("blue", NAMESPACE, workspaces=["blue"]),
            account("abroad", "default"),
        ],
        kubeconfig=forwarding.plane.kubeconfig,
    ) as it:
        yield it


async def _applied(forwarding: Forwarding) -> None:
    fleet = Fleet(Client.connect(kubeconfig=str(forwarding.plane.kubeconfig)))
    keyed = {"api_keys": {"team": {"key": KEY}}}
    services = [
        {**hosted(NAMESPACE), "model_service_name": "behind"},
        {**hosted(NAMESPACE, {"replicas": 0}), "model_service_name": "halted"},
        {**external(NAMESPACE), "model_service_name": "elsewhere"},
    ]
    proxies = [
        proxy(NAMESPACE, "behind", model_proxy_name="asks", wait=ACCEPTED, **keyed),
        proxy(NAMESPACE, "behind", model_proxy_name="asks-nobody", wait=ACCEPTED),
    ]
    try:
        await asyncio.gather(*(fleet.apply(desired_service(each)) for each in services))
        await asyncio.gather(*(fleet.apply(desired_proxy(each)) for each in proxies))
        async with asyncio.timeout(240):
            while not await _are_ready(fleet, "asks", "asks-nobody"):
                await fleet.catalogue.changed(timeout_seconds=1)
    finally:
        await fleet.aclose()


async def _are_ready(fleet: Fleet, *names: str) -> bool:
    entries = (await fleet.catalogue.fresh()).entries
    ready = {each.key.name for each in entries if each.service.status == "READY"}
    return ready.issuperset(names)


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(verify=server.context, base_url=server.url, timeout=240) as it:
        yield it


def signed(name: str = "ci", **others: Any) -> DataSigner:
    return DataSigner(f"key-of-{name}", secret_of(name), **others)


NOBODY: Final[dict[str, Any]] = {}
BEARER: Final[dict[str, Any]] = {"headers": {"Authorization": f"Bearer {KEY}"}}
SIGNED: Final[dict[str, Any]] = {"auth": signed()}


@pytest.mark.parametrize(
    ("name", "credentials", "status", "code"),
    [
        ("asks", NOBODY, 401, "missing_api_key"),
        ("asks", BEARER, 200, None),
        ("asks", SIGNED, 200, None),
        ("asks", {"auth": signed(unbound=True)}, 200, None),
        ("asks", {"auth": DataSigner("key-of-ci", "not-the-secret-0001")}, 401, "SignatureDo"),
        ("asks", {"auth": signed("abroad")}, 404, "not_found"),
        # Never an open door: without keys of its own, a proxy is for who signs.
        ("asks-nobody", NOBODY, 401, "missing_api_key"),
        ("asks-nobody", BEARER, 401, "incorrect_api_key"),
        ("asks-nobody", SIGNED, 200, None),
        ("asks-nobody", {"auth": signed("blue")}, 404, "not_found"),
        ("behind", BEARER, 401, "incorrect_api_key"),
        ("behind", SIGNED, 200, None),
        # Whoever may declare an address could else have the server call it.
        ("elsewhere", SIGNED, 404, "not_found"),
        ("missing", BEARER, 401, "incorrect_api_key"),
        ("missing", SIGNED, 404, "not_found"),
        ("halted", SIGNED, 503, "not_ready"),
    ],
)
def test_who_may_call_what(
    http: httpx.Client, name: str, credentials: dict[str, Any], status: int, code: str | None
) -> None:
    reply = http.post(f"/models/{name}{CHAT}", json=hello(), **credentials)
    assert reply.status_code == status, reply.text
    if code is None:
        assert reply.json()["choices"][0]["message"]["content"] == "user hello x"
    else:
        assert reply.json()["error"]["code"].startswith(code)
        assert KEY not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/models/asks/v1/chat/completions/", 404),
        ("POST", "/models/asks/v1/admin", 404),
        ("POST", "/models/asks/v1/../admin", 404),
        ("POST", "/models/asks/v1/%2e%2e/admin", 404),
        ("POST", "/models/asks/v1//chat/completions", 404),
        ("POST", "/models/asks/v1/chat%2Fcompletions?a=b", 200),
        ("GET", "/models/asks/v1/models/../../metrics", 404),
        ("GET", "/models/asks/v1/models/a%2F..%2F..%2Fmetrics", 404),
        ("GET", "/models/asks/metrics", 404),
        ("GET", "/models/asks/v1/chat/completions", 405),
        ("POST", "/models/asks/v1/models", 405),
        ("DELETE", "/models/asks/v1/models", 405),
    ],
)
def test_only_paths_of_openai_pass(
    http: httpx.Client, server: Server, method: str, path: str, status: int
) -> None:
    # The client would tidy the path up: it is sent as it stands here.
    url = httpx.URL(server.url).copy_with(raw_path=path.encode())
    request = httpx.Request(method, url, headers=BEARER["headers"], json=hello())
    assert http.send(request).status_code == status


def test_openais_own_client_calls_a_proxy_by_its_key(http: httpx.Client, server: Server) -> None:
    base_url = f"{server.url}/models/asks/v1"
    client = openai.OpenAI(base_url=base_url, api_key=KEY, http_client=http, max_retries=0)
    messages: list[Any] = [{"role": "user", "content": "hello"}]
    answer = client.chat.completions.create(model="chat", messages=messages, max_tokens=7)
    assert answer.choices[0].message.content == "user hello max_tokens=7 chat"
    stream = client.chat.completions.create(model="chat", messages=messages, stream=True)
    words = [each.delta.content or "" for chunk in stream for each in chunk.choices]
    assert "".join(words) == "user hello chat"
    with pytest.raises(openai.RateLimitError, match="Try again in 17 s"):
        refused: list[Any] = [{"role": "user", "content": "too often"}]
        client.chat.completions.create(model="chat", messages=refused)


def test_an_answer_passes_as_it_comes(http: httpx.Client) -> None:
    began = time.monotonic()
    asked = hello("think", stream=True)
    with http.stream("POST", f"/models/asks{CHAT}", json=asked, **BEARER) as reply:
        first = next(reply.iter_lines())
    assert '"content": "user"' in first
    assert time.monotonic() - began < THINKING_SECONDS, "each word of the rest takes that long"


def test_many_calls_share_one_way(http: httpx.Client) -> None:
    def call(number: int) -> str:
        reply = http.post(f"/models/asks{CHAT}", json=hello(str(number)), **BEARER)
        return str(reply.json()["choices"][0]["message"]["content"])

    with ThreadPoolExecutor(20) as pool:
        assert [*pool.map(call, range(60))] == [f"user {number} x" for number in range(60)]
