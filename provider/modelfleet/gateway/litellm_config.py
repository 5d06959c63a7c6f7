"""litellm.yaml: where LiteLLM sends requests, and how hard it tries. Pure.

Everything that identifies a caller, counts or refuses is the application's (``gateway.json``).
No secret is in it: credentials are named by the variables that the application sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelfleet.gateway.canonical import canonical_text
from modelfleet.gateway.configuration import retries_of, timeout_seconds_of
from modelfleet.gateway.upstreams import (
    credential_variable,
    credentials_of,
    redis_address_of,
    served_by,
    upstream_id,
)
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import PublicRoute, Upstream, routes_of
from modelfleet.spec.service import ModelType

LITELLM_FILE: Final = "litellm.yaml"
REDIS_PASSWORD_VARIABLE: Final = "MODELFLEET_REDIS_PASSWORD"  # noqa: S105 - a name
"""What the application sets to the password of Redis, as it does with credentials."""

_REDIS_TIMEOUTS: Final = {"socket_timeout": 1, "socket_connect_timeout": 1}
"""In seconds. LiteLLM asks often as it starts: with its own 5 s, a Redis that accepts connections
and answers nothing kept it for two minutes. What takes longer is not worth having from a cache."""

_FEWEST_FALLBACKS: Final = 5
"""How many LiteLLM tries where it is told nothing."""

_OPENAI: Final = "openai"
_PROVIDERS: Final[Mapping[ModelType, str]] = {ModelType.RERANK: "hosted_vllm"}
"""By whose protocol an upstream is spoken to, where it is not OpenAI's, which has no reranking."""

_MODES: Final[Mapping[ModelType, str]] = {
    ModelType.TEXT_EMBEDDING: "embedding",
    ModelType.RERANK: "rerank",
    ModelType.SPEECH2TEXT: "audio_transcription",
    ModelType.TTS: "audio_speech",
    ModelType.MODERATION: "moderation",
}

_PASSED_ON: Final = ("user", "verbosity", "dimensions")
"""What LiteLLM would refuse or swallow where it does not know the model to take it."""

_NO_KEY: Final = "none"
"""OpenAI's client does not start without a key; an upstream without one ignores it."""


def litellm_config_of(spec: ModelProxySpec) -> str:
    """Return the text of litellm.yaml."""
    routes = routes_of(spec)
    credentials = credentials_of(spec)
    config = {
        "model_list": [
            _model(route, upstream, credentials=credentials)
            for route in routes.values()
            for upstream in served_by(route)
        ],
        "router_settings": _router(routes),
        "litellm_settings": _settings(spec, routes),
        "general_settings": _GENERAL,
    }
    return canonical_text(config)


def _model(
    route: PublicRoute, upstream: Upstream, *, credentials: Mapping[str, int]
) -> dict[str, Any]:
    kind = upstream.model_type or route.model_type
    timeout_seconds = timeout_seconds_of(route.policies)
    number = credentials.get(upstream.credential_name or "")
    key = _NO_KEY if number is None else f"os.environ/{credential_variable(number)}"
    mode = _MODES.get(kind)
    return {
        "model_name": route.access_name,
        "litellm_params": {
            "model": f"{_PROVIDERS.get(kind, _OPENAI)}/{upstream.model}",
            "api_base": upstream.base_url,
            "api_key": key,
            "weight": upstream.weight,
            # Of one attempt. Where it is streamed: until the first part, and between parts.
            "timeout": timeout_seconds,
            "stream_timeout": timeout_seconds,
            # LiteLLM takes the value of the route that fails, and of a fallback its own.
            "num_retries": retries_of(route.policies),
            # Of the client inside: what is tried again, and how often, is the router's alone.
            "max_retries": 0,
            "allowed_openai_params": list(_PASSED_ON),
        },
        "model_info": {
            "id": upstream_id(route.access_name, upstream),
            **({} if mode is None else {"mode": mode}),
        },
    }


def _router(routes: Mapping[str, PublicRoute]) -> dict[str, Any]:
    longest = max((len(route.fallbacks) for route in routes.values()), default=0)
    return {
        "routing_strategy": "simple-shuffle",
        # Each upstream has its own; nothing else is tried again.
        "num_retries": 0,
        "fallbacks": [
            {name: list(route.fallbacks)} for name, route in routes.items() if route.fallbacks
        ],
        "max_fallbacks": max(_FEWEST_FALLBACKS, longest),
        # One caller's bad request would close an upstream to everybody. A retry leaves out what has
        # just failed, which serves the same end and remembers nothing.
        "disable_cooldowns": True,
        "enable_pre_call_checks": False,
    }


def _settings(spec: ModelProxySpec, routes: Mapping[str, PublicRoute]) -> dict[str, Any]:
    return {
        "drop_params": False,
        "turn_off_message_logging": True,
        # It would fetch tokenizers of models it has heard of, over a network that is closed to it.
        "disable_hf_tokenizer_download": True,
        **(_cache(spec) if any(route.policies.cache for route in routes.values()) else {}),
    }


def _cache(spec: ModelProxySpec) -> dict[str, Any]:
    """Return where answers are kept; which are, and how long, the application says each time."""
    return {"cache": True, "cache_params": {**_cache_backend(spec), "mode": "default_off"}}


def _cache_backend(spec: ModelProxySpec) -> dict[str, Any]:
    redis, address = spec.redis, redis_address_of(spec)
    if redis is None or address is None:
        return {"type": "local"}
    host, port = address
    has_password = redis.managed or redis.credential_name is not None
    password = {"password": f"os.environ/{REDIS_PASSWORD_VARIABLE}"} if has_password else {}
    tls = {"ssl": True} if redis.tls and not redis.managed else {}
    return {"type": "redis", "host": host, "port": port, **password, **tls, **_REDIS_TIMEOUTS}


_GENERAL: Final[Mapping[str, Any]] = {
    # Random for each process, and known to nobody: the application tells callers apart.
    "master_key": "os.environ/LITELLM_MASTER_KEY",
    # A caller that goes away leaves its upstream free for others.
    "cancel_on_disconnect": True,
}
