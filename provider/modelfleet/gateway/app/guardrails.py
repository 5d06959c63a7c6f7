"""Guardrails of one route: which texts are let neither to a model nor back to the caller.

LiteLLM's own filter (``litellm_content_filter``) is set for a whole proxy and runs behind its
router's choice of a model. This one is of a route, asked before any upstream is, and the same for
every protocol. What it says names the kind of rule, and never what was found: an error message
ends up in logs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from .blocked_words import SearchTookTooLong, patterns_in, words_in
from .guarded_text import REPLY_FIELDS, REQUEST_FIELDS, has_token_ids, texts_of
from .refusal import Refusal
from .sensitive_data import sensitive_kind

# It takes a few milliseconds to look for words and sensitive data in so many.
_LONG_CHARACTERS = 20_000


class Guardrail:
    """Made of a route's ``guardrail`` in gateway.json; compiles its patterns once.

    Raises ValueError for a pattern that is no regular expression.
    """

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self.checks_request: bool = declared["check_request"]
        self.checks_reply: bool = declared["check_response"]
        self._max_text_length: int | None = declared["max_text_length"]
        self._is_on_sensitive_data: bool = declared["block_on_sensitive_data"]
        self._has_word = words_in(declared["blocked_words"])
        self._has_patterns = bool(declared["blocked_patterns"])
        self._matches_pattern = patterns_in(declared["blocked_patterns"])

    def refusal_of_request(self, body: Mapping[str, Any]) -> Refusal | None:
        """Why the body of a request is blocked, or None. Takes time with a long one."""
        if not self.checks_request:
            return None
        if has_token_ids(body):
            return _refusal("request", "has its text as numbers of tokens, which cannot be checked")
        return self._refusal(list(texts_of(body, fields=REQUEST_FIELDS)), what="request")

    async def refused_request(self, body: Mapping[str, Any]) -> Refusal | None:
        """``refusal_of_request``, but others are served while a long body is searched."""
        if not self.checks_request:
            return None
        if self._is_quick(list(texts_of(body, fields=REQUEST_FIELDS))):
            return self.refusal_of_request(body)
        return await asyncio.to_thread(self.refusal_of_request, body)

    async def refusal_of_reply(self, body: Mapping[str, Any]) -> Refusal | None:
        """Why a whole JSON reply is blocked, or None."""
        if not self.checks_reply:
            return None
        texts = list(texts_of(body, fields=REPLY_FIELDS))
        if self._is_quick(texts):
            return self._refusal(texts, what="reply")
        return await asyncio.to_thread(self._refusal, texts, what="reply")

    def _is_quick(self, texts: Sequence[str]) -> bool:
        """Whether searching takes less than handing it to a thread, whatever the texts say."""
        return not self._has_patterns and sum(map(len, texts)) < _LONG_CHARACTERS

    def _refusal(self, texts: Sequence[str], *, what: str) -> Refusal | None:
        text = "\n".join(texts)
        if self._max_text_length is not None and sum(map(len, texts)) > self._max_text_length:
            return _refusal(
                what, f"is longer than max_text_length: {self._max_text_length:,} characters"
            )
        if self._has_word(text):
            return _refusal(what, "contains one of blocked_words")
        if self._is_on_sensitive_data and (kind := sensitive_kind(text)):
            return _refusal(what, f"contains {kind} (block_on_sensitive_data)")
        try:
            if self._matches_pattern(text):
                return _refusal(what, "matches one of blocked_patterns")
        except SearchTookTooLong:
            # Let through, a text that is made for it would pass any guardrail.
            return _refusal(what, "took too long to compare with blocked_patterns")
        return None


def _refusal(what: str, why: str) -> Refusal:
    return Refusal("guardrail_blocked", f"The {what} was blocked: it {why}.", None, 400)
