"""``modelfleet chat`` on a real API server: services of fake pods, with a real server behind."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from fleets import behaving, desired, external, hosted
from forwarding import API_KEY, ENGINE, GUARDED_ENGINE, NOBODY, USAGE, Forwarding
from proxies import desired as desired_proxy
from proxies import proxy
from rights import least_kubeconfig, shipped_role
from typer.testing import CliRunner

from modelfleet.adapters.cli.main import app
from modelfleet.cluster.client import Client
from modelfleet.cluster.objects import DEPLOYMENT, Ref
from modelfleet.errors import NotReadyError
from modelfleet.fleet import Address, Fleet
from modelfleet.reach import reached
from modelfleet.targets import target_of

pytestmark = pytest.mark.xdist_group("forwarding")

NAMESPACE = "chat"


@pytest.fixture(scope="module", autouse=True)
def services(forwarding: Forwarding) -> None:
    """One service of every kind that a person may try to talk to."""
    forwarding.api.send("POST", "/api/v1/namespaces", json={"metadata": {"name": NAMESPACE}})
    accepted = {"until": "accepted"}
    declared: list[dict[str, Any]] = [
        {**hosted(NAMESPACE), "provider_settings": {"model_names": ["qwen3"]}},
        {**_on_port(GUARDED_ENGINE), "model_service_name": "guarded"},
        {**_on_port(NOBODY), "model_service_name": "silent"},
        {**hosted(NAMESPACE), "model_service_name": "embedder", "model_type": "text-embedding"},
        {**hosted(NAMESPACE, {"replicas": 0}), "model_service_name": "stopped"},
        {
            **hosted(NAMESPACE, {**behaving("crash-loop"), "runtime": _engine(8000)}),
            "model_service_name": "broken",
            "wait": accepted,
        },
    ]

    async def applied() -> None:
        fleet = Fleet(Client.connect(kubeconfig=str(forwarding.plane.kubeconfig)))
        try:
            await asyncio.gather(*(fleet.apply(desired(each)) for each in declared))
            await asyncio.gather(*(fleet.apply(desired_proxy(each)) for each in _proxies()))
            await _ready(fleet, "front-proxy")
        finally:
            await fleet.aclose()

    asyncio.run(applied())


def _proxies() -> list[dict[str, Any]]:
    """Return proxies of which nobody asks whether their upstreams answer."""
    embed = {"targets": [{"service": "embedder"}], "model_type": "text-embedding"}
    chats = {"targets": [{"service": "qwen"}]}
    routes = {
        "front": {"only": chats, "embed": embed},
        "twofold": {"first": chats, "second": chats},
        "own": {"own": chats, "second": chats},
        "embeds": {"embed": embed},
    }
    return [
        proxy(NAMESPACE, model_proxy_name=name, routes=each, wait={"until": "accepted"})
        for name, each in routes.items()
    ]


async def _ready(fleet: Fleet, deployment: str) -> None:
    async with asyncio.timeout(240):
        while True:
            live = await fleet.client.get(Ref(DEPLOYMENT, NAMESPACE, deployment))
            if live and live["status"].get("readyReplicas"):
                return
            await asyncio.sleep(0.1)


def _on_port(port: int) -> dict[str, Any]:
    return hosted(NAMESPACE, {"runtime": _engine(port)})


def _engine(port: int) -> dict[str, Any]:
    return {"name": "engine", "image": "registry.example.com/engine:1", "port": port}


def chat(forwarding: Forwarding, *arguments: str, **options: Any) -> Result:
    kubeconfig = str(options.pop("kubeconfig", forwarding.chat_kubeconfig))
    return CliRunner().invoke(app, ["chat", *arguments, "--kubeconfig", kubeconfig], **options)


def answer(forwarding: Forwarding, *arguments: str, **options: Any) -> str:
    result = chat(forwarding, *arguments, **options)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def error(forwarding: Forwarding, *arguments: str, **options: Any) -> str:
    """Return the message of a command that fails, as ``main`` prints it."""
    result = chat(forwarding, *arguments, **options)
    assert result.exit_code == 1, result.output
    return str(result.exception)


@pytest.mark.parametrize("flags", [[], ["--no-stream"]], ids=["streamed", "whole"])
def test_a_question_gets_the_answer_of_the_model_under_its_own_name(
    forwarding: Forwarding, flags: list[str]
) -> None:
    assert answer(forwarding, "qwen", "hello", *flags) == "user hello qwen\n"
    assert answer(forwarding, f"{NAMESPACE}/qwen", "hello", *flags) == "user hello qwen\n"


def test_what_is_asked_for_is_sent(forwarding: Forwarding) -> None:
    options = ["--max-tokens", "5", "--temperature", "0", "--model", "qwen3", "--system", "short!"]
    said = answer(forwarding, "qwen", "-", "-n", NAMESPACE, *options, input="from a pipe")
    assert said == "system+user from a pipe max_tokens=5 temperature=0.0 qwen3\n"


def test_the_whole_completion_is_there_as_json_with_its_usage(forwarding: Forwarding) -> None:
    completion = json.loads(answer(forwarding, "qwen", "hello", "--output", "json"))
    assert completion["choices"][0]["message"]["content"] == "user hello qwen"
    assert completion["usage"] == USAGE


def test_a_conversation_remembers_what_was_said_until_its_end(forwarding: Forwarding) -> None:
    typed = "hello\n\nand now?\n/exit\nnever read\n"
    lines = answer(forwarding, "qwen", input=typed).splitlines()
    assert lines == ["user hello qwen", "user+assistant+user and now? qwen"]


def test_a_conversation_goes_on_after_an_answer_that_failed(forwarding: Forwarding) -> None:
    result = chat(forwarding, "qwen", input="hello\nbreak off\ngo on\n")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "user hello qwen",
        "user+assistant+user",  # as far as it came
        "user+assistant+user go on qwen",
    ]
    assert "error: ModelService chat/qwen: its engine broke off: the engine has died" in (
        result.stderr
    )


def test_an_engine_that_asks_for_a_key_is_given_it_and_the_lack_of_it_explained(
    forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a person has for OpenAI is nobody else's business.
    monkeypatch.setenv("OPENAI_API_KEY", API_KEY)
    told = error(forwarding, "guarded", "hello")
    assert told.startswith("ModelService chat/guarded: its engine asks for a key: ")
    assert "--api-key or in MODELFLEET_API_KEY" in told
    assert answer(forwarding, "guarded", "hello", "--api-key", API_KEY) == "user hello guarded\n"
    monkeypatch.setenv("MODELFLEET_API_KEY", API_KEY)
    assert answer(forwarding, "guarded", "hello") == "user hello guarded\n"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("stopped", "nobody answers, it is STOPPED. It is stopped: deployment.replicas is 0."),
        ("embedder", "does not chat: its model_type is text-embedding. It answers at /v1/embed"),
        ("silent", f"nothing listens on port {NOBODY} in it. Its engine is starting, has crashed"),
        (
            "nobody",
            "nobody: no ModelService or ModelProxy is called so in any namespace (external serv",
        ),
    ],
)
def test_who_cannot_answer_is_told_with_the_reason(
    forwarding: Forwarding, name: str, says: str
) -> None:
    assert says in error(forwarding, name, "hello")


def test_a_service_without_a_ready_pod_is_told_with_what_its_pods_lack(
    forwarding: Forwarding,
) -> None:
    deadline = time.monotonic() + 240
    while "exits with code 1" not in (told := error(forwarding, "broken", "hello")):
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
    assert re.match(r"ModelService chat/broken: nobody answers, it is CREAT\w+\. Pod broken-", told)
    assert "deployment.runtime.args" in told, "the field that was declared, not the usual one"


def test_what_the_engine_refuses_is_told_in_its_own_words(forwarding: Forwarding) -> None:
    assert "its engine refused: Error code: 400 - " in error(forwarding, "qwen", "too much")


def test_wrong_usage_ends_with_2(forwarding: Forwarding) -> None:
    for arguments in (["qwen", "-o", "json"], ["qwen", " "], ["a/b/c", "hello"]):
        assert chat(forwarding, *arguments).exit_code == 2


# proxies, whose gateways answer


@pytest.mark.parametrize(("name", "model"), [("front", "only"), ("own", "own")])
def test_a_proxy_is_asked_by_the_name_that_goes_before_the_others(
    forwarding: Forwarding, name: str, model: str
) -> None:
    assert answer(forwarding, f"proxy/{name}", "hello") == f"user hello {model}\n"


def test_a_proxy_of_several_routes_asks_which_one_is_meant(forwarding: Forwarding) -> None:
    assert error(forwarding, "twofold", "hello") == (
        "ModelProxy chat/twofold answers to several names: first, second. Say which one, with "
        "--model."
    )
    assert answer(forwarding, "twofold", "hello", "--model", "second") == "user hello second\n"


def test_a_proxy_that_only_embeds_does_not_chat(forwarding: Forwarding) -> None:
    told = error(forwarding, "embeds", "hello")
    assert told.startswith("ModelProxy chat/embeds does not chat: its model_type is text-embedding")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no key", "No API key. Send one as a bearer. Give one in MODELFLEET_API_KEY or with"),
        ("denied", "This key is denied `chat`. Say another model with --model, or have api_keys"),
        ("unknown", "The model `x` does not exist. It has only: say one with --model."),
        ("too often", "60 requests. Try again in 17 s"),
        ("no quota", "its gateway refused: The quota is used up."),
        ("nobody", "No upstream of `chat` answers. modelfleet status of the services behind it"),
    ],
)
def test_what_a_gateway_refuses_is_told_in_its_words_with_what_to_do(
    forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    monkeypatch.setenv("MODELFLEET_API_KEY", API_KEY)
    message = error(forwarding, "front", said)
    assert message.startswith(f"ModelProxy chat/front: {told}")
    assert API_KEY not in message


def test_a_key_that_was_not_given_is_not_called_wrong(forwarding: Forwarding) -> None:
    assert error(forwarding, "front", "no key").startswith(
        "ModelProxy chat/front: it wants an API key, and none was given. Give one in "
    )


# external services, which are kept in Secrets


@pytest.fixture(scope="module")
def reader_kubeconfig(
    forwarding: Forwarding, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Somebody who may read Secrets as well, and external services behind a real server."""
    folder = tmp_path_factory.mktemp("reader")
    secrets = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "secrets-in-tests"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}],
    }
    key = {
        "metadata": {"name": "provider-key"},
        "stringData": {"token": API_KEY},
    }
    forwarding.api.send("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", json=key)
    url = f"http://127.0.0.1:{forwarding.servers[GUARDED_ENGINE]}/v1"
    open_url = f"http://127.0.0.1:{forwarding.servers[ENGINE]}/v1"
    declared = [
        {"model_service_name": "keyed", **_settings(url, model_names=["big"], api_key=API_KEY)},
        {
            "model_service_name": "lent",
            **_settings(url, model_names=["big"]),
            "credential_name": "provider-key/token",
        },
        {"model_service_name": "many", **_settings(open_url)},
    ]

    async def applied() -> None:
        fleet = Fleet(Client.connect(kubeconfig=str(forwarding.plane.kubeconfig)))
        try:
            for each in declared:
                await fleet.apply(desired({**external(NAMESPACE), **each}))
        finally:
            await fleet.aclose()

    asyncio.run(applied())
    yield least_kubeconfig(
        forwarding.plane,
        forwarding.api,
        folder,
        user="reader",
        role="rbac-chat.yaml",
        beside=[secrets],
    )


