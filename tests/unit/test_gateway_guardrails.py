"""What a guardrail blocks, where it looks for it, and what it says."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import pytest

from modelfleet.gateway.app.blocked_words import SearchTookTooLong, patterns_in, words_in
from modelfleet.gateway.app.guarded_text import REPLY_FIELDS, REQUEST_FIELDS, texts_of
from modelfleet.gateway.app.guardrails import Guardrail
from modelfleet.gateway.app.refusal import Refusal
from modelfleet.gateway.app.sensitive_data import sensitive_kind

FORBIDDEN = "xyzzy"


def guardrail(**declared: object) -> Guardrail:
    """One that checks both ways, with what a test declares."""
    nothing: dict[str, object] = {
        "check_request": True,
        "check_response": True,
        "blocked_words": [],
        "blocked_patterns": [],
        "block_on_sensitive_data": False,
        "max_text_length": None,
    }
    return Guardrail(nothing | declared)


def said(text: str) -> Mapping[str, Any]:
    return {"model": "chat", "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize(
    "body",
    [
        said(f"say {FORBIDDEN} to me"),
        {"messages": [{"role": "user", "content": [{"type": "text", "text": FORBIDDEN}]}]},
        {"messages": [{"role": "system", "content": FORBIDDEN}, {"role": "user", "content": "hi"}]},
        {"messages": [{"role": "tool", "tool_call_id": "1", "content": FORBIDDEN}]},
        {"messages": [{"tool_calls": [{"function": {"arguments": '{"a": "\\u0078yzzy"}'}}]}]},
        {"messages": [], "tools": [{"function": {"name": "f", "description": FORBIDDEN}}]},
        {"prompt": FORBIDDEN},
        {"prompt": ["one", FORBIDDEN]},
        {"prompt": "def f():", "suffix": FORBIDDEN},
        {"input": FORBIDDEN},
        {"input": ["one", FORBIDDEN]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": FORBIDDEN}]}]},
        {"input": "hi", "instructions": FORBIDDEN},
        {"query": FORBIDDEN, "documents": ["one"]},
        {"query": "one", "documents": ["two", {"text": FORBIDDEN}]},
    ],
    ids=[
        "chat",
        "parts of a message",
        "system",
        "result of a tool",
        "arguments of a tool",
        "description of a tool",
        "completions",
        "several prompts",
        "suffix",
        "embeddings",
        "several inputs",
        "responses",
        "instructions",
        "query",
        "documents",
    ],
)
def test_a_request_is_read_wherever_a_protocol_has_text(body: Mapping[str, Any]) -> None:
    refusal = guardrail(blocked_words=[FORBIDDEN]).refusal_of_request(body)
    assert refusal == Refusal(
        "guardrail_blocked", "The request was blocked: it contains one of blocked_words.", None, 400
    )


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"role": "assistant", "content": FORBIDDEN}}]},
        {"choices": [{"message": {"content": None, "reasoning_content": FORBIDDEN}}]},
        {"choices": [{"message": {"tool_calls": [{"function": {"arguments": f'"{FORBIDDEN}"'}}]}}]},
        {"choices": [{"text": FORBIDDEN}]},
        {"output": [{"content": [{"type": "output_text", "text": FORBIDDEN}]}]},
        {"text": FORBIDDEN},
    ],
    ids=["chat", "reasoning", "tool call", "completions", "responses", "transcription"],
)
async def test_a_reply_is_read_wherever_a_protocol_has_text(body: Mapping[str, Any]) -> None:
    refusal = await guardrail(blocked_words=[FORBIDDEN]).refusal_of_reply(body)
    assert refusal is not None
    assert refusal.message == "The reply was blocked: it contains one of blocked_words."


def test_pictures_sound_and_files_are_no_text() -> None:
    encoded = base64.b64encode(b"5500000000000004" * 100).decode()
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{FORBIDDEN}"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{FORBIDDEN}"},
        {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}},
        {"type": "file", "file": {"file_data": encoded, "filename": "a.pdf"}},
    ]
    body = {"messages": [{"role": "user", "content": parts}], "model": FORBIDDEN}
    assert set(texts_of(body, fields=REQUEST_FIELDS)) == {"a.pdf"}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"tool_calls": [{"function": {"arguments": '{"data": "xyzzy"}'}}]}]},
        {"messages": [{"tool_calls": [{"function": {"arguments": '{"xyzzy": 1}'}}]}]},
        {"messages": [{"tool_calls": [{"function": {"arguments": "xyzzy {"}}]}]},
        {"tools": [{"function": {"parameters": {"properties": {"id": {"title": FORBIDDEN}}}}}]},
        {"documents": [{"type": FORBIDDEN}], "query": "hi"},
    ],
    ids=["argument", "name of an argument", "no JSON", "schema", "document"],
)
def test_where_callers_choose_the_names_of_fields_all_is_text(body: Mapping[str, Any]) -> None:
    assert guardrail(blocked_words=[FORBIDDEN]).refusal_of_request(body) is not None


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": FORBIDDEN, "content": "hi"}]},
        {"messages": [{"role": [FORBIDDEN], "content": "hi"}]},
        {"messages": [{"role": "tool", "tool_call_id": FORBIDDEN, "content": "hi"}]},
        {"messages": [], "chat_template": FORBIDDEN},
        {"messages": [], "chat_template_kwargs": {"any": {"id": FORBIDDEN}}},
        {"messages": [], "guided_choice": [FORBIDDEN]},
        {"messages": [], "structured_outputs": {"choice": [FORBIDDEN]}},
        {"messages": [], "json_schema": {"title": FORBIDDEN}},
    ],
    ids=["role", "roles", "call", "template", "its values", "choice", "outputs", "schema"],
)
def test_what_engines_put_before_a_model_is_text(body: Mapping[str, Any]) -> None:
    assert guardrail(blocked_words=[FORBIDDEN]).refusal_of_request(body) is not None


def test_a_role_that_everybody_has_is_none() -> None:
    body = {"messages": [{"role": "assistant", "content": "hi"}]}
    assert guardrail(blocked_words=["assistant"]).refusal_of_request(body) is None


@pytest.mark.parametrize("name", ["prompt_embeds", "prompt_token_ids"])
def test_a_prompt_of_numbers_is_refused_under_any_name(name: str) -> None:
    refusal = guardrail(blocked_words=[FORBIDDEN]).refusal_of_request({"prompt": "", name: "AAA="})
    assert refusal is not None


def test_a_number_in_the_arguments_of_a_tool_is_text() -> None:
    calls = [{"function": {"name": "pay", "arguments": '{"card": 4111111111111111}'}}]
    body = {"messages": [{"role": "assistant", "tool_calls": calls}]}
    assert guardrail(block_on_sensitive_data=True).refusal_of_request(body) is not None


def test_text_that_only_begins_like_an_encoded_picture_is_read() -> None:
    assert guardrail(blocked_words=[FORBIDDEN]).refusal_of_request(said(f"data:{FORBIDDEN}"))


@pytest.mark.parametrize("body", [{"prompt": [1, 2]}, {"input": [[1, 2], [3]]}, {"prompt": [[9]]}])
def test_text_in_numbers_of_tokens_does_not_pass_unread(body: Mapping[str, Any]) -> None:
    refusal = guardrail(blocked_words=[FORBIDDEN]).refusal_of_request(body)
    assert refusal is not None
    assert "numbers of tokens" in refusal.message


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": "hi"},
        {"messages": [None, 1, [], {"content": {"text": 5}}]},
        {"prompt": {}, "input": 7},
        {"messages": [{"tool_calls": [{"function": {"arguments": '{"a": '}}]}]},
    ],
)
def test_any_shape_of_a_body_is_met(body: Mapping[str, Any]) -> None:
    assert guardrail(blocked_words=[FORBIDDEN]).refusal_of_request(body) is None


def test_a_body_may_be_as_deep_as_it_likes() -> None:
    deep: Any = FORBIDDEN
    for _ in range(100_000):
        deep = [deep]
    assert guardrail(blocked_words=[FORBIDDEN]).refusal_of_request({"messages": deep})


async def test_what_is_not_to_be_checked_is_let_through() -> None:
    only_replies = guardrail(blocked_words=[FORBIDDEN], check_request=False)
    only_requests = guardrail(blocked_words=[FORBIDDEN], check_response=False)
    assert only_replies.refusal_of_request(said(FORBIDDEN)) is None
    assert await only_replies.refused_request(said(FORBIDDEN)) is None
    assert await only_requests.refusal_of_reply({"choices": [{"text": FORBIDDEN}]}) is None


@pytest.mark.parametrize("length", [10, 100_000], ids=["short", "long enough for a thread"])
async def test_it_is_the_same_whoever_waits_for_it(length: int) -> None:
    checking = guardrail(blocked_words=[FORBIDDEN])
    text = "word " * length
    assert await checking.refused_request(said(text)) is None
    assert await checking.refused_request(said(text + FORBIDDEN)) is not None
    assert await checking.refusal_of_reply({"output_text": text}) is None
    assert await checking.refusal_of_reply({"output_text": text + FORBIDDEN}) is not None


@pytest.mark.parametrize(
    ("word", "text", "occurs"),
    [
        ("ass", "What an ASS!", True),
        ("ass", "a class of its own", False),
        ("ass", "assembly", False),
        ("straße", "STRASSE 5", True),
        ("Дом", "в доме", False),
        ("Дом", "мой ДОМ.", True),
        ("foo bar", "foo\n   BAR", True),
        ("foo bar", "foobar", False),
        ("c++", "I like C++.", True),
        ("敏感词", "这里有敏感词吗", True),
        ("vpn", "买vpn吗", True),
        ("vpn", "vpns", False),
        ("ass", "\uff41\uff53\uff53", True),
        ("ass", "a\u200bs\u00ads", True),
        ("a.c", "abc", False),
    ],
)
def test_a_blocked_word_is_found_whole_whatever_its_case(
    word: str, text: str, occurs: bool
) -> None:
    assert words_in([word])(text) is occurs
    assert words_in(["unheard-of", word])(text) is occurs


def test_no_blocked_words_are_in_no_text() -> None:
    assert not words_in([])("anything")
    assert not words_in(["\u200b"])("anything at all")


def test_a_blocked_pattern_matches_the_text_as_it_was_written() -> None:
    checking = guardrail(blocked_patterns=[r"\bPROJECT-\d{4}\b"])
    assert checking.refusal_of_request(said("see PROJECT-1234")) is not None
    assert checking.refusal_of_request(said("see project-1234")) is None


def test_a_pattern_that_is_none_is_said_when_the_guardrail_is_made() -> None:
    with pytest.raises(ValueError, match=r"not a regular expression: '\('"):
        guardrail(blocked_patterns=["("])


def test_a_pattern_that_would_take_for_ever_is_given_up() -> None:
    with pytest.raises(SearchTookTooLong):
        patterns_in(["harmless", r"(a|aa)+$"], seconds=0.05)("a" * 80 + "!")


async def test_others_are_served_while_a_pattern_takes_its_time() -> None:
    checking = guardrail(blocked_patterns=[r"(a|aa)+$"])
    asked = asyncio.create_task(checking.refused_request(said("a" * 80 + "!")))
    for _ in range(4):
        await asyncio.sleep(0)  # to whoever has something to do
        assert not asked.done()
    refusal = await asked
    assert refusal is not None
    assert "took too long" in refusal.message


def test_all_texts_of_a_request_together_are_not_longer_than_allowed() -> None:
    checking = guardrail(max_text_length=1_000)
    parts = [{"type": "text", "text": "x" * 500}] * 2
    assert checking.refusal_of_request({"messages": [{"content": parts}]}) is None
    refusal = checking.refusal_of_request({"messages": [{"content": [*parts, {"text": "x"}]}]})
    assert refusal is not None
    assert "longer than max_text_length: 1,000 characters" in refusal.message


SENSITIVE = {
    "an e-mail address": [
        "mail alice.b+c@corp.co.uk today",
        "邮箱alice@corp.cn是",
        "<bob@firma.de>",
    ],
    "a payment card": [
        "4111111111111111",
        "card 4111 1111 1111 1111 12/27",
        "5500-0000-0000-0004",
        "3782 822463 10005",
        "6011111111111117.",
        "6205500000000000004",
    ],
    "a bank account": [
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432,",
        "AT61 1904 3002 3457 3201 THEN",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ],
    "an identity number": ["身份证11010519491231002X号", "310101199003071230"],
    "a private key": [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    ],
    "an access key": [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "token=sk-proj-" + "Ab1_" * 10,
        "xoxb-" + "1234567890-" * 3 + "abc",
        "hf_" + "aB" * 17,
        "LTAI" + "5tAbCdEfGhIjKlMnOpQr",
        "AIza" + "Sy_1-" * 7,
        "glpat-" + "x1y2z3-" * 3,
        "Bearer "
        + "eyJhbGciOiJIUzI1NiJ9."
        + "eyJzdWIiOiIxMjM0NTY3ODkwIn0."
        + "dozjgNryP4J3jVmN" * 2,
    ],
}
HARMLESS = [
    "git@github.com:owner/repository.git",
    "write to user@example.com or root@localhost",
    "@someone said 3@4",
    "4111111111111112",  # one digit off
    "0000000000000000",
    "call 1795262400123456789 ns later",
    "3.141592653589793",
    "4006381333931",  # the number of an article
    "id 41111111111111111111111",
    "DE88 3704 0044 0532 0130 00",
    "DE89 3704",
    "XX89 3704 0044 0532 0130 00",
    "110105194912310021",
    "-----BEGIN PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----",
    "sk-learn-has-a-very-long-name-with-many-dashes-in-it",
    "AKIA is a prefix",
    "the eyJ. of a token",
    "3f2b8c1e-4d5a-4e6f-9a7b-1c2d3e4f5a6b",
    "+49 30 1234567",
]


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind, texts in SENSITIVE.items() for text in texts],
)
def test_sensitive_data_is_found_and_called_by_its_kind(kind: str, text: str) -> None:
    assert sensitive_kind(text) == kind


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_sensitive_data_is_let_through(text: str) -> None:
    assert sensitive_kind(text) is None


def test_a_refusal_never_holds_what_was_found() -> None:
    for texts in SENSITIVE.values():
        for text in texts:
            refusal = guardrail(block_on_sensitive_data=True).refusal_of_request(said(text))
            assert refusal is not None
            assert "block_on_sensitive_data" in refusal.message
            assert not any(word in refusal.message for word in text.split() if len(word) > 8)


def test_replies_hold_no_other_fields_than_their_text() -> None:
    reply = {
        "id": "chatcmpl-1",
        "model": FORBIDDEN,
        "choices": [{"finish_reason": "stop", "logprobs": {"content": [{"token": FORBIDDEN}]}}],
        "data": [{"embedding": [0.1, 0.2]}],
    }
    assert list(texts_of(reply, fields=REPLY_FIELDS)) == []
