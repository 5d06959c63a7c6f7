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

ALLOWED_FAILS: Final = 3
COOLDOWN_SECONDS: Final = 5

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
            "timeout": timeout_seconds,
            "stream_timeout": timeout_seconds,
            # Of the client inside: what is tried again, and how often, is the router's alone.
            "max_retries": 0,
        },
        "model_info": {
            "id": upstream_id(route.access_name, upstream),
            **({} if mode is None else {"mode": mode}),
        },
    }


def _router(routes: Mapping[str, PublicRoute]) -> dict[str, Any]:
    return {
        "routing_strategy": "simple-shuffle",
        "num_retries": max((retries_of(each.policies) for each in routes.values()), default=0),
        "fallbacks": [
            {name: list(route.fallbacks)} for name, route in routes.items() if route.fallbacks
        ],
        "allowed_fails": ALLOWED_FAILS,
        "cooldown_time": COOLDOWN_SECONDS,
    }


def _settings(spec: ModelProxySpec, routes: Mapping[str, PublicRoute]) -> dict[str, Any]:
    return {
        "drop_params": False,
        "telemetry": False,
        **(_cache(spec) if any(route.policies.cache for route in routes.values()) else {}),
    }


def _cache(spec: ModelProxySpec) -> dict[str, Any]:
    address = redis_address_of(spec)
    where: dict[str, Any] = {"type": "local"}
    if address is not None and spec.redis is not None:
        host, port = address
        where = {"type": "redis", "host": host, "port": port}
    return {"cache": True, "cache_params": {**where, "mode": "default_off"}}


_GENERAL: Final[Mapping[str, Any]] = {}
