"""gateway.json: what the application in the gateway's pods does beside what LiteLLM does. Pure.

Policies arrive merged: of those of the proxy and of a route, the application sees what is in force.
No secret is in it; where a file has one, its number or its place is.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from modelfleet.gateway.canonical import canonical_text
from modelfleet.gateway.upstreams import credentials_of, redis_address_of, served_by, upstream_id
from modelfleet.gateway.workers import processes_of, workers_of
from modelfleet.spec.policies import GuardrailConfig, Policies
from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.proxy_routes import PublicRoute, Upstream, policies_of, routes_of

CONFIGURATION_FILE: Final = "gateway.json"
_VERSION: Final = 1

RETRIES: Final = 2
REQUEST_TIMEOUT_SECONDS: Final = 600
CACHE_TTL_SECONDS: Final = 300
"""What holds where a policy is not declared."""


def configuration_of(spec: ModelProxySpec) -> str:
    """Return the text of gateway.json."""
    routes, policies = routes_of(spec), policies_of(spec)
    credentials = credentials_of(spec)
    return canonical_text(
        {
            "version": _VERSION,
            "proxy": f"{spec.namespace}/{spec.name}",
            "has_inbound_credential": spec.credential_name is not None,
            "routes": {name: _route(route) for name, route in routes.items()},
            "policies": _counted(policies),
            "upstreams": {
                upstream_id(name, upstream): _upstream(upstream, credentials)
                for name, route in routes.items()
                for upstream in served_by(route)
            },
            "redis": _redis(spec),
            "limit_scope": spec.limit_scope,
            "requires_key": bool(spec.api_keys) or spec.credential_name is not None,
            "processes": processes_of(spec),
            "workers": workers_of(spec),
        }
    )


def retries_of(policies: Policies) -> int:
    """Return how often a failed request is tried again."""
    return RETRIES if policies.num_retries is None else policies.num_retries


def timeout_seconds_of(policies: Policies) -> int:
    """Return how long an answer may take, or the first part of one that is streamed."""
    return policies.request_timeout or REQUEST_TIMEOUT_SECONDS


def _route(route: PublicRoute) -> dict[str, Any]:
    policies = route.policies
    return {
        "model_type": route.model_type.value,
        "num_retries": retries_of(policies),
        "request_timeout": timeout_seconds_of(policies),
        "fallbacks": list(route.fallbacks),
        "cache": bool(policies.cache),
        "cache_ttl_seconds": policies.cache_ttl_seconds or CACHE_TTL_SECONDS,
        **_counted(policies),
        "guardrail": _guardrail(policies.ai_guardrail_config),
    }


def _counted(policies: Policies) -> dict[str, Any]:
    limiter = policies.token_rate_limiter
    return {
        "concurrency_limit": policies.concurrency_limit,
        "limits": limiter.model_dump(exclude_none=True) if limiter else {},
    }


def _guardrail(declared: GuardrailConfig | None) -> dict[str, Any] | None:
    if declared is None or not (declared.check_request or declared.check_response):
        return None
    return declared.model_dump(mode="json")


def _upstream(upstream: Upstream, credentials: dict[str, int]) -> dict[str, Any]:
    host = urlsplit(upstream.base_url).netloc
    return {
        "name": upstream.service or host,
        "field": upstream.path,
        "service": upstream.service,
        "base_url": upstream.base_url,
        "model": upstream.model,
        "credential": credentials.get(upstream.credential_name or ""),
    }


def _redis(spec: ModelProxySpec) -> dict[str, Any] | None:
    address, redis = redis_address_of(spec), spec.redis
    if address is None or redis is None:
        return None
    host, port = address
    return {
        "host": host,
        "port": port,
        "on_failure": redis.on_failure,
        "tls": redis.tls and not redis.managed,
    }
