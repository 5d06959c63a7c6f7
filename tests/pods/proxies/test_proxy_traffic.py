"""What a proxy does with requests: who answers, how often it tries, how long it waits.

``front`` runs in a pod, over llama.cpp and over stubs that count what reaches them. Clients are
OpenAI's, unmodified, from this machine and from pods.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from typing import Any

import httpx
import openai
import pytest
from client_pods import PATIENCE_SECONDS, client_pod, wait_until
from node_clients import AskFromNode, texts
from proxies_in_pods import Proxy, ask, code, many, question, said
from proxy_world import TEAM, WEIGHTS, World
from small_services import sentence
from stub_pod import StubPod

LITELLM_IMAGE = "ghcr.io/berriai/litellm:1.108.10"
"""A client's image, as it has OpenAI's client for Python in it."""

IN_A_POD = """
import json, sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
for model in client.models.list():
    print(model.id)
completion = client.chat.completions.create(**json.loads(sys.argv[3]))
print(completion.choices[0].message.content)
"""
BOTH_SLASHES = pytest.mark.parametrize("path", ["/v1", "/v1/"])


def streamed(client: openai.OpenAI, model: str, **more: Any) -> tuple[str, Any]:
    """Return what a streamed answer says, and its usage, None where none was told."""
    text, usage = "", None
    with client.chat.completions.create(**question(model, stream=True, **more)) as stream:
        for chunk in stream:
            assert chunk.model == model
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            usage = chunk.usage or usage
    return text, usage


@BOTH_SLASHES
def test_openais_client_for_python_is_served_by_real_models(front: Proxy, path: str) -> None:
    with front.client(TEAM, path=path) as client:
        listed = [model.id for model in client.models.list()]
        assert listed == sorted(front.fields["routes"])
        assert client.models.retrieve("chat").id == "chat"
        completion = client.chat.completions.create(**question("chat"))
        assert completion.choices[0].message.content in map(sentence, WEIGHTS)
        assert completion.model == "chat"
        assert streamed(client, "chat")[0] in map(sentence, WEIGHTS)


@BOTH_SLASHES
def test_openais_client_for_node_is_served_by_real_models(
    front: Proxy, ask_from_node: AskFromNode, path: str
) -> None:
    plain, stream = question("chat"), question("chat", stream=True)
    answered = ask_from_node(
        front.url() + path,
        TEAM,
        ("chat.completions", plain),
        ("chat.completions", stream),
        ("chat.completions", question("nobody")),
    )
    assert answered["models"] == sorted(front.fields["routes"])
    *good, refused = answered["outcomes"]
    assert set(texts(good)) <= set(map(sentence, WEIGHTS))
    error = refused["error"]
    assert (error["name"], error["code"]) == ("NotFoundError", "model_not_found")


def test_a_pod_is_served_by_the_proxys_name_as_it_is_known_before_it_exists(
    world: World, front: Proxy
) -> None:
    pod = client_pod(
        world.api,
        world.namespace,
        node="pods-1",
        environment=world.environment,
        name="openai",
        image=LITELLM_IMAGE,
    )
    for url in (front.base_url, f"{front.base_url}/"):
        told = pod.python(IN_A_POD, url, TEAM, json.dumps(question("chat")))
        *listed, answer = told.splitlines()
        assert listed == sorted(front.fields["routes"])
        assert answer in map(sentence, WEIGHTS)


def test_weights_hold_within_chance_over_hundreds_of_calls(front: Proxy) -> None:
    calls = 300
    with front.http(TEAM) as http:
        answers = many(
            lambda _: said(ask(http, "chat", temperature=0, max_tokens=2)), calls, at_a_time=8
        )
    by_model = Counter(
        next(model for model in WEIGHTS if sentence(model).startswith(answer)) for answer in answers
    )
    share = WEIGHTS["tiny-chat"] / sum(WEIGHTS.values())
    # Five standard deviations: chance alone is further off once in two million runs.
    bound = 5 * math.sqrt(calls * share * (1 - share))
    assert abs(by_model["tiny-chat"] - calls * share) < bound
    assert sum(by_model.values()) == calls


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])
def test_fallbacks_answer_in_their_order_each_after_its_own_retries_and_no_more(
    front: Proxy, a: StubPod, b: StubPod, is_stream: bool
) -> None:
    def calls() -> tuple[int, int, int]:
        return a.count("first"), b.count("second"), a.count("third")

    with front.http(TEAM) as http:

        def asked() -> httpx.Response:
            return ask(http, "first", stream=is_stream)

        assert "x-modelfleet-fallback" not in asked().headers
        assert calls() == (1, 0, 0)
        a.script("first", status=500)
        assert asked().headers["x-modelfleet-fallback"] == "second"
        assert calls() == (1 + 2, 1, 0)
        b.script("second", status=500)
        assert asked().headers["x-modelfleet-fallback"] == "third"
        assert calls() == (3 + 2, 1 + 3, 1)
        a.script("third", status=500)
        assert code(asked()) == (502, "bad_gateway")
        assert calls() == (5 + 2, 4 + 3, 1 + 1)


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    "failure",
    [{"status": 500}, {"close": True}, {"status": 503}],
    ids=["error", "closed", "unavailable"],
)
def test_what_fails_before_its_first_byte_is_tried_as_often_as_declared_and_never_more(
    front: Proxy, a: StubPod, failure: dict[str, Any], is_stream: bool
) -> None:
    with front.http(TEAM) as http:
        a.script("tried", then=[failure, failure])
        answer = ask(http, "tried", stream=is_stream)
        assert answer.status_code == 200, answer.text
        assert a.count("tried") == 3
        a.reset()
        a.script("tried", **failure)
        assert ask(http, "tried", stream=is_stream).status_code in (502, 503)
        assert a.count("tried") == 3
        a.script("one", **failure)
        assert ask(http, "one", stream=is_stream).status_code in (502, 503)
        assert a.count("one") == 1


def test_a_stream_that_has_begun_is_not_begun_anew_and_ends_with_an_error(
    front: Proxy, a: StubPod
) -> None:
    # Only when the caller has what came before: what the gateway has not read yet when a
    # connection ends is lost to it.
    a.script("tried", cut_at_event=2, hold_at_event=2, text="one two three four")
    asked = question("tried", stream=True)
    with front.client(TEAM) as client, pytest.raises(openai.APIError) as error:
        for chunk in client.chat.completions.create(**asked):
            if chunk.choices[0].delta.content == "one":
                a.go_on()
    assert error.value.code == "bad_gateway"
    assert a.count("tried") == 1


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])
def test_an_upstream_that_takes_too_long_is_given_up_in_time(
    front: Proxy, a: StubPod, is_stream: bool
) -> None:
    a.script("hasty", hold=True)
    attempts = 0

    def is_asked() -> bool:
        nonlocal attempts
        attempts += 1
        began = time.monotonic()
        with front.http(TEAM) as http:
            answer = ask(http, "hasty", stream=is_stream)
        assert code(answer) == (504, "upstream_timeout")
        assert time.monotonic() - began >= 1
        return a.count("hasty") > 0

    wait_until(is_asked)  # where a machine is slow, time is over before the upstream is asked
    assert a.count("hasty") <= attempts


def test_usage_is_the_same_streamed_or_not_and_counted_also_where_nobody_asked(
    front: Proxy,
) -> None:
    with front.client(TEAM) as client:
        for model in ("chat", "one"):
            plain = client.chat.completions.create(**question(model, temperature=0, max_tokens=3))
            _, usage = streamed(
                client, model, temperature=0, max_tokens=3, stream_options={"include_usage": True}
            )
            assert usage is not None
            assert plain.usage is not None
            for field in ("prompt_tokens", "completion_tokens", "total_tokens"):
                assert getattr(usage, field) == getattr(plain.usage, field) > 0
        assert streamed(client, "one")[1] is None


def test_one_upstream_gone_the_other_serves_and_with_all_gone_one_error_comes_fast(
    front: Proxy, a: StubPod, b: StubPod
) -> None:
    with front.http(TEAM) as http:
        a.listen(False)
        assert [said(ask(http, "pair")) for _ in range(10)] == ["stub-b answers"] * 10
        b.listen(False)
        began = time.monotonic()
        answer = ask(http, "pair")
        assert code(answer) == (503, "service_unavailable")
        assert time.monotonic() - began < PATIENCE_SECONDS / 2  # long before a timeout
        a.listen(True)
        assert [said(ask(http, "pair")) for _ in range(10)] == ["stub-a answers"] * 10
