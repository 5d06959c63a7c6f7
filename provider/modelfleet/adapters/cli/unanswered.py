"""Why there was no answer, in words for somebody who wants one. Asks nobody and prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelfleet.cluster.others_words import short
from modelfleet.errors import (
    ClusterError,
    ForbiddenError,
    ModelFleetError,
    NotFoundError,
    UnavailableError,
)
from modelfleet.reach import Endpoint
from modelfleet.targets import Target

if TYPE_CHECKING:
    import openai

NO_KEY: Final = "none"
"""What is sent where no key is known: the client wants one, and engines without one ignore it."""

_KEY_HINT: Final = (
    "Give its key with --api-key or in MODELFLEET_API_KEY: for a hosted service it is in "
    "deployment.secret_env (VLLM_API_KEY, LLAMA_API_KEY), for an external one in "
    "provider_settings.api_key."
)
_PROXY_KEY_HINT: Final = (
    "Give one in MODELFLEET_API_KEY or with --api-key: what is declared in api_keys, or the output "
    "generated_keys of its stack has."
)
_MODEL_HINT: Final = "Say another model with --model; what does not chat has no such endpoint."
_AGAIN: Final = "again in "
_UPSTREAM_STATUSES: Final = (502, 503, 504)


def explained(error: Exception, target: Target, endpoint: Endpoint) -> ModelFleetError:
    """Return what a failure of OpenAI's client means, whether engine or gateway made it."""
    import openai

    subject = target.subject
    who = "gateway" if target.is_proxy else "engine"
    where = f"pod {endpoint.pod}" if endpoint.pod else endpoint.base_url
    if isinstance(error, openai.APIStatusError):
        refused = _refused_by_gateway if target.is_proxy else _refused_by_engine
        return refused(error, target)
    if isinstance(error, openai.APITimeoutError):
        return UnavailableError(subject, f"its {who} did not answer in time")
    if isinstance(error, openai.APIConnectionError):
        cause = short(str(error.__cause__ or error))
        return endpoint.failure or UnavailableError(
            subject,
            f"the connection to {where} broke: {cause}",
            hint="modelfleet status says what became of it; ask again." if endpoint.pod else "",
        )
    if isinstance(error, openai.APIError):
        return ClusterError(subject, f"its {who} broke off: {short(error.message)}")
    return ClusterError(subject, f"what answers at {where} is no OpenAI API: {short(str(error))}")


def _refused_by_engine(error: openai.APIStatusError, target: Target) -> ClusterError:
    status, subject = error.status_code, target.subject
    said = short(error.message)
    if status in (401, 403):
        return ForbiddenError(
            subject, f"its engine asks for a key: {said}", status=status, hint=_KEY_HINT
        )
    if status == 404:
        return NotFoundError(subject, f"its engine says: {said}", status=status, hint=_MODEL_HINT)
    return ClusterError(subject, f"its engine refused: {said}", status=status)


def _refused_by_gateway(error: openai.APIStatusError, target: Target) -> ClusterError:
    """Return the gateway's own words, which are written for callers, and what to do about them."""
    status, subject = error.status_code, target.subject
    body = error.body if isinstance(error.body, dict) else {}
    said = short(str(body.get("message") or error.message)).rstrip(".")
    if status == 401:
        if error.request.headers.get("authorization") == f"Bearer {NO_KEY}":
            said = "it wants an API key, and none was given"
        return ForbiddenError(subject, said, status=status, hint=_PROXY_KEY_HINT)
    if status == 403:
        hint = "Say another model with --model, or have api_keys.<name>.models allow it."
        return ForbiddenError(subject, said, status=status, hint=hint)
    if status == 404:
        hint = f"It has {', '.join(target.models)}: say one with --model."
        return NotFoundError(subject, said, status=status, hint=hint)
    if status == 429:
        hint = "" if _AGAIN in said else "Ask again later."
        return UnavailableError(subject, said, status=status, hint=hint)
    if status in _UPSTREAM_STATUSES:
        hint = "modelfleet status of the services behind it says why."
        return UnavailableError(subject, said, status=status, hint=hint)
    return ClusterError(subject, f"its gateway refused: {said}.", status=status)
