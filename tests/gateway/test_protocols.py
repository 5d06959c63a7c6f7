"""What clients get through the gateway is what the upstream said, under the name they asked for."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from tests.gateway.running import Gateway, Stub, patiently

pytestmark = [pytest.mark.gateway, pytest.mark.xdist_group("gateway")]

ASKED: list[Any] = [{"role": "user", "content": "one two three"}]


def test_a_chat_is_answered_under_the_access_name(
    client: openai.OpenAI, gateway: Gateway, stub: Stub
) -> None:
    reply = client.chat.completions.with_raw_response.create(model="chat", messages=ASKED)
    answer = reply.parse()
    assert (answer.model, answer.choices[0].message.content) == ("chat", "stub answers")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 2)
    record = gateway.record(reply.headers["x-request-id"])
    assert record["key_name"] == "all"
    assert (record["model"], record["status"], record["error_code"]) == ("chat", 200, None)
    assert (record["prompt_tokens"], record["completion_tokens"]) == (3, 2)
    assert record["total_tokens"] == 5
    assert record["served_by"] == stub.base_url.split("/")[2]
    assert (record["stream"], record["is_estimated"], record["retries"]) == (False, False, 0)


def test_a_slash_at_the_end_of_the_base_url_changes_nothing(
    gateway: Gateway, client: openai.OpenAI
) -> None:
    with client.with_options(base_url=f"{gateway.url}/v1/") as other:
        assert other.chat.completions.create(model="chat", messages=ASKED).model == "chat"


def test_only_content_type_request_id_and_limits_are_in_the_head_of_a_reply(
    http: httpx.Client, stub: Stub
) -> None:
    for is_stream in (False, True):
        body = {"model": "chat", "messages": ASKED, "stream": is_stream}
        reply = http.post("/v1/chat/completions", json=body)
        expected = {"date", "content-type", "x-request-id"}
        expected |= {"transfer-encoding"} if is_stream else {"content-length"}
        assert set(reply.headers) == expected
        assert stub.base_url not in reply.text


def test_a_stream_names_the_access_name_in_every_event_and_ends(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="chat", messages=ASKED, stream=True))
    assert {chunk.model for chunk in chunks} == {"chat"}
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "stub answers"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_is_metered_whether_or_not_its_caller_asks(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    for options in ({}, {"stream_options": {"include_usage": True}}):
        more: dict[str, Any] = options
        with client.chat.completions.with_streaming_response.create(
            model="chat", messages=ASKED, stream=True, **more
        ) as reply:
            events = [json.loads(line[6:]) for line in reply.iter_lines() if line[:7] == "data: {"]
        record = gateway.record(reply.headers["x-request-id"])
        assert record["total_tokens"] == 5
        assert record["stream"]
        assert record["first_byte_ms"] <= record["latency_ms"]
        told = [event["usage"]["total_tokens"] for event in events if event.get("usage")]
        assert told == ([5] if options else [])
        assert [bool(event["choices"]) for event in events].count(False) == len(told)


def test_tokens_are_counted_also_where_the_upstream_does_not_say(
    client: openai.OpenAI, gateway: Gateway, stub: Stub
) -> None:
    stub.tell(always={"usage": False})
    for is_stream in (False, True):
        reply = client.chat.completions.with_raw_response.create(
            model="chat", messages=ASKED, stream=is_stream
        )
        reply.http_response.read()
        record = gateway.record(reply.headers["x-request-id"])
        assert record["prompt_tokens"] > 0
        assert record["completion_tokens"] > 0


def test_a_stream_comes_event_by_event(client: openai.OpenAI, stub: Stub) -> None:
    stub.tell(always={"hold_at_event": 2})
    chunks = iter(client.chat.completions.create(model="chat", messages=ASKED, stream=True))
    next(chunks)
    # Of five events the stub has the last three still to come.
    assert len(stub.calls) == 1
    assert stub.calls[0]["finished"] is False
    stub.go_on()
    assert list(chunks)
    assert any(stub.calls[0]["finished"] for _ in patiently())


def test_events_in_pieces_arrive_whole(client: openai.OpenAI, stub: Stub) -> None:
    stub.tell(always={"chunk_bytes": 7, "text": "späte Grüße 🌍 \n\n data: x"})
    chunks = client.chat.completions.create(model="chat", messages=ASKED, stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == "späte Grüße 🌍 \n\n data: x"


def test_tools_images_and_parameters_of_engines_reach_the_upstream_unharmed(
    client: openai.OpenAI, stub: Stub
) -> None:
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": {"x": 1}}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "what"}, image]}]
    extra = {
        "top_k": 3,
        "min_p": 0.1,
        "guided_json": {"type": "object"},
        "chat_template_kwargs": {"enable_thinking": False},
        "stop_token_ids": [7],
        "priority": 2,
    }
    answer = client.chat.completions.create(
        model="chat", messages=messages, tools=[tool], user="u", seed=1, extra_body=extra
    )
    call = answer.choices[0].message.tool_calls
    assert call is not None
    assert json.loads(call[0].function.arguments) == {"city": "Ulm"}  # type: ignore[union-attr]
    assert answer.choices[0].finish_reason == "tool_calls"
    sent = stub.calls[0]["body"]
    assert sent == {
        "model": "served-chat",
        "messages": messages,
        "tools": [tool],
        "user": "u",
        "seed": 1,
        **extra,
    }


def test_tool_calls_stream(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    chunks = client.chat.completions.create(model="chat", messages=ASKED, tools=[tool], stream=True)
    arguments = ""
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or []:
            arguments += (call.function and call.function.arguments) or ""
    assert json.loads(arguments) == {"city": "Ulm"}


def test_json_mode_passes_through(client: openai.OpenAI, stub: Stub) -> None:
    mode: Any = {"type": "json_object"}
    answer = client.chat.completions.create(model="chat", messages=ASKED, response_format=mode)
    assert json.loads(answer.choices[0].message.content or "") == {"ok": True}
    assert stub.calls[0]["body"]["response_format"] == mode


def test_completions(client: openai.OpenAI, gateway: Gateway) -> None:
    answer = client.completions.create(model="chat", prompt="one two")
    assert (answer.model, answer.choices[0].text) == ("chat", "stub answers")
    create = client.completions.with_raw_response.create
    reply = create(model="chat", prompt="one two", stream=True)
    chunks = list(reply.parse())
    assert "".join(chunk.choices[0].text or "" for chunk in chunks).split() == ["stub", "answers"]
    assert {chunk.model for chunk in chunks} == {"chat"}
    assert gateway.record(reply.headers["x-request-id"])["total_tokens"] == 4


def test_responses(client: openai.OpenAI, gateway: Gateway, stub: Stub) -> None:
    create = client.responses.with_raw_response.create
    reply = create(model="chat", input="one two", metadata={"order": "7"})
    answer = reply.parse()
    assert (answer.model, answer.output_text) == ("chat", "stub answers")
    assert gateway.record(reply.headers["x-request-id"])["total_tokens"] == 4
    assert stub.calls[0]["body"]["metadata"] == {"order": "7"}
    streamed = create(model="chat", input="one two", stream=True)
    events = list(streamed.parse())
    last = events[-1]
    assert last.type == "response.completed"
    assert (last.response.model, last.response.output_text) == ("chat", "stub answers")
    assert gateway.record(streamed.headers["x-request-id"])["total_tokens"] == 4


def test_events_of_responses_are_typed_as_the_protocol_has_it(http: httpx.Client) -> None:
    body = {"model": "chat", "input": "x", "stream": True}
    events = http.post("/v1/responses", json=body).text.strip().split("\n\n")
    for event in events:
        name, data = event.split("\n")
        assert name == f"event: {json.loads(data[6:])['type']}"
        assert "served-chat" not in data


def test_embeddings(client: openai.OpenAI, gateway: Gateway, stub: Stub) -> None:
    create = client.embeddings.with_raw_response.create
    reply = create(model="vectors", input=["one", "two three"], dimensions=3)
    answer = reply.parse()
    assert answer.model == "vectors"
    assert [each.embedding[0] for each in answer.data] == [3.0, 9.0]
    assert stub.calls[0]["body"]["dimensions"] == 3
    assert gateway.record(reply.headers["x-request-id"])["prompt_tokens"] == 3


def test_reranking(http: httpx.Client, gateway: Gateway) -> None:
    body = {"model": "order", "query": "one", "documents": ["two", "three"], "top_n": 1}
    reply = http.post("/v1/rerank", json=body)
    assert [each["index"] for each in reply.json()["results"]] == [0]
    assert gateway.record(reply.headers["x-request-id"])["prompt_tokens"] == 3


def test_audio_comes_in_and_goes_out(client: openai.OpenAI, stub: Stub) -> None:
    file = ("words.wav", b"RIFF" * 50, "audio/wav")
    heard = client.audio.transcriptions.create(model="ears", file=file, temperature=0.5)
    assert heard.text == "stub answers"
    sent = stub.calls[0]["body"]
    assert (sent["model"], sent["file"]) == ("served-ears", "<200 bytes>")
    assert float(sent["temperature"]) == 0.5
    speech = client.audio.speech.create(model="voice", input="hello", voice="alloy")
    assert speech.content.startswith(b"ID3")
    assert speech.response.headers["content-type"] == "audio/mpeg"


def test_images_and_moderations(client: openai.OpenAI) -> None:
    images = client.images.generate(model="chat", prompt="a house")
    assert images.data is not None
    assert images.data[0].b64_json
    judged = client.moderations.create(model="chat", input="hello")
    assert judged.model == "chat"
    assert not judged.results[0].flagged


def test_a_long_prompt_and_a_large_body_pass(client: openai.OpenAI, gateway: Gateway) -> None:
    words: list[Any] = [{"role": "user", "content": "word " * 100_000}]
    answer = client.chat.completions.create(model="chat", messages=words)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 100_000
    large: list[Any] = [{"role": "user", "content": "x" * 10_000_000}]
    assert client.chat.completions.create(model="chat", messages=large).model == "chat"