def _settings(base_url: str, **others: Any) -> dict[str, Any]:
    return {"provider_settings": {"base_url": base_url, **others}}


@pytest.mark.parametrize("name", ["keyed", "lent"])
def test_an_external_service_is_asked_at_its_own_address_with_the_key_kept_for_it(
    forwarding: Forwarding, reader_kubeconfig: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The key of a person's own engines must not reach anybody else.
    monkeypatch.setenv("MODELFLEET_API_KEY", "a-key-for-hosted-services")
    result = chat(forwarding, name, "hello", kubeconfig=reader_kubeconfig)
    assert result.stdout == "user hello big\n", result.exception
    assert API_KEY not in result.output


def test_the_model_of_a_provider_that_declares_none_must_be_said(
    forwarding: Forwarding, reader_kubeconfig: Path
) -> None:
    told = error(forwarding, "many", "hello", kubeconfig=reader_kubeconfig)
    assert told.startswith("ModelService chat/many declares no model name")
    said = answer(forwarding, "many", "hello", "--model", "m", kubeconfig=reader_kubeconfig)
    assert said == "user hello m\n"


def test_an_answer_that_breaks_off_is_told_after_what_came_of_it(
    forwarding: Forwarding, reader_kubeconfig: Path
) -> None:
    result = chat(forwarding, "many", "vanish", "--model", "m", kubeconfig=reader_kubeconfig)
    assert result.exit_code == 1
    assert result.stdout == "user\n"
    assert "chat/many: the connection to http://127.0.0.1:" in str(result.exception)
    assert "incomplete chunked read" in str(result.exception)


# the rights, and the keyboard


async def test_the_role_for_people_who_chat_grants_exactly_what_is_asked_for(
    forwarding: Forwarding,
) -> None:
    client = Client.connect(kubeconfig=str(forwarding.chat_kubeconfig))
    try:
        async with reached(client, await target_of(client, Address("qwen"))) as endpoint:
            assert endpoint.base_url.startswith("http://127.0.0.1:")
        with pytest.raises(NotReadyError):
            async with reached(client, await target_of(client, Address("stopped"))):
                pass
        asked = set(client.requests)
    finally:
        await client.aclose()
    # External services are looked for as well, without the right to it in vain.
    assert "list secrets" in asked
    assert asked - {"list secrets"} == {
        "list deployments",
        "list pods",
        "list replicasets",
        "get services",
        "reach pods",
    }
    granted = {
        (verb, resource)
        for rule in shipped_role("rbac-chat.yaml")["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    ways = {("get", "pods/portforward"), ("create", "pods/portforward")}
    plain = {tuple(each.split()) for each in asked - {"reach pods", "list secrets"}}
    assert granted == plain | ways


def test_ctrl_c_stops_an_answer_and_ctrl_d_ends_the_conversation(forwarding: Forwarding) -> None:
    with Terminal("chat", "qwen", "--kubeconfig", str(forwarding.chat_kubeconfig)) as terminal:
        terminal.wait_for("> ")
        terminal.type(b"think\n")
        terminal.wait_for("user")  # the first word; the next would take ten minutes
        terminal.type(b"\x03")
        terminal.wait_for("(stopped)\r\n> ")
        terminal.type(b"hello\n")
        terminal.wait_for("user hello qwen\r\n> ")
        terminal.type(b"\x04")
        assert terminal.exit_code() == 0
    assert "Traceback" not in terminal.shown


def test_ctrl_c_ends_a_single_question(forwarding: Forwarding) -> None:
    kubeconfig = str(forwarding.chat_kubeconfig)
    with Terminal("chat", "qwen", "think", "--kubeconfig", kubeconfig) as terminal:
        terminal.wait_for("user")
        terminal.type(b"\x03")
        assert terminal.exit_code() == 130
    assert "Traceback" not in terminal.shown


_AT_A_TERMINAL = """
import os
os.open(os.ttyname(0), os.O_RDWR)  # the first that a session opens is its own: Ctrl-C is a signal
from modelfleet.adapters.cli.main import main
main()
"""


class Terminal:
    """A command at a terminal of its own, where keys are typed and text is waited for."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._ours, self._its = pty.openpty()
        self.shown = ""
        self._seen = 0

    def __enter__(self) -> Terminal:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AT_A_TERMINAL, *self._arguments],
            stdin=self._its,
            stdout=self._its,
            stderr=self._its,
            start_new_session=True,
            env={**os.environ, "TERM": "dumb"},
        )
        os.close(self._its)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def wait_for(self, text: str, *, timeout_seconds: float = 240) -> None:
        """Wait until ``text`` is shown after what was waited for before."""
        deadline = time.monotonic() + timeout_seconds
        while (at := self.shown.find(text, self._seen)) < 0:
            ready, _, _ = select.select([self._ours], [], [], max(0, deadline - time.monotonic()))
            assert ready, self.shown
            self.shown += os.read(self._ours, 65_536).decode()
        self._seen = at + len(text)

    def exit_code(self) -> int:
        return self._process.wait(timeout=240)
