"""What a ModelProxy does with requests: retries, fallbacks, limits, cache, guardrails.

The same policies stand on a proxy, for all of its routes, and on one route, which wins.
Shapes only; what becomes of them is in ``gateway/``.
"""

from __future__ import annotations

from typing import Annotated

from modelfleet.spec.fields import ChangeClass, Int, SpecModel, declared, text
from modelfleet.spec.referring import Service

ROLLING = ChangeClass.ROLLING

ModelName = Annotated[
    str, text(r"^\S+$", says="must not contain spaces", min_length=1, max_length=256)
]
Word = Annotated[str, text(r"\S", says="must not be blank", max_length=256)]
RegularExpression = Annotated[str, text(r"^[\s\S]+$", says="must not be empty", max_length=1024)]


class TokenRateLimiter(SpecModel):
    """How many tokens, in and out together, may pass in each window of the clock."""

    tps: Int | None = declared(None, change=ROLLING, doc="Tokens per second.", ge=1)
    tpm: Int | None = declared(None, change=ROLLING, doc="Tokens per minute.", ge=1)
    tph: Int | None = declared(None, change=ROLLING, doc="Tokens per hour.", ge=1)
    tpd: Int | None = declared(None, change=ROLLING, doc="Tokens per day.", ge=1)


class Fallback(SpecModel):
    """A model that answers where the one that was asked for fails: AgentRun's way to name it."""

    model_name: ModelName | None = declared(
        None,
        change=ROLLING,
        doc="A public name of this proxy; beside model_service_name, the model of that service.",
    )
    model_service_name: Service | None = declared(
        None,
        change=ROLLING,
        doc="A ModelService: of the same program, or the name of one. Its name, without a "
        "namespace, becomes a public name, too.",
    )


class GuardrailConfig(SpecModel):
    """What may not pass, in requests and in replies. Checked inside the gateway."""

    check_request: bool = declared(
        False, change=ROLLING, doc="Refuse requests before any upstream is called."
    )
    check_response: bool = declared(
        False,
        change=ROLLING,
        doc="Refuse replies. They are read in full first: a stream comes all at its end.",
    )
    blocked_words: tuple[Word, ...] = declared(
        (), change=ROLLING, doc="Words that may not occur, whatever their case."
    )
    blocked_patterns: tuple[RegularExpression, ...] = declared(
        (), change=ROLLING, doc="Regular expressions that may not match."
    )
    block_on_sensitive_data: bool = declared(
        False,
        change=ROLLING,
        doc="Block payment cards, bank accounts, identity numbers, private keys, access keys and "
        "e-mail addresses.",
    )
    max_text_length: Int | None = declared(
        None,
        change=ROLLING,
        doc="Most characters of a request, or of a reply, in all of its texts.",
        ge=1,
    )


class Policies(SpecModel):
    """What is done with requests. On a route, each field wins over the proxy's."""

    cache: bool | None = declared(
        None, change=ROLLING, doc="Answer equal requests from memory; unset = false."
    )
    cache_ttl_seconds: Int | None = declared(
        None, change=ROLLING, doc="How long a cached answer is used; unset = 300.", ge=1
    )
    concurrency_limit: Int | None = declared(
        None, change=ROLLING, doc="Requests at the same time, over all replicas.", ge=1
    )
    num_retries: Int | None = declared(
        None,
        change=ROLLING,
        doc="How often a failed request is tried again before a fallback; unset = 2.",
        ge=0,
        le=10,
    )
    request_timeout: Int | None = declared(
        None,
        change=ROLLING,
        doc="Seconds for an answer, for its first part where it is streamed; unset = 600.",
        ge=1,
        le=86_400,
    )
    fallbacks: tuple[Fallback, ...] | None = declared(
        None,
        change=ROLLING,
        doc="Who answers where a model fails, in this order. The proxy's hold for every route "
        "without its own; on a route, [] is none.",
    )
    token_rate_limiter: TokenRateLimiter | None = declared(
        None, change=ROLLING, doc="Tokens that may pass: of the whole proxy, or of one route."
    )
    ai_guardrail_config: GuardrailConfig | None = declared(
        None, change=ROLLING, doc="What may not pass."
    )
