"""Replies of the gateway's application: names, usage, events and errors as callers get them."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from modelfleet.gateway.app.records import UsageRecord
from modelfleet.gateway.app.replies import inner_head, listed_models, renamed
from modelfleet.gateway.app.settings import Route
from modelfleet.gateway.app.streams import EventStream, said_in
from modelfleet.gateway.app.upstream_errors import cleaned, error_for, upstream_error
from modelfleet.gateway.app.usage import Usage, estimated_usage, reported_usage

ROUTE = Route("chat", 60, (), False, 300, {}, None)
BACKED = Route("chat", 60, ("other",), False, 300, {}, None)


def event(**fields: Any) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def chunk(text: str | None = "word", **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    fields = {"model": "chat", "choices": [{"index": 0, "delta": delta}]}
    return event(**{**fields, **more})


USED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
LAST = event(model="chat", choices=[{"index": 0, "delta": {}}], usage=USED)
DONE = b"data: [DONE]\n\n"


def stream(*, lacks_usage: bool = True, is_responses: bool = False) -> EventStream:
    return EventStream(ROUTE, lacks_usage=lacks_usage, is_responses=is_responses)


def test_events_that_are_right_already_are_the_same_bytes() -> None:
    events = stream()
    given = [chunk("a"), chunk('"usage": {"x": 1} "error"'), chunk("b")]
    assert [events.passed_on(each) for each in given] == given
    assert events.content_events == 3


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
def test_events_in_any_pieces_are_the_same_events(size: int) -> None:
    events = stream()
    whole = chunk("ä") + chunk("\n\ndata: x") + LAST + DONE
    got = b"".join(
        events.passed_on(whole[start : start + size]) for start in range(0, len(whole), size)
    )
    assert got == chunk("ä") + chunk("\n\ndata: x") + DONE
    assert events.usage == Usage(3, 2, 5)
    assert events.is_complete
    assert events.closing() == b""


def test_the_event_of_the_usage_is_kept_back_from_those_who_did_not_ask() -> None:
    asked, not_asked = stream(lacks_usage=False), stream()
    told = asked.passed_on(LAST)
    assert json.loads(told[6:]) == {"model": "chat", "choices": [], "usage": USED}
    assert not_asked.passed_on(LAST) == b""
    assert asked.usage == not_asked.usage == Usage(3, 2, 5)


def test_usage_beside_content_is_taken_out_and_the_content_stays() -> None:
    got = stream().passed_on(chunk("word", usage=USED))
    assert got == chunk("word")


def test_a_fallback_answers_under_the_name_that_was_asked_for() -> None:
    assert stream().passed_on(chunk("word", model="other")) == chunk("word")


def test_an_error_in_a_stream_says_nothing_of_the_inside() -> None:
    events = stream()
    said = {"message": "litellm.APIConnectionError: http://10.0.0.1:8000 fell over"}
    got = json.loads(events.passed_on(event(error=said))[6:])["error"]
    assert got["message"] == "An upstream of `chat` broke off its answer."
    assert events.passed_on(chunk("more")) == b""
    assert events.closing() == b""


def test_a_stream_that_just_ends_is_told_to_have_broken_off() -> None:
    events = stream()
    events.passed_on(chunk("word"))
    assert b'"bad_gateway"' in events.closing()
    assert events.error is not None


def test_events_of_responses_are_named_typed_and_metered() -> None:
    events = stream(is_responses=True)
    used = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    delta = {"type": "response.output_text.delta", "delta": "x"}
    last = {"type": "response.completed", "response": {"model": "served", "usage": used}}
    assert events.passed_on(event(**delta, model="served")) == (
        b"event: response.output_text.delta\n" + event(**delta)
    )
    got = events.passed_on(event(**last)).split(b"\n")
    assert got[0] == b"event: response.completed"
    assert json.loads(got[1][6:])["response"]["model"] == "chat"
    assert events.passed_on(DONE) == b""
    assert (events.usage, events.content_events) == (Usage(1, 2, 3), 1)
    assert events.closing() == b""


@pytest.mark.parametrize(
    "failure",
    [
        {"type": "error", "message": "inside", "code": "x"},
        {"type": "response.failed", "response": {"error": {"message": "inside"}}},
        {"error": {"message": "inside"}},
    ],
)
def test_responses_that_fail_end_with_an_error_that_clients_know(failure: dict[str, Any]) -> None:
    head, data, *_ = stream(is_responses=True).passed_on(event(**failure)).split(b"\n")
    assert head == b"event: error"
    fields = json.loads(data[6:])
    assert (fields["type"], fields["error"]["code"]) == ("error", "bad_gateway")
    assert b"inside" not in data


def test_the_pieces_of_a_stream_are_put_together_before_they_are_read() -> None:
    call = {"index": 0, "function": {"arguments": "{'a'"}}
    said = chunk("for") + chunk("bidden") + event(choices=[{"delta": {"tool_calls": [call]}}])
    said += event(choices=[{"text": "!"}]) + event(type="x.delta", delta="?") + DONE + b": ping\n\n"
    assert texts_said(said) == ["forbidden", "{'a'", "!", "?"]


def test_what_several_choices_say_in_turn_is_a_text_each() -> None:
    def piece(index: int, text: str, **more: Any) -> bytes:
        return event(choices=[{"index": index, "delta": {"content": text, **more}}])

    said = piece(0, "for") + piece(1, "a ") + piece(0, "bidden", reasoning_content="b") + DONE
    assert texts_said(said) == ["forbidden", "a ", "b"]


def texts_said(events: bytes) -> list[str]:
    return [choice["message"]["content"] for choice in said_in(events)["choices"]]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"usage": USED}, Usage(3, 2, 5)),
        ({"usage": {"prompt_tokens": 3, "total_tokens": 3}}, Usage(3, 0, 3)),
        ({"usage": {"input_tokens": 3, "output_tokens": 2}}, Usage(3, 2, 5)),
        ({"usage": {"type": "duration", "seconds": 3}}, None),
        ({"usage": None}, None),
        ({"usage": dict.fromkeys(USED, 0)}, None),
        ({"usage": dict.fromkeys(USED, -1)}, None),
        ({"usage": dict.fromkeys(USED, True)}, None),
        ({"usage": dict.fromkeys(USED, 2**62)}, None),
        ({"usage": {**USED, "completion_tokens": -9}}, Usage(3, 0, 5)),
        ({"usage": {**USED, "total_tokens": 1}}, Usage(3, 2, 5)),
        ({"meta": {"tokens": {"input_tokens": 4}}}, Usage(4, 0, 4)),
        ({}, None),
    ],
)
def test_usage_is_found_whatever_a_protocol_calls_it(
    reply: dict[str, Any], expected: Usage | None
) -> None:
    assert reported_usage(reply) == expected


def test_an_estimate_says_that_it_is_one() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}
    content = [{"type": "text", "text": "12345"}, image]
    fields = {"messages": [{"role": "user", "content": content}]}
    assert estimated_usage(fields, completion_tokens=3) == Usage(2, 3, 5, is_estimated=True)


def test_a_reply_is_renamed_and_otherwise_left_alone() -> None:
    right = b'{"model": "chat", "x": 1.0}'
    assert renamed(right, "chat") == (right, {"model": "chat", "x": 1.0}, None)
    body, _, usage = renamed(orjson.dumps({"model": "served", "usage": USED}), "chat")
    assert json.loads(body)["model"] == "chat"
    assert usage == Usage(3, 2, 5)
    for other in (b"[]", b"no json", b""):
        assert renamed(other, "chat") == (other, None, None)


def test_the_head_of_litellm_is_read_and_not_passed_on() -> None:
    head = inner_head(
        200,
        [
            (b"Content-Type", b"application/json"),
            (b"x-litellm-model-id", b"id-1"),
            (b"x-litellm-attempted-retries", b"2"),
            (b"x-litellm-cache-key", b"k"),
            (b"llm_provider-retry-after", b"7"),
        ],
    )
    assert (head.upstream_id, head.retries, head.is_cache_hit) == ("id-1", 2, True)
    assert (head.retry_after, head.is_json, head.is_events) == ("7", True, False)
    assert inner_head(200, [(b"x-litellm-attempted-retries", b"None")]).retries is None


def test_models_are_listed_sorted_in_openais_shape() -> None:
    listed = json.loads(listed_models(["b", "a"], owner="ns/front"))
    assert [each["id"] for each in listed["data"]] == ["a", "b"]
    assert listed["object"] == "list"
    assert listed["data"][0] == {"id": "a", "object": "model", "created": 0, "owned_by": "ns/front"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("litellm.BadRequestError: OpenAIException - too long", "too long"),
        ("litellm.ContextWindowExceededError: ContextWindowExceededError: X", "X"),
        ("litellm.BadRequestError: BadRequestError: OpenAIException - Error code: 400 - no", "no"),
        ('litellm.BadRequestError: Hosted_vllmException - {"error": {"message": "no"}}', "no"),
        ("no\n\nLiteLLM: model group 'fb' failed with the error above. Fallback to x", "no"),
        ("no. Received Model Group=chat\nAvailable Model Group Fallbacks=None", "no."),
        (
            "openai does not support parameters: ['a'], for model=served. To drop these, set `b`",
            "openai does not support parameters: ['a']",
        ),
        (
            "Invalid request format: litellm.APIConnectionError: APIConnectionError: "
            "OpenAIException - 'list' object has no attribute 'get'",
            "",
        ),
        ("see http://10.0.0.1:8000/v1?x=1, please", "see (an upstream) please"),
        ("at 10.2.3.4:80 or chat-engine.models.svc.cluster.local:8000", None),
        ("ValueError: x is wrong", "x is wrong"),
        ("It took 3 s at 12:30:45, ratio 4:3", "It took 3 s at 12:30:45, ratio 4:3"),
        ("Invalid value: 'x' - must be y", "Invalid value: 'x' - must be y"),
    ],
)
def test_messages_of_upstreams_lose_what_is_internal(message: str, expected: str | None) -> None:
    got = cleaned(message)
    if expected is not None:
        assert got == expected
    assert "10." not in got
    assert "svc" not in got


@pytest.mark.parametrize(
    ("status", "message", "expected_status", "code"),
    [
        (408, "litellm.Timeout: x", 504, "upstream_timeout"),
        (500, "litellm.Timeout: APITimeoutError", 504, "upstream_timeout"),
        (429, "RateLimitError", 429, "model_rate_limit_exceeded"),
        (429, "No deployments available for selected model", 503, "service_unavailable"),
        (400, "litellm.ContextWindowExceededError: x", 400, "context_length_exceeded"),
        (400, "x", 400, "bad_request"),
        (401, "x", 502, "bad_gateway"),
        (404, "x", 502, "bad_gateway"),
        (500, "x", 502, "bad_gateway"),
        (500, "OpenAIException - Connection error.", 503, "service_unavailable"),
        (503, "x", 503, "service_unavailable"),
    ],
)
def test_errors_get_our_codes(status: int, message: str, expected_status: int, code: str) -> None:
    error = error_for(status, message, ROUTE)
    assert (error.status, error.code) == (expected_status, code)


def test_errors_name_the_model_and_only_that_there_are_fallbacks() -> None:
    assert "fallbacks" not in error_for(503, "", ROUTE).message
    message = error_for(503, "", BACKED).message
    assert message == "No upstream of `chat`, and of its fallbacks, can be reached at the moment."


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": 1}', b'{"detail": "x"}'])
def test_an_error_in_any_shape_is_an_error(body: bytes) -> None:
    error = upstream_error(500, body, ROUTE, retry_after="soon\r\nx: y")
    assert (error.status, error.headers) == (502, {})


def test_a_record_is_one_line_of_json() -> None:
    record = UsageRecord("id", "chat/completions", model="chat", usage=Usage(3, 2, 5, True))
    line = record.line()
    assert line.count(b"\n") == 1
    fields = json.loads(line)
    assert (fields["total_tokens"], fields["is_estimated"], fields["fallback"]) == (5, True, None)
    assert fields["time"].endswith("Z")
