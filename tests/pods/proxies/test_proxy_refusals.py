"""What a proxy refuses and how it says so: every error of its table, limits, guardrails, rights.

All errors have OpenAI's shape; the stub counts that what is refused reaches no upstream.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from client_pods import wait_until
from node_clients import AskFromNode
from proxies_in_pods import (
    WINDOW_SECONDS,
    Proxy,
    ask,
    code,
    in_one_window,
    many,
    question,
    refused_when_used_up,
    said,
)
from proxy_world import GUARDED, KEYS, NARROW, TEAM, World
from stub_pod import StubPod


def key_of(name: str) -> str:
    return str(KEYS[name]["key"])


@pytest.mark.parametrize(
    ("headers", "body", "status", "expected"),
    [
        ({}, question("one"), 401, "missing_api_key"),
        ({"authorization": "Basic abc"}, question("one"), 401, "missing_api_key"),
        ({"authorization": f"Bearer {TEAM}x"}, question("one"), 401, "incorrect_api_key"),
        (key_of("expired"), question("one"), 401, "incorrect_api_key"),
        (TEAM, {"messages": []}, 404, "missing_model"),
        (TEAM, question("nobody"), 404, "model_not_found"),
        (NARROW, question("two"), 404, "model_not_found"),
        (NARROW, question("pair"), 403, "model_access_denied"),
        (TEAM, question("guarded", f"say {GUARDED}"), 400, "guardrail_blocked"),
        (TEAM, question("guarded", "long " * 3_000), 400, "guardrail_blocked"),
    ],
)
def test_a_request_is_refused_with_its_code_before_any_upstream_hears_of_it(
    front: Proxy,
    a: StubPod,
    headers: Any,
    body: dict[str, Any],
    status: int,
    expected: str,
) -> None:
    sent = headers if isinstance(headers, dict) else {"authorization": f"Bearer {headers}"}
    with front.http() as http:
        answer = http.post("/v1/chat/completions", json=body, headers=sent)
    assert code(answer) == (status, expected)
    assert a.count() == 0
    for key in (TEAM, NARROW, key_of("expired")):
        assert key not in answer.text


def test_unknown_and_not_granted_read_the_same_so_that_nobody_learns_names_by_asking(
    front: Proxy,
) -> None:
    with front.http(NARROW) as http:
        texts = {ask(http, name).text.replace(name, "?") for name in ("nobody", "two")}
        assert len(texts) == 1
        listed = [model["id"] for model in http.get("/v1/models/").json()["data"]]
        assert listed == ["kept", "kept-too", "one"]
        assert code(http.get("/v1/models/two")) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("failure", "status", "expected"),
    [
        ({"status": 500}, 502, "bad_gateway"),
        ({"status": 401}, 502, "bad_gateway"),
        ({"status": 200, "body": "no json"}, 502, "bad_gateway"),
        ({"status": 503}, 503, "service_unavailable"),
        ({"close": True}, 503, "service_unavailable"),
        ({"status": 429, "headers": {"retry-after": "7"}}, 429, "model_rate_limit_exceeded"),
        ({"status": 400}, 400, "bad_request"),
    ],
)
def test_what_an_upstream_does_wrong_is_told_without_its_address(
    front: Proxy, a: StubPod, failure: dict[str, Any], status: int, expected: str
) -> None:
    secret = f"at {a.address}:8000 something broke"
    if "body" not in failure and not failure.get("close"):
        failure = {**failure, "body": {"error": {"message": secret, "type": "t", "code": None}}}
    a.script("one", **failure)
    with front.http(TEAM) as http:
        answer = ask(http, "one")
    assert code(answer) == (status, expected)
    assert a.address not in answer.text + str(answer.headers)
    assert "litellm" not in (answer.text + str(answer.headers)).lower()
    if status == 429:
        assert answer.headers["retry-after"] == "7"


def test_clients_raise_what_openai_would_have_them_raise(
    front: Proxy, ask_from_node: AskFromNode
) -> None:
    with front.client("sk-unknown-to-everybody") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.chat.completions.create(**question("one"))
        assert refused.value.code == "incorrect_api_key"
    with front.client(TEAM) as client:
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**question("nobody"))
        with pytest.raises(openai.BadRequestError) as blocked:
            client.chat.completions.create(**question("guarded", GUARDED))
        assert blocked.value.code == "guardrail_blocked"
    call = ("chat.completions", question("pair"))
    (outcome,) = ask_from_node(front.url() + "/v1", NARROW, call)["outcomes"]
    assert outcome["error"]["name"] == "PermissionDeniedError"
    assert outcome["error"]["code"] == "model_access_denied"


def test_a_key_makes_as_many_requests_in_a_minute_as_it_may_and_others_are_untouched(
    front: Proxy, a: StubPod
) -> None:

    def attempt() -> list[httpx.Response]:
        a.reset()
        with front.http(key_of("rpm")) as http:
            return many(lambda _: ask(http, "one"), 10, at_a_time=10)

    answers = in_one_window("rpm", attempt)
    assert sorted(each.status_code for each in answers) == [200] * 3 + [429] * 7
    assert a.count("one") == 3
    refused = next(each for each in answers if each.status_code == 429)
    assert code(refused) == (429, "model_rate_limit_exceeded")
    assert "rpm of key rpm" in refused.text
    assert 0 < int(refused.headers["retry-after"]) <= 60
    with front.http(TEAM) as http:
        assert said(ask(http, "one"))


@pytest.mark.parametrize("unit", ["tps", "tpm", "tph", "tpd"])
@pytest.mark.parametrize("whose", ["key", "route"])
def test_tokens_that_are_used_up_are_refused_until_their_window_is_over(
    front: Proxy, a: StubPod, unit: str, whose: str
) -> None:
    key = key_of(unit) if whose == "key" else TEAM
    model = "one" if whose == "key" else f"route-{unit}"
    a.script(text="a b c d e f g")  # and three words are asked: ten tokens
    with front.http(key) as http:
        refused = refused_when_used_up(http, model, unit=unit)
        assert code(refused) == (429, "model_rate_limit_exceeded")
        assert f"{unit} of {whose}" in refused.text
        wait = int(refused.headers["retry-after"])
        assert 0 < wait <= WINDOW_SECONDS[unit]
        if unit == "tps":
            time.sleep(wait)
            assert said(ask(http, model)) == "a b c d e f g"
    with front.http(TEAM) as http:
        assert said(ask(http, "one")) == "a b c d e f g"


def test_one_request_at_a_time_is_one_and_the_next_is_served_when_it_is_over(
    front: Proxy, a: StubPod
) -> None:
    a.script("serial", hold=True)
    with front.http(TEAM) as http, ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(ask, http, "serial") for _ in range(5)]
        wait_until(lambda: sum(each.done() for each in asked) == 4)
        a.go_on()
        answers = [each.result() for each in asked]
        assert sorted(each.status_code for each in answers) == [200] + [429] * 4
        assert said(ask(http, "serial"))
    assert a.count("serial") == 2


def test_a_cached_answer_is_marked_and_never_shared_between_keys_with_other_rights(
    front: Proxy, a: StubPod
) -> None:
    unique = f"what is the time? {time.time_ns()}"
    with (
        front.http(TEAM) as team,
        front.http(key_of("same-rights")) as same,
        front.http(NARROW) as narrow,
    ):

        def is_hit(http: httpx.Client, model: str = "kept") -> bool:
            answer = ask(http, model, unique)
            assert said(answer) == "stub-a answers"
            return answer.headers.get("x-modelfleet-cache") == "hit"

        assert [is_hit(team), is_hit(team), is_hit(same)] == [False, True, True]
        assert a.count("kept") == 1
        assert [is_hit(narrow), is_hit(narrow)] == [False, True]
        assert not is_hit(team, "kept-too")
        assert a.count("kept") == 3
        assert not any(ask(team, "one", unique).headers.get("x-modelfleet-cache") for _ in range(2))


def test_a_key_of_another_proxy_opens_nothing(world: World, front: Proxy) -> None:
    with front.http("sk-other-0123456789abcdef") as http:
        for answer in (ask(http, "one"), http.get("/v1/models")):
            assert code(answer) == (401, "incorrect_api_key")
