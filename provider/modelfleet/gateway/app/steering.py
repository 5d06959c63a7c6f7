"""Which fields of a body are orders to LiteLLM, and not to a model: callers may give none of them.

LiteLLM takes its own options out of the same JSON object as OpenAI's parameters: where to send a
request and with which key, how often to retry, what to log where. Its own list of them
(``all_litellm_params``) is what is removed, and what its proxy reads beyond that list. Everything
else, OpenAI's parameters and those that engines add (``top_k``, ``guided_json``,
``chat_template_kwargs``), passes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_PREFIXES = (
    "_",
    "litellm_",
    "mock_",
    "user_api_",
    "aws_",
    "azure_",
    "vertex_",
    "langfuse_",
    "s3_",
    "gcs_",
    "dd_",
)

_BEYOND_ITS_LIST = frozenset(
    {
        # where to, as whom
        "api_base",
        "api_key",
        "api_version",
        "base_url",
        "custom_llm_provider",
        "default_headers",
        "deployment",
        "deployment_id",
        "endpoint",
        "extra_body",
        "extra_headers",
        "extra_query",
        "headers",
        "model_id",
        "model_list",
        "organization",
        "specific_deployment",
        "user_config",
        # how
        "additional_drop_params",
        "allowed_openai_params",
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "disable_fallbacks",
        "drop_params",
        "enforced_params",
        "fallback_model_group",
        "fallbacks",
        "include_fallback_errors",
        "max_retries",
        "model_group_retry_policy",
        "num_retries",
        "request_timeout",
        "router_settings_override",
        "routing_groups",
        "routing_strategy",
        "routing_strategy_args",
        "stream_timeout",
        "timeout",
        "weights",
        # what else to do
        "agent_id",
        "applied_guardrails",
        "cache",
        "cache_control_injection_points",
        "caching",
        "callbacks",
        "config",
        "disable_global_guardrail",
        "disable_global_guardrails",
        "failure_callback",
        "guardrail_config",
        "guardrails",
        "include_guardrail_response",
        "keepalive_seconds",
        "logger_fn",
        "no-log",
        "opted_out_global_guardrails",
        "original_function",
        "original_generic_function",
        "passthrough",
        "policies",
        "project_id",
        "provider_config",
        "prompt_id",
        "prompt_variables",
        "proxy_server_request",
        "routing_decision",
        "secret_fields",
        "service_callback",
        "session_id",
        "spend_logs_metadata",
        "standard_logging_object",
        "start_time",
        "success_callback",
        "tags",
        "target_model_names",
        "trace_id",
    }
)

_NOT_ORDERS = frozenset({"input", "messages", "model", "prompt", "query", "user"})
"""In LiteLLM's list, and yet what a model is asked."""

_ORDERS_IN_METADATA = frozenset({"caching_groups", "guardrails", "headers", "model_info", "tags"})

_CARRIED = frozenset({"priority"})
"""A parameter of engines and an order to LiteLLM's scheduler: put where only engines look."""


class Steering:
    """Takes the orders out of bodies; ``own`` are the names that the running LiteLLM lists."""

    def __init__(self, own: Iterable[str] = ()) -> None:
        self._names = (frozenset(own) | _BEYOND_ITS_LIST) - _NOT_ORDERS

    def is_order(self, name: str) -> bool:
        """Whether a field of this name is for LiteLLM."""
        return name in self._names or name.startswith(_PREFIXES)

    def without_orders(self, body: dict[str, Any], *, keeps_metadata: bool) -> dict[str, Any]:
        """``body`` as it may be handed to LiteLLM.

        ``keeps_metadata``: of the paths where OpenAI's ``metadata`` is answered back. OpenAI allows
        texts only, under names of the caller's own; anything else LiteLLM would read.
        """
        kept = {name: value for name, value in body.items() if not self.is_order(name)}
        kept.pop("metadata", None)
        metadata = body.get("metadata")
        if keeps_metadata and isinstance(metadata, dict):
            kept["metadata"] = {
                name: value
                for name, value in metadata.items()
                if isinstance(value, str) and not _is_order_in_metadata(name)
            }
        if isinstance(tools := kept.get("tools"), list):
            kept["tools"] = [tool for tool in tools if not _is_litellms_own(tool)]
        carried = {name: kept.pop(name) for name in _CARRIED & kept.keys()}
        if carried:
            kept["extra_body"] = carried
        return kept


def _is_litellms_own(tool: Any) -> bool:
    """Whether LiteLLM would look for the tool in itself, as it does for ``litellm_proxy/mcp/…``."""
    if not isinstance(tool, dict) or tool.get("type") != "mcp":
        return False
    address = tool.get("server_url")
    return isinstance(address, str) and not address.startswith(("http://", "https://"))


def _is_order_in_metadata(name: str) -> bool:
    """LiteLLM keeps notes of its own among a caller's metadata; of texts it believes few."""
    return name in _ORDERS_IN_METADATA or name.startswith(("_", "litellm_", "user_api_"))
