"""What passes through a proxy unharmed: tools, images, JSON, embeddings, responses, audio.

Asked through OpenAI's client; what the upstream got is looked at in the stub, where a field that
is lost or added shows.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from proxies_in_pods import Proxy, question
from proxy_world import TEAM
from stub_pod import StubPod

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Says what the weather is.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
PICTURE = "data:image/png;base64," + base64.b64encode(bytes(range(256))).decode()


@pytest.fixture
def client(front: Proxy) -> Iterator[openai.OpenAI]:
    with front.client(TEAM) as client:
        yield client


def test_tools_are_offered_and_called_streamed_or_not(client: openai.OpenAI, a: StubPod) -> None:
    asked = question("one", tools=[TOOL], tool_choice="auto")
    plain = client.chat.completions.create(**asked)
    (call,) = plain.choices[0].message.tool_calls or ()
    assert (call.type, call.function.name) == ("function", "weather")
    assert call.function.arguments == '{"city": "Ulm"}'
    assert plain.choices[0].finish_reason == "tool_calls"

    with client.chat.completions.stream(**asked) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    (again,) = final.choices[0].message.tool_calls or ()
    assert again.function.arguments == '{"city": "Ulm"}'

    answered = [
        *asked["messages"],
        plain.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "It rains."},
    ]
    client.chat.completions.create(model="one", messages=answered, tools=[TOOL])
    first, _, last = a.calls
    assert first["body"]["tools"] == [TOOL]
    assert last["body"]["messages"] == answered


def test_images_and_json_mode_reach_the_upstream_as_they_were_sent(
    client: openai.OpenAI, a: StubPod
) -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
    ]
    schema = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    for wanted in ({"type": "json_object"}, {"type": "json_schema", "json_schema": schema}):
        completion = client.chat.completions.create(
            model="one",
            messages=[{"role": "user", "content": content}],
            response_format=wanted,
            seed=7,
            extra_body={"top_k": 3, "chat_template_kwargs": {"enable_thinking": False}},
        )
        assert completion.choices[0].message.content == '{"ok": true}'
        body = a.calls[-1]["body"]
        assert body["messages"] == [{"role": "user", "content": content}]
        assert body["response_format"] == wanted
        assert (body["seed"], body["top_k"]) == (7, 3)
        assert body["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings_come_as_they_are(client: openai.OpenAI, a: StubPod, form: Any) -> None:
    answer = client.embeddings.create(
        model="vectors", input=["a bc", "def"], encoding_format=form, dimensions=3
    )
    assert answer.model == "vectors"
    assert answer.usage.prompt_tokens == 3
    vectors = [each.embedding for each in answer.data]
    assert vectors == [[4.0, 0.5, -1.0], [3.0, 0.5, -1.0]] or form == "base64"
    assert a.calls[-1]["body"]["dimensions"] == 3
    assert a.calls[-1]["body"]["encoding_format"] == form


def test_responses_are_answered_streamed_or_not(client: openai.OpenAI, a: StubPod) -> None:
    answer = client.responses.create(model="one", input="Who are you?")
    assert answer.output_text == "stub-a answers"
    assert answer.model == "one"
    with client.responses.create(model="one", input="Who are you?", stream=True) as stream:
        events = list(stream)
    deltas = [each.delta for each in events if each.type == "response.output_text.delta"]
    assert "".join(deltas) == "stub-a answers"
    assert events[-1].type == "response.completed"
    assert answer.usage is not None
    assert events[-1].response.usage is not None
    assert events[-1].response.usage.total_tokens == answer.usage.total_tokens > 0
    assert {call["path"] for call in a.calls} == {"/v1/responses"}


def test_completions_are_answered_streamed_or_not(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="one", prompt="Once")
    assert answer.choices[0].text == "stub-a answers"
    with client.completions.create(model="one", prompt="Once", stream=True) as stream:
        text = "".join(choice.text for chunk in stream for choice in chunk.choices)
    assert text.split() == ["stub-a", "answers"]


def test_documents_are_ranked(front: Proxy) -> None:
    with front.http(TEAM) as http:
        asked = {"model": "ranks", "query": "b", "documents": ["a", "b", "c"], "top_n": 2}
        answer = http.post("/v1/rerank", json=asked)
    assert answer.status_code == 200, answer.text
    assert [each["index"] for each in answer.json()["results"]] == [0, 1]


def test_sounds_are_heard_and_spoken(client: openai.OpenAI, a: StubPod) -> None:
    a.script("hears", text="good morning")
    heard = client.audio.transcriptions.create(
        model="hears", file=("speech.wav", b"RIFF" + bytes(5_000), "audio/wav"), language="en"
    )
    assert heard.text == "good morning"
    assert a.calls[-1]["body"]["file"] == "<5004 bytes>"
    assert a.calls[-1]["body"]["language"] == "en"
    spoken = client.audio.speech.create(model="speaks", input="good morning", voice="alloy")
    assert spoken.content.startswith(b"ID3")
    assert a.calls[-1]["body"]["voice"] == "alloy"


def test_a_real_engine_completes_a_prompt(client: openai.OpenAI) -> None:
    asked = {"model": "chat", "prompt": "x", "max_tokens": 5, "temperature": 0}
    plain = client.completions.create(**asked)
    assert plain.choices[0].text.strip()
    assert plain.usage is not None
    assert 0 < plain.usage.completion_tokens <= 5


def test_events_come_one_by_one_and_not_all_at_the_end(client: openai.OpenAI, a: StubPod) -> None:
    a.script("one", hold_at_event=3, text="one two three four five")
    with client.chat.completions.create(**question("one", stream=True)) as stream:
        said = (chunk.choices[0].delta.content for chunk in stream if chunk.choices)
        words = filter(None, said)
        assert (next(words), next(words)) == ("one", " two")
        assert not a.calls[0]["finished"]
        a.go_on()
        assert list(words) == [" three", " four", " five"]
