"""The texts of a request or a reply that a guardrail reads, whatever the protocol. Pure.

Read are all strings below the fields that hold what is said: of messages every part, of tool calls
the arguments as they are decoded. Left out are what only names or types a part, and pictures,
sound and files, whose encoded bytes are no text. Bodies come from callers: any shape is met.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

REQUEST_FIELDS = (
    # chat, completions
    "messages",
    "prompt",
    "suffix",
    "tools",
    "functions",
    "response_format",
    "prediction",
    # what engines add that ends up before a model, or says what it may answer
    "chat_template",
    "chat_template_kwargs",
    "grammar",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "instruction",
    "json_schema",
    "negative_prompt",
    "structured_outputs",
    # responses, embeddings, moderations, speech
    "input",
    "instructions",
    "text",
    # rerank
    "query",
    "documents",
)
REPLY_FIELDS = ("choices", "output", "output_text", "text", "results", "segments")

# Of these, callers choose the names of fields, too: all of them, and all below, is text.
_FREE_FIELDS = frozenset(
    {
        "arguments",
        "chat_template_kwargs",
        "documents",
        "functions",
        "guided_json",
        "json_schema",
        "response_format",
        "structured_outputs",
        "tools",
    }
)

# Engines write down whatever role they are given, and it is up to callers to give these.
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")

_NO_TEXT = frozenset(
    {
        # bytes
        "b64_json",
        "data",
        "encrypted_content",
        "file_data",
        # what is chosen from a list, or names something
        "detail",
        "finish_reason",
        "format",
        "id",
        "role",
        "status",
        "type",
        # the same text once more, by tokens
        "logprobs",
        "tokens",
    }
)
_NUMBERS = ("prompt_embeds", "prompt_token_ids")
_ADDRESSES = frozenset({"image_url", "file_url", "url"})


def texts_of(body: Mapping[str, Any], *, fields: tuple[str, ...]) -> Iterator[str]:
    """Every text below ``fields`` of ``body``, in no particular order."""
    # No recursion: how deep a body goes is up to the caller.
    rest: list[tuple[str, Any]] = [(name, body[name]) for name in fields if name in body]
    while rest:
        name, value = rest.pop()
        match value:
            case str() if name == "arguments":
                yield from _free_texts(_decoded(value))
            case str():
                if name not in _ADDRESSES or value[:5].lower() != "data:":
                    yield value
            case list() | dict() if name in _FREE_FIELDS:
                yield from _free_texts(value)
            case list():
                rest.extend((name, each) for each in value)
            case dict():
                rest.extend((name, each) for name, each in value.items() if _is_read(name, each))


def _is_read(name: str, value: Any) -> bool:
    return name not in _NO_TEXT or (name == "role" and value not in _ROLES)


def _free_texts(value: Any) -> Iterator[str]:
    """Every string and number in ``value``, and the name of every field."""
    rest = [value]
    while rest:
        match rest.pop():
            case str() as text:
                yield text
            case list() as parts:
                rest.extend(parts)
            case dict() as parts:
                rest.extend(parts)
                rest.extend(parts.values())
            case bool() | None:
                pass
            case number:
                yield str(number)


def has_token_ids(body: Mapping[str, Any]) -> bool:
    """Whether a prompt or an input is given as numbers, of which nobody reads a word."""
    if any(body.get(name) for name in _NUMBERS):
        return True
    return any(_holds_a_number(body.get(name)) for name in ("prompt", "input"))


def _holds_a_number(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    inner = [each for part in value for each in (part if isinstance(part, list) else [part])]
    return any(isinstance(each, int) for each in inner)


def _decoded(arguments: str) -> Any:
    """The arguments of a tool call, in which JSON may write any letter as an escape."""
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
