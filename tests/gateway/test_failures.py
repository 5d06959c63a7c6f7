"""What becomes of requests whose upstreams are slow, broken or gone, and what callers are told."""

from __future__ import annotations

import itertools
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from tests.gateway.conftest import CREDENTIAL, KEYS
from tests.gateway.running import PATIENCE_SECONDS, Gateway, Stub, patiently, post

pytestmark = [pytest.mark.gateway, pytest.mark.xdist_group("gateway")]

MESSAGES: list[Any] = [{"role": "user", "content": "one two three"}]
FAILS = {"status": 500}

KINDS: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": MESSAGES},
    "completions": {"prompt": "x"},
    "responses": {"input": "x"},
    "embeddings": {"input": "x"},
    "images/generations": {"prompt": "x"},
    "audio/speech": {"input": "x", "voice": "alloy"},
}


def ask(http: httpx.Client, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": MESSAGES, **more}
    return http.post("/v1/chat/completions", json=body)


def code_of(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


@pytest.mark.parametrize("path", KINDS)
def test_a_failing_upstream_is_called_once_more_for_each_declared_retry(
    http: httpx.Client, stub: Stub, path: str
) -> None:
    stub.tell(always=FAILS)
    body = {"model": "chat", **KINDS[path]}
    assert code_of(http.post(f"/v1/{path}", json=body)) == (502, "bad_gateway")
    assert stub.models_called == ["served-chat"] * 2
    stub.reset()
    stub.tell(always=FAILS)
    assert http.post(f"/v1/{path}", json={**body, "model": "once"}).status_code == 502
    assert stub.models_called == ["served-once"]


def test_reranking_and_listening_are_retried_as_declared_too(
    http: httpx.Client, stub: Stub
) -> None:
    stub.tell(always=FAILS)
    body = {"model": "order", "query": "a", "documents": ["b"]}
    assert http.post("/v1/rerank", json=body).status_code == 502
    file = {"file": ("a.wav", b"RIFF", "audio/wav")}
    heard = http.post("/v1/audio/transcriptions", data={"model": "ears"}, files=file)
    assert heard.status_code == 502
    assert stub.models_called == ["served-order"] * 2 + ["served-ears"] * 2


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_fallback_answers_under_the_name_that_was_asked_for(
    http: httpx.Client, gateway: Gateway, stub: Stub, is_stream: bool
) -> None:
    stub.tell(model="served-backed", always=FAILS)
    reply = ask(http, "backed", stream=is_stream)
    assert reply.status_code == 200
    assert reply.headers["x-modelfleet-fallback"] == "once"
    assert '"model":"backed"' in reply.text
    assert '"model":"once"' not in reply.text
    assert stub.models_called == ["served-backed"] * 3 + ["served-once"]
    record = gateway.record(reply.headers["x-request-id"])
    assert (record["model"], record["fallback"]) == ("backed", "once")
    assert record["total_tokens"] == 5


def test_a_fallback_needs_no_grant_of_its_own(http: httpx.Client, stub: Stub) -> None:
    stub.tell(always=FAILS)
    reply = ask(http, "backed")
    assert code_of(reply) == (502, "bad_gateway")
    assert stub.models_called == ["served-backed"] * 3 + ["served-once"]
    assert "once" not in reply.text


def test_a_stream_that_fails_before_its_first_event_is_retried_and_then_an_error(
    http: httpx.Client, stub: Stub
) -> None:
    for broken in (FAILS, {"cut_at_event": 0}, {"error_at_event": 0}, {"close": True}):
        stub.reset()
        stub.tell(broken)
        reply = ask(http, "chat", stream=True)
        assert reply.status_code == 200, broken
        assert reply.text.endswith("data: [DONE]\n\n")
        assert stub.models_called == ["served-chat"] * 2
        stub.tell(always=broken)
        reply = ask(http, "chat", stream=True)
        assert reply.status_code in (502, 503), broken
        assert reply.headers["content-type"] == "application/json"


# Only when the caller has what came before: what was received, and not yet read when a connection
# ends, is lost to the HTTP client.
@pytest.mark.parametrize("broken", [{"cut_at_event": 2}, {"error_at_event": 2}])
@pytest.mark.parametrize("model", ["chat", "backed"])
def test_a_stream_that_breaks_off_ends_with_a_clean_error(
    client: openai.OpenAI, gateway: Gateway, stub: Stub, broken: dict[str, Any], model: str
) -> None:
    stub.tell(always={**broken, "hold_at_event": 2})
    said, lines = "", []
    with client.chat.completions.with_streaming_response.create(
        model=model, messages=MESSAGES, stream=True
    ) as reply:
        for line in filter(None, reply.iter_lines()):
            lines.append(line)
            if "stub" in line:
                stub.go_on()
    for line in lines[:-1]:
        said += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
    assert said == "stub"
    error = json.loads(lines[-1][6:])["error"]
    assert error["code"] == "bad_gateway"
    assert error["message"] == f"An upstream of `{model}` broke off its answer."
    record = gateway.record(reply.headers["x-request-id"])
    assert (record["error_code"], record["is_estimated"]) == ("bad_gateway", True)
    assert record["completion_tokens"] == 2
    stub.tell(always={**broken, "hold_at_event": 2})
    with pytest.raises(openai.APIError, match="broke off"):
        for chunk in client.chat.completions.create(model=model, messages=MESSAGES, stream=True):
            if chunk.choices[0].delta.content:
                stub.go_on()


@pytest.mark.parametrize("broken", [{"cut_at_event": 2}, {"error_at_event": 2}])
def test_a_stream_of_responses_that_breaks_off_ends_with_a_clean_error(
    client: openai.OpenAI, stub: Stub, broken: dict[str, Any]
) -> None:
    stub.tell(always={**broken, "hold_at_event": 2})
    with pytest.raises(openai.APIError, match="broke off"):
        for event in client.responses.create(model="chat", input="x", stream=True):
            if event.type == "response.output_text.delta":
                stub.go_on()


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_upstream_that_is_too_slow_is_given_up(
    http: httpx.Client, stub: Stub, is_stream: bool
) -> None:
    stub.tell(always={"hold": True})
    replies = []
    for _ in patiently():  # where a machine is slow, time may be over before the upstream is asked
        replies.append(ask(http, "hasty", stream=is_stream))
        assert code_of(replies[-1]) == (504, "upstream_timeout")
        assert replies[-1].json()["error"]["message"] == "`hasty` did not answer within 1 s."
        if stub.calls:
            break
    assert set(stub.models_called) == {"served-hasty"}
    assert len(stub.calls) <= len(replies)
    assert any(stub.calls[0]["disconnected"] for _ in patiently())


def test_a_stream_that_stalls_ends_with_a_timeout(http: httpx.Client, stub: Stub) -> None:
    stub.tell(always={"hold_at_event": 2})
    for _ in patiently():  # where a machine is slow, it may not even begin in time
        reply = ask(http, "brisk", stream=True)
        if reply.status_code != 504:
            break
    assert reply.status_code == 200
    last = json.loads(reply.text.strip().split("\n\n")[-1][6:])
    assert last["error"]["code"] == "upstream_timeout"


def test_an_upstream_that_cannot_be_reached_is_one_clear_error_long_before_its_timeout(
    http: httpx.Client, gateway: Gateway
) -> None:
    started = time.monotonic()
    reply = ask(http, "gone")
    assert time.monotonic() - started < PATIENCE_SECONDS / 2
    assert code_of(reply) == (503, "service_unavailable")
    message = reply.json()["error"]["message"]
    assert message == "No upstream of `gone` can be reached at the moment."


@pytest.mark.parametrize(
    ("told", "status", "code"),
    [
        ({"status": 400}, 400, "bad_request"),
        ({"status": 422}, 422, "bad_request"),
        ({"status": 401}, 502, "bad_gateway"),
        ({"status": 403}, 502, "bad_gateway"),
        ({"status": 404}, 502, "bad_gateway"),
        ({"status": 429, "headers": {"retry-after": "7"}}, 429, "model_rate_limit_exceeded"),
        ({"status": 500}, 502, "bad_gateway"),
        ({"status": 502}, 502, "bad_gateway"),
        ({"status": 503}, 503, "service_unavailable"),
        ({"status": 504}, 504, "upstream_timeout"),
        ({"status": 200, "body": "<html>hello</html>"}, 502, "bad_gateway"),
        ({"close": True}, 503, "service_unavailable"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_errors_of_upstreams_are_told_in_our_words(
    http: httpx.Client, gateway: Gateway, stub: Stub, told: dict[str, Any], status: int, code: str
) -> None:
    stub.tell(always=told)
    reply = ask(http, "once")
    assert code_of(reply) == (status, code)
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    for internal in ("litellm", "LiteLLM", "OpenAIException", "served-once", "127.0.0.1"):
        assert internal not in reply.text
    assert reply.headers.get("retry-after") == ("7" if status == 429 else None)
    assert gateway.record(reply.headers["x-request-id"])["error_code"] == code


def test_what_an_upstream_finds_wrong_with_a_request_is_passed_on_without_addresses(
    http: httpx.Client, stub: Stub
) -> None:
    said = "This model's maximum context length is 10 tokens, see http://10.1.2.3:8000/v1/help"
    error = {"message": said, "type": "BadRequestError", "param": "messages", "code": 400}
    stub.tell(always={"status": 400, "body": {"error": error}})
    answered = ask(http, "once").json()["error"]
    assert answered["message"].startswith("This model's maximum context length is 10 tokens")
    assert "10.1.2.3" not in answered["message"]
    assert answered["type"] == "invalid_request_error"
    assert answered["code"] in ("bad_request", "context_length_exceeded")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    ("model", "path", "asked"),
    [
        ("once", "chat/completions", {"messages": MESSAGES}),
        ("once", "chat/completions", {"messages": MESSAGES, "stream": True}),
        ("order", "rerank", {"query": "x", "documents": ["y"]}),
    ],
)
def test_no_upstream_sends_requests_elsewhere(
    http: httpx.Client, stub: Stub, status: int, model: str, path: str, asked: dict[str, Any]
) -> None:
    elsewhere = {"location": f"{stub.base_url}/chat/completions/elsewhere"}
    stub.tell(always={"status": status, "headers": elsewhere})
    reply = http.post(f"/v1/{path}", json={"model": model, **asked})
    assert code_of(reply) == (502, "bad_gateway")
    assert {call["path"] for call in stub.calls} == {f"/v1/{path}"}


def test_retries_go_to_the_other_upstream(http: httpx.Client, stub: Stub) -> None:
    stub.tell(model="served-a", always=FAILS)
    for _ in range(20):
        assert ask(http, "split").status_code == 200
    assert stub.models_called.count("served-b") == 20


def test_requests_are_split_by_weight(http: httpx.Client, stub: Stub) -> None:
    for _ in range(100):
        ask(http, "split")
    # Beyond these bounds with a probability of 1 in 100,000.
    assert 61 <= stub.models_called.count("served-a") <= 95


def test_an_upstream_is_called_with_its_key_which_can_change(
    http: httpx.Client, gateway: Gateway, stub: Stub
) -> None:
    def key_sent() -> str:
        assert ask(http, "locked").status_code == 200
        return str(stub.calls[-1]["headers"]["authorization"])

    assert key_sent() == f"Bearer {CREDENTIAL}"
    gateway.write_secret("credentials/0", "sk-another-one-000001")
    try:
        assert any(key_sent() == "Bearer sk-another-one-000001" for _ in patiently())
    finally:
        gateway.write_secret("credentials/0", CREDENTIAL)
    assert any(key_sent() == f"Bearer {CREDENTIAL}" for _ in patiently())


def test_a_caller_that_goes_away_frees_the_upstream_and_is_metered_by_estimate(
    gateway: Gateway, http: httpx.Client, stub: Stub
) -> None:
    stub.tell(always={"event_delay_seconds": 0.1, "text": "word " * 5_000})
    body = {"model": "chat", "messages": MESSAGES, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as reply:
        for _ in itertools.islice(reply.iter_lines(), 4):
            pass
    record = gateway.record(reply.headers["x-request-id"])
    assert (record["status"], record["is_estimated"]) == (499, True)
    assert 1 <= record["completion_tokens"] < 5_000
    assert any(stub.calls[0]["disconnected"] for _ in patiently())


def test_a_caller_that_does_not_wait_for_a_whole_reply_frees_the_upstream(
    gateway: Gateway, http: httpx.Client, stub: Stub
) -> None:
    stub.tell(always={"hold": True})
    address = urlsplit(gateway.url)
    body = json.dumps({"model": "narrow", "messages": MESSAGES})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n"
    key = f"authorization: Bearer {KEYS['all']}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as caller:
        caller.sendall((head + key + body).encode())
        assert any(stub.calls for _ in patiently())
    assert any(stub.calls[0]["disconnected"] for _ in patiently())
    stub.reset()
    assert any(ask(http, "narrow").status_code == 200 for _ in patiently())


def test_a_cached_reply_is_marked_and_kept_from_keys_with_other_rights(
    gateway: Gateway, http: httpx.Client, stub: Stub
) -> None:
    for is_stream in (False, True):
        stub.reset()
        first, again = (ask(http, "cached", stream=is_stream) for _ in range(2))
        other = post(
            f"{gateway.url}/v1/chat/completions",
            headers={"authorization": f"Bearer {KEYS['team']}"},
            json={"model": "cached", "messages": MESSAGES, "stream": is_stream},
        )
        marks = [each.headers.get("x-modelfleet-cache") for each in (first, again, other)]
        assert marks == [None, "hit", None]
        assert len(stub.calls) == 2
        record = gateway.record(again.headers["x-request-id"])
        assert (record["cache_hit"], record["model"]) == (True, "cached")
    assert "x-modelfleet-cache" not in ask(http, "chat").headers


def test_a_cached_reply_is_for_requests_that_are_equal_in_all(
    http: httpx.Client, stub: Stub
) -> None:
    stub.tell(model="served-cached", always={"text": "as the template has it"})
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "who is it?"}]}
    template = {"chat_template": "Say so.", "guided_json": {}, "top_k": 1}
    for _ in patiently():
        if ask(http, "cached", **asked, **template).headers.get("x-modelfleet-cache"):
            break
    stub.tell(model="served-cached", always={"text": "as it is"})
    reply = ask(http, "cached", **asked)
    assert reply.json()["choices"][0]["message"]["content"] == "as it is"


def test_a_guardrail_blocks_before_the_upstream_is_called(http: httpx.Client, stub: Stub) -> None:
    body = {"model": "guarded", "messages": [{"role": "user", "content": "say forbidden things"}]}
    reply = http.post("/v1/chat/completions", json=body)
    assert code_of(reply) == (400, "guardrail_blocked")
    assert not stub.calls


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_guardrail_keeps_back_what_a_model_must_not_say(
    http: httpx.Client, stub: Stub, is_stream: bool
) -> None:
    assert ask(http, "guarded", stream=is_stream).status_code == 200
    stub.tell(always={"text": "this is forb idden and forbidden indeed"})
    reply = ask(http, "guarded", stream=is_stream)
    assert code_of(reply) == (400, "guardrail_blocked")
    assert "indeed" not in reply.text


def test_no_more_than_declared_are_under_way(http: httpx.Client, stub: Stub) -> None:
    stub.tell(always={"hold_at_event": 1})
    body = {"model": "narrow", "messages": MESSAGES, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as first:
        second = ask(http, "narrow")
        assert code_of(second) == (429, "model_rate_limit_exceeded")
        assert second.headers["retry-after"] == "1"
        stub.go_on()
        first.read()
    stub.reset()
    assert ask(http, "narrow").status_code == 200


def test_limits_count_requests_and_tokens(http: httpx.Client, gateway: Gateway) -> None:
    first, second = (ask(http, "counted") for _ in range(2))
    assert first.headers["x-ratelimit-limit-tokens"] == "5"
    assert code_of(second) == (429, "model_rate_limit_exceeded")
    assert int(second.headers["retry-after"]) > 0
    headers = {"authorization": f"Bearer {KEYS['few']}"}
    body = {"model": "chat", "messages": MESSAGES}
    url = f"{gateway.url}/v1/chat/completions"
    while True:
        minute = time.time() // 60
        statuses = [post(url, headers=headers, json=body).status_code for _ in range(4)]
        if time.time() // 60 == minute:
            break
        # The next minute that begins is whole, and nothing is used of it.
        time.sleep(60 - time.time() % 60)
    assert statuses == [200, 200, 429, 429]


def test_nothing_of_keys_and_content_is_ever_printed(
    http: httpx.Client, gateway: Gateway, stub: Stub
) -> None:
    secret = "a-very-private-sentence"
    said: list[Any] = [{"role": "user", "content": secret}]
    error = {"message": f"you said {secret}", "type": "x", "param": None, "code": None}
    failing = {"status": 500, "body": {"error": error}}
    broken = {"text": f"{secret} {secret} {secret}", "cut_at_event": 2}
    for told in ({}, failing, {"status": 400, "body": {"error": error}}, broken, {"close": True}):
        for is_stream in (False, True):
            stub.tell(always=told)
            body = {"model": "chat", "messages": said, "stream": is_stream}
            http.post("/v1/chat/completions", json=body)
    everything = gateway.output + gateway.complaints
    assert secret not in everything
    for key in (*KEYS.values(), CREDENTIAL):
        assert key not in everything
