"""Proxies in real pods: declared, applied by the fleet, and reached over port-forwards.

A port-forward ends at one pod, so that a test chooses which replica it asks. Everything waits in a
loop of its own thread: tests call as ordinary clients do, and from many threads if they like.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import openai
from client_pods import PATIENCE_SECONDS, ClientPod

from modelfleet import labels
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import POD, Ref
from modelfleet.cluster.port_forward import port_forward
from modelfleet.fleet import Desired, Fleet, new_incarnation
from modelfleet.local.api import Api
from modelfleet.plan import resource_spec_of
from modelfleet.resource_types import TYPES

T = TypeVar("T")

OWNER: Final = "acme/fleet/prod"
PORT, INTERNAL_PORT = 4000, 4001
SMALL: Final[Mapping[str, Any]] = {
    "cpu": 0.3,
    "memory": 1024,
    "wait": {"until": "all", "timeout_seconds": 900},
}
"""What a gateway asks for here; it may use more, as there is no limit of CPU."""

WINDOW_SECONDS: Final[Mapping[str, int]] = {
    "rpm": 60,
    "tps": 1,
    "tpm": 60,
    "tph": 3_600,
    "tpd": 86_400,
}
"""How long the windows of limits last, which are aligned to the clock."""

# Nothing is asked over TLS here, and to read what a machine trusts costs more than a request.
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Beside:
    """A fleet and open port-forwards, in a loop beside the tests."""

    def __init__(self, kubeconfig: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open = AsyncExitStack()
        self._urls: dict[tuple[str, str, int], str] = {}
        self.fleet = self.run(self._connected(kubeconfig))

    async def _connected(self, kubeconfig: Path) -> Fleet:
        return Fleet(Client.connect(kubeconfig=str(kubeconfig)))

    def run(self, coroutine: Coroutine[Any, Any, T], *, timeout_seconds: float = 1_200) -> T:
        """Run it in the loop, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_seconds)

    def all(self, *coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run them at the same time."""

        async def together() -> list[Any]:
            return list(await asyncio.gather(*coroutines))

        return self.run(together())

    def url(self, namespace: str, pod: str, *, port: int) -> str:
        """Return a local URL that leads to a port of a pod for as long as this is open."""
        key = (namespace, pod, port)
        if key not in self._urls:
            way = port_forward(self.fleet.client, Ref(POD, namespace, pod), port=port)
            self._urls[key] = self.run(self._open.enter_async_context(way)).url
        return self._urls[key]

    def close(self) -> None:
        """End the port-forwards, and the loop."""
        self.run(self._open.aclose())
        self.run(self.fleet.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def desired(kind: str, name: str, *, namespace: str, **fields: Any) -> Desired:
    """Return a declaration as the fleet takes it, new."""
    of = TYPES[kind]
    inputs = {of.name_field: name, "namespace": namespace, **fields}
    spec = resource_spec_of(of.pinned(inputs, None), of=of)
    return Desired(
        spec, owner=OWNER, incarnation=new_incarnation(), renderer_version=of.renderer_version
    )


class Proxy:
    """A ModelProxy under a name, and ways to call it."""

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        beside: Beside,
        api: Api,
        environment: Mapping[str, str],
        **fields: Any,
    ) -> None:
        self.name, self.namespace = name, namespace
        self._beside, self._api, self._environment = beside, api, environment
        self.fields: dict[str, Any] = {**SMALL, **fields}
        self._desired: Desired | None = None

    @property
    def base_url(self) -> str:
        """Where pods of the cluster reach it."""
        return f"http://{self.name}-proxy.{self.namespace}.svc/v1"

    async def apply(self, **fields: Any) -> None:
        """Change what is declared, and converge on it."""
        self.fields |= fields
        new = desired("ModelProxy", self.name, namespace=self.namespace, **self.fields)
        if (before := self._desired) is not None:
            new = replace(new, incarnation=before.incarnation, prior=before.spec)
        await self._beside.fleet.apply(new)
        self._desired = new

    def up(self, **fields: Any) -> None:
        """Do the same, and wait for it."""
        self._beside.run(self.apply(**fields))

    @property
    def pods(self) -> list[str]:
        """The names of its pods that nobody has told to stop, in the order of their names."""
        selector = labels.selector(kind="ModelProxy", name=self.name)
        listed = self._api.send(
            "GET",
            f"/api/v1/namespaces/{self.namespace}/pods",
            params={"labelSelector": ",".join(f"{k}={v}" for k, v in selector.items())},
        )["items"]
        here = [each["metadata"] for each in listed if "deletionTimestamp" not in each["metadata"]]
        return sorted(each["name"] for each in here)

    def url(self, replica: int = 0, *, port: int = PORT) -> str:
        """Return a local URL that leads to one of its pods, without a path."""
        return self._beside.url(self.namespace, self.pods[replica], port=port)

    def client(self, key: str, *, replica: int = 0, path: str = "/v1") -> openai.OpenAI:
        """Return OpenAI's client, which tries everything once. Close it."""
        url = f"{self.url(replica)}{path}"
        return openai.OpenAI(
            base_url=url,
            api_key=key,
            max_retries=0,
            timeout=PATIENCE_SECONDS,
            http_client=openai.DefaultHttpxClient(verify=NO_TLS),
        )

    def http(self, key: str = "", *, replica: int = 0) -> httpx.Client:
        """Return a plain client. Close it."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        url = self.url(replica)
        return httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS)

    def inside(self, replica: int = 0) -> ClientPod:
        """Return one of its pods, to run something in it."""
        return ClientPod(self._api, self.namespace, self.pods[replica], self._environment)

    @property
    def logs(self) -> str:
        """Everything that its pods printed."""
        return "".join(
            ClientPod(self._api, self.namespace, name, self._environment).log for name in self.pods
        )


def question(model: str, text: str = "Who are you?", **more: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def ask(http: httpx.Client, model: str, text: str = "Who are you?", **more: Any) -> httpx.Response:
    """Ask one question over a plain client."""
    return http.post("/v1/chat/completions", json=question(model, text, **more))


def said(response: httpx.Response) -> str:
    """Return what a chat completion says; fails the test where there is none."""
    assert response.status_code == 200, response.text
    content: str = response.json()["choices"][0]["message"]["content"]
    return content


def code(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of an error, whose four fields are all there."""
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    return response.status_code, error["code"]


def many(call: Any, times: int, *, at_a_time: int) -> list[Any]:
    """Return what ``call(number)`` returned, so often, so many of them at a time."""
    with ThreadPoolExecutor(at_a_time) as pool:
        return list(pool.map(call, range(times)))


def in_one_window(unit: str, attempt: Callable[[], T]) -> T:
    """Return what the first attempt returned that began and ended in one window of a limit.

    Each attempt has a window of which nothing is used.
    """
    length = WINDOW_SECONDS[unit]
    while True:
        window = time.time() // length
        result = attempt()
        if time.time() // length == window:
            return result
        time.sleep(length - time.time() % length)


def refused_when_used_up(
    http: httpx.Client, model: str, *, unit: str, then: str = ""
) -> httpx.Response:
    """Return the refusal behind a request of ``model`` that uses up a window: of it, or ``then``.

    Where the next one came so late that a window had begun meanwhile, all is used up anew. No
    window lets two requests through.
    """
    length, admitted = WINDOW_SECONDS[unit], 0
    first_window = time.time() // length
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends_at:
        for each in (model, then or model):
            answer = ask(http, each)
            assert answer.status_code in (200, 429), answer.text
            admitted += answer.status_code == 200 and each == model
        if answer.status_code == 429:
            assert 1 <= admitted <= 1 + time.time() // length - first_window
            return answer
    raise AssertionError("never refused")


def kubectl(environment: Mapping[str, str], *arguments: str) -> str:
    """Run ``kubectl``, and return what it printed."""
    run = partial(subprocess.run, capture_output=True, text=True, timeout=900, check=False)
    ended = run(["kubectl", *arguments], env=environment)
    assert ended.returncode == 0, ended.stderr
    return str(ended.stdout)


def decoded(value: str) -> str:
    """Return what a Secret holds under a key."""
    return base64.b64decode(value).decode()
