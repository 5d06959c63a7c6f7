"""Errors of LiteLLM and of upstreams, as callers may see them: our codes, no internals. Pure.

LiteLLM wraps what an upstream said into the names of its own classes, tells which groups of models
it tried, and repeats addresses. What a caller can act upon (a request that is wrong) is passed on
without all that. Where an upstream failed, one sentence names the model that was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from .errors import GatewayError
from .settings import Route

# "litellm.BadRequestError: ", "InternalServerError: ", "OpenAIException - ", "Error code: 400 - "
_WRAPPING = re.compile(
    r"^\s*Invalid request format:\s*"
    r"|^\s*(?:litellm\.)?(?:[A-Za-z_]+(?:Error|Exception|Timeout)|Timeout)\s*(?::| -)\s*"
    r"|^\s*Error code: \d+\s*-\s*"
)
_ADDENDA = re.compile(
    r"\n*\s*(?:LiteLLM: model group|Received Model Group|Available Model Group|Deployment Info:"
    r"|LiteLLM Retried|Error doing the fallback|No fallback model group|Fallback to "
    r"|, for model=\S+\. To drop these).*",
    re.DOTALL,
)
_ADDRESSES = re.compile(
    r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>)\]}]+"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
    r"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)+\.svc(?:\.[a-z0-9-]+)*(?::\d+)?"
    r"|\b[a-zA-Z][a-zA-Z0-9-]*(?:\.[a-zA-Z0-9-]+)*:\d{4,5}\b",
)
# Of Python, which stumbles over a body that is not as LiteLLM expects it.
_STUMBLES = re.compile(r"\bobject (?:has no attribute|is not \w+)|^'\w+'$|\bTraceback\b")
_PASSED_ON = frozenset({400, 409, 413, 415, 422})
_MAX_MESSAGE = 2_000


def upstream_error(
    status: int, body: bytes, route: Route, *, retry_after: str | None = None
) -> GatewayError:
    """The error for a reply of LiteLLM with an error status."""
    fields = _fields(body)
    message = str(fields.get("message") or "")
    return error_for(status, message, route, param=fields.get("param"), retry_after=retry_after)


def error_for(
    status: int,
    message: str,
    route: Route,
    *,
    param: Any = None,
    retry_after: str | None = None,
) -> GatewayError:
    """The error for a failure that LiteLLM describes with ``status`` and ``message``."""
    name = route.access_name
    if status in (408, 504) or "litellm.Timeout" in message or "APITimeoutError" in message:
        seconds = f"{route.request_timeout:g} s"
        return GatewayError(504, "upstream_timeout", f"`{name}` did not answer within {seconds}.")
    if status == 429 and "No deployments available" not in message:
        text = f"The upstreams of `{name}` take no more requests at the moment."
        headers = {"retry-after": retry_after} if retry_after and _is_seconds(retry_after) else {}
        return GatewayError(429, "model_rate_limit_exceeded", text, headers=headers)
    if status in _PASSED_ON and "UnsupportedProvider" not in message:
        code = "context_length_exceeded" if "ContextWindowExceeded" in message else "bad_request"
        text = cleaned(message) or f"`{name}` cannot do what the request asks for."
        return GatewayError(status, code, text, param if isinstance(param, str) else None)
    if _is_unreachable(status, message):
        whose = f"`{name}`, and of its fallbacks," if route.fallbacks else f"`{name}`"
        return GatewayError(
            503, "service_unavailable", f"No upstream of {whose} can be reached at the moment."
        )
    said = {401: "refuses the gateway's credential", 403: "refuses the gateway's credential"}
    said[404] = "does not serve this model or this kind of request"
    why = said.get(status, "failed to answer")
    return GatewayError(502, "bad_gateway", f"An upstream of `{name}` {why}.")


def broken_off(message: str, route: Route) -> GatewayError:
    """The error in a stream that has begun and cannot be ended."""
    if "Timeout" in message or "timed out" in message:
        return error_for(504, message, route)
    name = route.access_name
    return GatewayError(502, "bad_gateway", f"An upstream of `{name}` broke off its answer.")


def cleaned(message: str) -> str:
    """What the upstream said, without LiteLLM's words around it and without addresses."""
    text = _ADDENDA.sub("", message)
    previous = None
    while text != previous:
        previous, text = text, _WRAPPING.sub("", text, count=1)
    if text.lstrip().startswith("{"):
        text = str(_fields(text.encode()).get("message") or text)
    if _STUMBLES.search(text):
        return ""
    return _ADDRESSES.sub("(an upstream)", text).strip()[:_MAX_MESSAGE]


def _fields(body: bytes) -> Mapping[str, Any]:
    """The fields of an error in a body, wherever the protocol puts them."""
    try:
        document = orjson.loads(body)
    except ValueError:
        return {}
    for key in ("error", "detail"):
        inner = document.get(key) if isinstance(document, dict) else None
        if isinstance(inner, dict):
            return inner
        if isinstance(inner, str):
            return {"message": inner}
    return document if isinstance(document, dict) else {}


def _is_unreachable(status: int, message: str) -> bool:
    return (
        status == 503
        or "Connection error" in message
        or "Cannot connect" in message
        or "No deployments available" in message
    )


def _is_seconds(value: str) -> bool:
    return value.isdigit() and len(value) < 6
