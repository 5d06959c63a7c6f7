"""How many tokens a request used: as the upstream reports them, or estimated. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .guarded_text import REPLY_FIELDS, REQUEST_FIELDS, texts_of

_CHARACTERS_PER_TOKEN = 4
_MOST_TOKENS = 10**9
"""What says more than that, or less than nothing, is no count: no counter could add it up."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one request. ``is_estimated``: nobody reported them, so they were guessed."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    is_estimated: bool = False


def reported_usage(reply: Mapping[str, Any]) -> Usage | None:
    """The usage in a reply, an event or a chunk, by whichever names its protocol has for it."""
    usage = reply.get("usage")
    if isinstance(usage, dict):
        prompt = _count(usage, "prompt_tokens", "input_tokens")
        completion = _count(usage, "completion_tokens", "output_tokens")
        total = max(_count(usage, "total_tokens") or 0, (prompt or 0) + (completion or 0))
        if not total:
            # LiteLLM writes zeros where an upstream writes nothing.
            return None
        return Usage(prompt if prompt is not None else total, completion or 0, total)
    meta = reply.get("meta")
    if isinstance(meta, dict) and isinstance(meta.get("tokens"), dict):
        prompt = _count(meta["tokens"], "input_tokens") or 0
        completion = _count(meta["tokens"], "output_tokens") or 0
        return Usage(prompt, completion, prompt + completion)
    return None


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        # Not booleans, which are integers as well.
        if type(value) is int and 0 <= value <= _MOST_TOKENS:
            return value
    return None


def estimated_usage(fields: Mapping[str, Any], *, completion_tokens: int) -> Usage:
    """The usage of a request whose reply said nothing, or not all of it."""
    prompt = _tokens(fields, REQUEST_FIELDS)
    return Usage(prompt, completion_tokens, prompt + completion_tokens, is_estimated=True)


def tokens_said(reply: Mapping[str, Any]) -> int:
    """An estimate of the tokens of a whole reply."""
    return _tokens(reply, REPLY_FIELDS)


def _tokens(body: Mapping[str, Any], fields: tuple[str, ...]) -> int:
    """Four letters a token, rounded up."""
    return -(-sum(map(len, texts_of(body, fields=fields))) // _CHARACTERS_PER_TOKEN)
