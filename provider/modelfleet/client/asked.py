"""What is asked of a model: a caller's arguments, in the words of OpenAI's client. Pure.

What that client knows goes to it untouched, and what it does not know into the body of the request,
as engines have parameters of their own (``top_k``, ``min_p``, …). What only LiteLLM would
understand, whose functions AgentRun's calls are, is refused by name: nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SPOKEN: Final = ("openai", "custom")
"""Providers that speak OpenAI's protocol, as every endpoint of a fleet does."""

_OF_THE_RESOURCE: Final = "is the resource's own; another address is Config(endpoint=…)"
_OF_A_PROXY: Final = "is what a ModelProxy declares, in its routes and policies"
_OF_THE_GATEWAY: Final = "is nothing that a gateway or an engine knows"

_OF_LITELLM: Final[Mapping[str, str]] = {
    **dict.fromkeys(("base_url", "api_base", "api_version", "api_type"), _OF_THE_RESOURCE),
    **dict.fromkeys(("deployment_id", "organization", "region_name"), _OF_THE_RESOURCE),
    **dict.fromkeys(
        (
            "model_list",
            "fallbacks",
            "context_window_fallback_dict",
            "num_retries",
            "retry_policy",
            "retry_strategy",
            "cooldown_time",
            "cache",
            "caching",
            "caching_groups",
            "ttl",
            "rpm",
            "tpm",
            "max_parallel_requests",
            "guardrails",
        ),
        _OF_A_PROXY,
    ),
    "request_timeout": "is called timeout",
    "force_timeout": "is called timeout",
    "stream_timeout": "is called timeout",
    "thinking": "is called reasoning_effort; an engine's own form of it goes into extra_body",
    "tags": "is called metadata",
    **dict.fromkeys(
        (
            "mock_response",
            "mock_timeout",
            "mock_tool_calls",
            "drop_params",
            "additional_drop_params",
            "allowed_openai_params",
            "custom_prompt_dict",
            "roles",
            "bos_token",
            "eos_token",
            "initial_prompt_value",
            "final_prompt_value",
            "hf_model_name",
            "supports_system_message",
            "ensure_alternating_roles",
            "user_continue_message",
            "assistant_continue_message",
            "merge_reasoning_content_in_choices",
            "enable_json_schema_validation",
            "shared_session",
            "client",
            "ssl_verify",
            "logger_fn",
            "verbose",
            "callbacks",
            "success_callback",
            "failure_callback",
            "complete_response",
            "text_completion",
            "acompletion",
            "aembedding",
            "id",
            "base_model",
            "model_info",
            "proxy_server_request",
            "preset_cache_key",
            "max_budget",
            "budget_duration",
            "prompt_id",
            "prompt_variables",
            "prompt_label",
            "no-log",
        ),
        _OF_THE_GATEWAY,
    ),
}
_PREFIXES_OF_LITELLM: Final = (
    *("litellm_", "aws_", "azure_", "vertex_", "watsonx_", "langfuse_", "langsmith_"),
    *("input_cost_per_", "output_cost_per_"),
)


@dataclass(frozen=True)
class Request:
    """One request. ``options`` are of the client that sends it: ``api_key``, ``max_retries``."""

    parameters: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


def request_of(
    given: Mapping[str, Any], *, call: str, known: Collection[str], provider: str | None
) -> Request:
    """Return what is to be sent for what a caller has ``given``.

    ``call`` is what the caller called, for messages; ``known`` are the parameters of the method of
    OpenAI's client that carries it out.

    Raises:
        ValueError: ``provider`` speaks another protocol.
        TypeError: an argument is LiteLLM's alone.
    """
    if provider and provider not in SPOKEN:
        raise ValueError(
            f"custom_llm_provider is {provider!r}, but every endpoint here speaks OpenAI's "
            "protocol, whoever makes its model: leave it out."
        )
    for name in given:
        if why := _why_refused(name, known):
            raise TypeError(f"{call}() takes no argument {name!r}, which {why}.")
    own = {name: value for name, value in given.items() if name not in (*known, *_NOT_SENT)}
    parameters = {name: value for name, value in given.items() if name in known}
    if headers := {**(given.get("headers") or {}), **(given.get("extra_headers") or {})}:
        parameters["extra_headers"] = headers
    if own:
        parameters["extra_body"] = {**own, **(given.get("extra_body") or {})}
    options = ("api_key", "max_retries")
    return Request(parameters, {name: given[name] for name in options if name in given})


_NOT_SENT: Final = ("headers", "api_key", "max_retries")


def _why_refused(name: str, known: Collection[str]) -> str | None:
    if name in known or name in _NOT_SENT:
        return None
    if name.startswith(_PREFIXES_OF_LITELLM):
        return f"only LiteLLM understands and {_OF_THE_GATEWAY}"
    return _OF_LITELLM.get(name)
